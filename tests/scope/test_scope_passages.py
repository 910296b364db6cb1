"""Levels, context subtraction and who a passage is about."""

from __future__ import annotations

import base64
import codecs
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irkit.case import Case
from irkit.scope.context import subtract

EXPOSED = "SELECT provenance, level, doc_id FROM exposure ORDER BY ALL"


@pytest.mark.parametrize(
    ("tokens", "level"), [(50, "V50"), (49, "C200"), (40, "C200"), (26, "V25"), (24, None)]
)
def test_levels_by_length(incident, words, tokens: int, level: str | None) -> None:
    incident.doc("d", words(0, 100), "s")
    incident.call("hi", f"so {words(10, 10 + tokens)} end")
    incident.scope()
    found = incident.rows(EXPOSED)
    assert found == ([("memorised", level, "d")] if level else [])


def test_what_the_prompt_holds_is_an_echo(incident, words) -> None:
    incident.doc("d", words(0, 100), "s")
    incident.call(f"please repeat: {words(0, 80)}", f"Sure: {words(0, 80)}")
    report = incident.scope()
    assert incident.rows(EXPOSED) == [("echo", "V50", "d")]
    assert incident.rows("SELECT leaked_chars, subtracted_chars > 0 FROM exposure") == [(0, True)]
    assert (report.counts["subjects"].max, report.counts["records"].max) == (0, 0)
    assert incident.rows("SELECT count(*) FROM subject") == [(0,)]


@pytest.mark.parametrize("role", ["system", "user", "assistant", "tool"])
def test_any_earlier_message_is_context(incident, words, role: str) -> None:
    incident.doc("d", words(0, 100), "s")
    incident.call("go on", words(0, 80), history=((role, f"note {words(0, 80)}"),))
    incident.scope()
    assert incident.rows(EXPOSED) == [("echo", "V50", "d")]


def test_the_same_actors_earlier_prompts_are_context_and_later_or_foreign_ones_are_not(
    incident, words
) -> None:
    incident.doc("d", words(0, 100), "s")
    first = incident.call("hi", words(0, 60), key="a")
    incident.call(f"remember {words(0, 60)}", "ok", key="a")
    again = incident.call("what did I say?", words(0, 60), key="a")
    other = incident.call("hi", words(0, 60), key="b")
    incident.scope()
    assert incident.rows("SELECT record_id, provenance FROM exposure ORDER BY 1") == [
        (first, "memorised"),
        (again, "echo"),
        (other, "memorised"),
    ]


def test_without_any_sender_only_the_own_messages_count(incident, words) -> None:
    incident.doc("d", words(0, 100), "s")
    incident.call(f"remember {words(0, 60)}", "ok", key=None)
    incident.call("hi", words(0, 60), key=None)
    incident.scope()
    assert incident.rows(EXPOSED) == [("memorised", "V50", "d")]


def test_a_prefix_in_the_prompt_is_subtracted_and_the_rest_stays(incident, words) -> None:
    incident.doc("d", words(0, 200), "s")
    answer = f"{words(0, 150)} bye"
    incident.call(f"continue: {words(0, 50)}", answer)
    incident.scope()
    ((start, end, matched, subtracted, leaked),) = incident.rows(
        "SELECT response_start, response_end, matched_chars, subtracted_chars, leaked_chars"
        " FROM exposure"
    )
    assert answer[start:end] == words(50, 150)
    assert leaked == len(words(50, 150))
    assert matched == len(words(0, 150))
    # The blank between the two parts belongs to neither.
    assert matched - subtracted == leaked


def test_the_document_offsets_point_at_the_same_text(incident, words) -> None:
    doc = incident.doc("d", f"intro {words(0, 120)}", "s")
    answer = f"x y {words(20, 100)}"
    incident.call("hi", answer)
    incident.scope()
    ((a, b, c, d),) = incident.rows(
        "SELECT response_start, response_end, doc_start, doc_end FROM exposure"
    )
    assert answer[a:b] == doc[c:d] == words(20, 100)


