"""Log text is made harmless without moving an offset; words for times and numbers are right."""

from __future__ import annotations

import itertools
import unicodedata
from datetime import UTC, datetime, timedelta

import fictional_case as fiction
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irkit.case.views import Span
from irkit.tui import text
from irkit.tui.widgets.marked import MAX_CHARS, flatten, marked, values_of


def test_every_steering_or_hidden_character_is_replaced() -> None:
    everything = "".join(map(chr, range(0x110000)))
    safe = text.clean(everything)
    assert len(safe) == len(everything)
    left = {
        char
        for char in set(safe)
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs") and char != "\n"
    }
    assert left == set()


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_cleaning_keeps_offsets_and_is_idempotent(value: str) -> None:
    safe = text.clean(value)
    assert len(safe) == len(value)
    assert text.clean(safe) == safe
    assert "\n" not in text.line(value)


def test_stacked_marks_do_not_paint_over_other_lines() -> None:
    assert text.clean("a" + "\u0301" * 9).count("\u0301") == 2


@pytest.mark.parametrize(
    "value",
    [
        "mara.feldweg@clinic.example",
        "202-555-0143",
        "+1 (202) 555-0143",
        "sk_live_0a1b2c3d4e5f6a7b8c9d",
    ],
)
def test_lookalikes_are_masked_on_sight(value: str) -> None:
    assert text.mask_shapes(f"call {value} now") == "call ••• now"


def test_a_mask_tells_neither_length_nor_shape() -> None:
    for value in ("ab", "mara.feldweg@clinic.example", "a" * 90, "1", "日本語の名前"):
        assert text.mask(value) == "•••"
    assert text.mask("Tove Lindqvist,\n born 1970") == "••• •••\n ••• •••"
    assert text.mask("- Tove -") == "- ••• -"
    assert text.mask("one two three four five six seven") == text.mask("word " * 900) == "•••"
    assert text.mask_addresses("from mara@clinic.example at 12:00") == "from ••• at 12:00"


def test_ordinary_words_and_small_numbers_stay() -> None:
    words = "Summarise 12 pages for room 204, please; version 3.14 of the plan."
    assert text.mask_shapes(words) == words


@pytest.mark.parametrize("unit", ["a", "1-", "a-", "a.", "@", "1 ", "a1"])
def test_masking_is_linear_on_hostile_runs(unit: str) -> None:
    # Quadratic behaviour on a megabyte would run into the suite's own patience.
    hostile = unit * (1_000_000 // len(unit))
    assert len(text.mask_shapes(hostile)) <= len(hostile)
    assert len(text.mask(hostile)) <= len(hostile)
    assert text.mask("-" * 1_000_000) == "-" * 1_000_000


@given(
    st.text(max_size=60),
    st.lists(
        st.tuples(
            st.integers(-5, 70),
            st.integers(-5, 70),
            st.sampled_from(["memorised", "echo", "unverified", "unheard-of"]),
        ),
        max_size=6,
    ),
)
@settings(max_examples=200, deadline=None)
def test_marks_are_disjoint_inside_the_text_and_cover_every_span(
    body: str, raw: list[tuple[int, int, str]]
) -> None:
    spans = [Span(start, end, name, "", "") for start, end, name in raw]
    marks = flatten(spans, len(body))
    for before, after in itertools.pairwise(marks):
        assert before.end <= after.start
    covered = {i for mark in marks for i in range(mark.start, mark.end)}
    wanted = {i for span in spans for i in range(max(0, span.start), min(len(body), span.end))}
    assert covered == wanted
    marked(body, spans, revealed=False)


def test_the_graver_provenance_wins() -> None:
    marks = flatten([Span(0, 10, "echo", "", ""), Span(4, 6, "memorised", "", "")], 10)
    assert [(m.start, m.end, m.provenance) for m in marks] == [
        (0, 4, "echo"),
        (4, 6, "memorised"),
        (6, 10, "echo"),
    ]


def test_values_are_masked_inside_their_spans_and_wherever_else_they_stand() -> None:
    secret = fiction.record_text(0)
    body = f"Here: {secret}"
    span = Span(6, 6 + len(secret), "memorised", "V50", "x1")
    hidden = marked(body, [span], revealed=False).plain
    assert "Feldweg" not in hidden and "202-555" not in hidden and "⟦■" in hidden
    name = Span(body.index("Mara"), body.index("Mara") + 12, "memorised", "PERSON", "")
    hide = values_of(body, [name])
    prompt = marked("Where does Mara Feldweg live?", [], revealed=False, hide=hide).plain
    assert "Mara" not in prompt and prompt.startswith("Where does ")
    assert secret in marked(body, [span], revealed=True).plain


def test_a_huge_text_is_drawn_around_its_passage() -> None:
    body = "x" * 500_000 + "SECRET" + "y" * 500_000
    drawn = marked(body, [Span(500_000, 500_006, "memorised", "V50", "x")], revealed=True).plain
    assert "SECRET" in drawn and len(drawn) < MAX_CHARS + 200
    assert "characters before" in drawn and "characters more" in drawn


def test_log_markup_is_text() -> None:
    drawn = marked("[bold]x[/bold] [link=evil]", [], revealed=True)
    assert drawn.plain == "[bold]x[/bold] [link=evil]"
    assert drawn.spans == [] or all(not span.style for span in drawn.spans)


AT = datetime(2026, 10, 16, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("delta", "words", "grade"),
    [
        (timedelta(hours=48, minutes=12), "48 h 12 min left", "ahead"),
        (timedelta(days=9, hours=3), "9 d 3 h left", "ahead"),
        (timedelta(hours=24), "24 h 00 min left", "soon"),
        (timedelta(minutes=5), "5 min left", "soon"),
        (timedelta(seconds=40), "40 s left", "soon"),
        (timedelta(0), "0 s left", "soon"),
        (timedelta(hours=-3), "3 h 00 min overdue", "over"),
    ],
)
def test_time_left_in_words(delta: timedelta, words: str, grade: str) -> None:
    assert text.remaining(AT + delta, AT) == words
    assert text.urgency(AT + delta, AT) == grade


def test_numbers_sizes_and_names() -> None:
    assert text.number(1234567) == "1 234 567"
    assert text.size(48_211_004) == "48.2 MB"
    assert text.size(999) == "999 B"
    assert text.p_value(None, "rank_only") == "rank only"
    assert text.p_value(0.0002, "conformal") == "2.0e-04"
    assert text.middle("key-0123456789abcdef", 11) == "key-0…bcdef"
    assert text.plural(1, "file") == "1 file" and text.plural(2, "person", "people") == "2 people"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Patient Mara Feldweg, born", "••• ••• •••, born"),
        ("write to Радостина Иванова now", "write to ••• ••• now"),
        ("Ana-Lucía D'Orso-Pérez came", "••• ••• came"),
        ("My favourite word is Lisbon.", "My favourite word is Lisbon."),
        ("NIST AI says HTTP GET", "NIST AI says HTTP GET"),
        ("Label. Yes or No", "Label. Yes or No"),
    ],
)
def test_what_looks_like_a_name_is_masked(text: str, shown: str) -> None:
    from irkit.case.shown import mask_names

    assert mask_names(text) == shown


def test_names_cost_linear_time_on_hostile_text() -> None:
    from irkit.case.shown import mask_names

    # Quadratic behaviour would run into the suite's own patience.
    for hostile in ("A" * 300_000, "A b " * 80_000, "A-" * 150_000, "Aa'" * 100_000 + "!"):
        assert len(mask_names(hostile)) <= len(hostile)
