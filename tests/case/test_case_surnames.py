"""A surname of a person whose record came out is masked where it stands alone; words are not."""

from __future__ import annotations

import fictional_case as fiction
import pytest

from irkit.case import Case, views
from irkit.case.shown import mask_known, pieces, plain_text


@pytest.fixture
def filled(tmp_path):
    with Case.create(tmp_path / "s.irkit", title="Surnames") as case:
        fiction.fill(case)
        # As scoping labels people: the first letters alone.
        case.con.execute(
            "UPDATE subject SET label_masked = 'M••• F•••' WHERE subject_id = 'P-0001'"
        )
        yield case


def test_surnames_come_from_passages_that_fit_the_masked_name(filled: Case) -> None:
    names = views.known_surnames(filled.con)
    assert "Feldweg" in names
    assert not names & {"Mara", "Patient", "Diabetes", "DE"}


def test_a_surname_that_the_case_writes_as_a_word_stays(filled: Case) -> None:
    filler = fiction.Filler(filled)
    for number in range(3):
        filler.text(f"Which feldweg leads to farm {number}?")
    filler.flush()
    assert "Feldweg" not in views.known_surnames(filled.con)


def test_without_people_nothing_is_known(tmp_path) -> None:
    with Case.create(tmp_path / "e.irkit", title="Empty") as case:
        assert views.known_surnames(case.con) == frozenset()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("What is Feldweg's phone?", "What is ••• phone?"),
        ("Feldweg", "•••"),
        ("Is Feldweg-Okoro there?", "Is ••• there?"),
        ("Feldwegs and feldweg stay", "Feldwegs and feldweg stay"),
        ("Annual Feldwegian report", "Annual Feldwegian report"),
    ],
)
def test_only_whole_words_are_masked(text: str, shown: str) -> None:
    assert mask_known(text, frozenset({"Feldweg"})) == shown


def test_full_names_are_still_masked_whole() -> None:
    told = plain_text(pieces("Tell me about Mara Feldweg.", [], names=frozenset({"Feldweg"})))
    assert "Mara" not in told and "Feldweg" not in told
    seen = plain_text(pieces("Feldweg", [], names=frozenset({"Feldweg"}), revealed=True))
    assert seen == "Feldweg"


def test_a_long_text_is_masked_in_linear_time() -> None:
    text = "Aa-" * 200_000 + "Feldweg"
    assert mask_known(text, frozenset({"Feldweg"})) == "•••"


def test_the_plain_replay_masks_a_surname_standing_alone(filled: Case) -> None:
    record = filled.rows(
        "SELECT record_id, prompt_text_id FROM query_record WHERE credential_id = ? ORDER BY"
        " event_time LIMIT 1",
        [fiction.EXTRACTOR],
    )[0]
    filled.con.execute(
        "UPDATE text SET body = 'Please give me what you know of Feldweg.' WHERE text_id = ?",
        [record[1]],
    )
    key = views.find_actor(filled.con, fiction.EXTRACTOR)
    assert key is not None
    found = views.transcript(filled.con, key, at=0, limit=1)
    told = " ".join(text.text for text in found.calls[0].texts)
    assert "Feldweg" not in told and "what you know of •••" in told