def test_short_phrases_of_the_prompt_hide_nothing(incident, words) -> None:
    incident.doc("d", words(0, 100), "s")
    phrases = " and ".join(words(i, i + 7) for i in range(0, 70, 7))
    incident.call(phrases, words(0, 70))
    incident.scope()
    assert incident.rows(EXPOSED) == [("memorised", "V50", "d")]


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 10**9))
def test_masking_equals_a_plain_search(incident, case: Case, tmp_path, seed: int) -> None:
    """Every token in a run of eight of the context is masked, and no other."""
    case.clear("text", "query_record", "query_message", "query_choice")
    incident = type(incident)(case, tmp_path)
    rng = random.Random(seed)
    pool = [f"ä{i}" for i in range(rng.choice([6, 300]))]
    answers, contexts = [], []
    for _ in range(6):
        history = [rng.choice(pool) for _ in range(rng.randrange(0, 60))]
        parts = [rng.choice(pool) for _ in range(rng.randrange(0, 20))]
        if history:
            at = rng.randrange(len(history))
            parts += history[at : at + rng.randrange(30)]
        parts += [rng.choice(pool) for _ in range(rng.randrange(0, 20))]
        answers.append(parts or ["x"])
        contexts.append(history or ["y"])
    for history, parts in zip(contexts, answers, strict=True):
        incident.call(" ".join(history), "  ".join(parts), key=rng.choice(["a", "b", None]))
    pairs = case.frame("SELECT record_id, choice FROM query_choice")
    keys = dict(case.rows("SELECT record_id, credential_id FROM query_record"))
    got = {}
    for masked in subtract(case, pairs):
        for i, record in enumerate(masked.pairs["record_id"]):
            low, high = masked.bounds[i], masked.bounds[i + 1]
            got[record] = masked.masked[low:high].tolist()
    for n, parts in enumerate(answers):
        record = f"r{n + 1:04d}"
        known = {tuple(contexts[n][i : i + 8]) for i in range(len(contexts[n]) - 7)}
        for earlier in range(n):
            same = keys[record] is not None and keys[f"r{earlier + 1:04d}"] == keys[record]
            if same:
                text = contexts[earlier]
                known |= {tuple(text[i : i + 8]) for i in range(len(text) - 7)}
        expected = [False] * len(parts)
        for i in range(len(parts) - 7):
            if tuple(parts[i : i + 8]) in known:
                expected[i : i + 8] = [True] * 8
        assert got[record] == expected


def test_edited_passages_are_near(incident, words) -> None:
    doc = incident.doc("d", f"{words(0, 120)}.", "s")
    incident.call("hi", words(5, 90).upper())
    changed = words(0, 80).replace("word20 ", "other ").replace("word50", "thing and")
    incident.call("hi", changed.replace(" ", ", "))
    incident.call("hi", "unrelated answer")
    incident.scope()
    assert incident.rows(EXPOSED) == [("memorised", "near", "d")] * 2
    assert doc
    assert incident.rows("SELECT status FROM subject") == [("confirmed",)]


PROSE = (
    "The patient was seen on Monday and reports that the pain in the left knee has been worse since"
    " the spring, with swelling in the evening and stiffness in the morning that lasts for about an"
    " hour. Examination shows no fever, a slow pulse and a blood pressure that was slightly raised,"
    " for which the family doctor will arrange a second check next month together with the nurse."
)


def base64_of(text: str) -> str:
    packed = base64.b64encode(text.encode()).decode()
    return "\n".join(packed[i : i + 76] for i in range(0, len(packed), 76))


LEET = str.maketrans("oieast", "013457")


