"""The NER tier agrees with Presidio as it comes, and touches neither network nor disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from irkit.analyzers import pii
from irkit.analyzers.pii import MODEL, Piece, Recogniser, describe_model, pieces
from irkit.errors import UsageError

TEXTS = [
    "My name is John Smith and I live in Paris.",
    "Please write to Mary Johnson, mary.johnson@gmail.com, or call +1 202-555-0123.",
    "The French minister met Angela Merkel in Berlin. Card 4111 1111 1111 1111.",
    "Nothing to see in this sentence about weather and bread.",
    "Transfer to GB29 NWBK 6016 1331 9268 19 for David Brown, SSN 536-90-4399.",
]


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


def kinds(recogniser: Recogniser, texts: list[str]) -> set[tuple[str, int, int, str]]:
    rows = recogniser.find([Piece(str(i), 0, text) for i, text in enumerate(texts)])
    return set(rows.select("text_id", "e_start", "e_end", "entity_type").iter_rows())


def vanilla(texts: list[str]) -> set[tuple[str, int, int, str]]:
    """Presidio's own batch engine with the same model, findings of the shared entity types."""
    from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    configuration = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": "en", "model_name": MODEL}],
    }
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    batch = BatchAnalyzerEngine(AnalyzerEngine(nlp_engine=engine))
    shared = {"PERSON", "LOCATION", "NRP", "EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE",
              "CREDIT_CARD", "CRYPTO", "IP_ADDRESS", "US_SSN"}  # fmt: skip
    return {
        (str(i), r.start, r.end, r.entity_type)
        for i, results in enumerate(batch.analyze_iterator(texts, "en", batch_size=32))
        for r in results
        if r.entity_type in shared and r.score >= pii.MIN_SCORE
    }


def test_the_model_finds_what_presidio_finds(recogniser: Recogniser) -> None:
    mine = kinds(recogniser, TEXTS)
    assert ("0", 11, 21, "PERSON") in mine
    assert vanilla(TEXTS) <= mine


def test_agreement_on_synthetic_texts(recogniser: Recogniser, dev_data: Path) -> None:
    source = dev_data / "presidio_research" / "generated_large.json"
    if not source.is_file():
        pytest.skip("presidio_research is not there")
    texts = [entry["full_text"] for entry in json.loads(source.read_text("utf-8"))[:150]]
    expected = vanilla(texts)
    assert len(expected & kinds(recogniser, texts)) >= 0.995 * len(expected)


def test_offsets_count_from_the_text(recogniser: Recogniser) -> None:
    body = "Ü" * 30 + " " + TEXTS[0]
    rows = recogniser.find([Piece("t", 31, TEXTS[0])])
    person = next(row for row in rows.iter_rows(named=True) if row["entity_type"] == "PERSON")
    assert body[person["e_start"] : person["e_end"]] == "John Smith"
    assert person["canonical"] == "john smith"


def test_long_texts_are_cut_at_white_space() -> None:
    body = ("word " * 3000).strip()
    made = list(pieces("t", body, [(0, len(body))]))
    assert len(made) > 3
    assert "".join(piece.text for piece in made) == body
    assert all(len(piece.text) <= pii._PIECE for piece in made)
    assert all(body[piece.start :].startswith(piece.text) for piece in made)
    assert list(pieces("t", "x" * 9000, [(0, 9000)]))[-1].start == 8000
    assert list(pieces("t", "   ", [(0, 3)])) == []


def test_a_missing_model_is_said_plainly() -> None:
    with pytest.raises(UsageError, match="not installed"):
        Recogniser("no_such_model")
    with pytest.raises(UsageError, match="not installed"):
        describe_model("no_such_model")


def test_the_model_is_described_by_hash() -> None:
    told = describe_model()
    assert told["name"] == MODEL
    assert told["version"].count(".") == 2
    assert len(told["sha256"]) == 64


def test_the_public_suffix_list_is_the_bundled_one(recogniser: Recogniser, tmp_path: Path) -> None:
    import tldextract

    assert recogniser
    extractor = tldextract.tldextract.TLD_EXTRACTOR
    assert not extractor.suffix_list_urls
    assert extractor._cache.enabled is False
    assert tldextract.extract("a.co.uk").suffix == "co.uk"