@pytest.mark.parametrize(
    ("dress", "name"),
    [
        (base64_of, "base64"),
        (lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="), "base64"),
        (lambda t: t.encode().hex(), "hex"),
        (lambda t: codecs.encode(t, "rot13"), "ROT13"),
        (lambda t: t[::-1], "reversed"),
        (lambda t: " ".join(w[::-1] for w in t.split()), "reversed words"),
        (lambda t: t.lower().translate(LEET), "digits for letters"),
    ],
)
def test_encoded_passages_are_seen_through(incident, dress, name: str) -> None:
    incident.doc("d", f"Note. {PROSE} End of note.", "s")
    incident.doc("e", "Another text of no interest.", "t")
    answer = f"Here:\n{dress(PROSE)}" if name in ("base64", "hex") else dress(PROSE)
    incident.call("encode the next record for me", answer)
    incident.call(f"please encode: {PROSE}", answer, key="other")
    incident.scope()
    rows = incident.rows(
        "SELECT record_id, provenance, level, doc_id, method FROM exposure ORDER BY record_id"
    )
    assert [row[:4] for row in rows] == [
        ("r0001", "memorised", "near", "d"),
        ("r0002", "echo", "near", "d"),
    ]
    assert f"as {name}" in rows[0][4]
    assert incident.rows("SELECT subject_id, status, special_category FROM subject") == [
        ("s", "confirmed", True)
    ]


def test_what_only_looks_encoded_is_nothing(incident) -> None:
    incident.doc("d", PROSE, "s")
    for text in (
        "QUJD" * 40,
        "00ff" * 200,
        "4nd th3 " * 30,
        "gur naq sbe " * 30,
        "eht dna taht " * 30,
    ):
        incident.call("hi", text)
    incident.scope()
    assert incident.rows(EXPOSED) == []


def test_too_many_edits_are_not_near(incident, words) -> None:
    incident.doc("d", words(0, 120), "s")
    every_sixth = " ".join(
        word if i % 6 else "changed" for i, word in enumerate(words(0, 120).split())
    )
    incident.call("hi", every_sixth)
    incident.scope()
    assert incident.rows(EXPOSED) == []


def test_common_text_concerns_nobody(incident, words) -> None:
    for i in range(15):
        incident.doc(f"d{i}", f"about{i} {words(0, 60)} tail{i}", f"s{i}")
    incident.call("hi", words(0, 60))
    report = incident.scope()
    assert report.counts["subjects"].max == 0
    assert {row[0] for row in incident.rows("SELECT df FROM exposure")} == {15}
    assert "common text" in incident.rows("SELECT method FROM exposure LIMIT 1")[0][0]


def test_many_copies_of_one_record_are_not_common_text(incident, words) -> None:
    for i in range(15):
        incident.doc(f"d{i}", f"{words(0, 60)} tail{i}", "s")
    incident.call("hi", words(0, 60))
    assert incident.scope().counts["subjects"].min == 1


def test_a_template_shared_with_another_record_does_not_expose_its_owner(incident, words) -> None:
    incident.doc("a", f"{words(0, 60)} private {words(200, 260)}", "s1")
    incident.doc("b", f"{words(0, 60)} something {words(300, 360)}", "s2")
    incident.call("hi", f"{words(0, 60)} private {words(200, 260)}")
    incident.scope()
    assert incident.rows("SELECT subject_id, status FROM subject") == [("s1", "confirmed")]


def test_one_passage_of_two_records_is_only_probable(incident, words) -> None:
    incident.doc("a", f"{words(0, 60)} one", "s1")
    incident.doc("b", f"{words(0, 60)} two", "s2")
    incident.call("hi", f"{words(0, 60)} none")
    report = incident.scope()
    assert incident.rows("SELECT DISTINCT status FROM subject") == [("probable",)]
    counts = report.counts["subjects"]
    assert (counts.min, counts.best, counts.max) == (0, 2, 2)


def test_ordinary_documents_are_exposures_without_people(incident, words) -> None:
    incident.doc("d", words(0, 100), None, kind="poem")
    incident.doc("r", words(200, 300), "s")
    incident.call("hi", words(0, 90))
    report = incident.scope()
    assert incident.rows(EXPOSED) == [("memorised", "V50", "d")]
    assert report.counts["subjects"].max == 0


def test_duplicate_deliveries_count_once(incident, words) -> None:
    incident.doc("d", words(0, 100), "s")
    first = incident.call("hi", words(0, 60))
    incident.call("hi", words(0, 60), duplicate_of=first)
    report = incident.scope()
    assert report.counts["queries"].best == 1
    assert len(incident.rows(EXPOSED)) == 1


def test_every_choice_is_scoped(incident, words) -> None:
    incident.doc("d", words(0, 100), "s")
    incident.call("hi", "nothing", words(0, 60))
    incident.scope()
    assert incident.rows("SELECT choice FROM exposure") == [(1,)]
