"""The gate's reading of values: the quick way over ASCII must equal the careful one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from made_incident import make_incident

from irkit.case.mask import canonical
from irkit.packet import gate
from irkit.playbook import exposed

TEXTS = st.lists(
    st.text(st.one_of(st.characters(max_codepoint=127), st.sampled_from("éßΩЖ中\u202e\x1b\ufb01")))
)


@given(TEXTS)
def test_words_are_those_of_the_canonical_text(texts):
    expected = [gate._WORD.findall(canonical(text)) for text in texts]
    # An underscore is no letter, in either reading.
    assert gate._words(texts) == expected
    assert gate._squashed(texts) == tuple(map("".join, expected))


def test_addresses_are_found_inside_long_runs():
    run = "x" * 500 + " ada.finkbeiner@example.org,bruno@mail.example.org. " + "y" * 500
    assert gate._EMAIL.findall(run) == ["ada.finkbeiner@example.org", "bruno@mail.example.org"]


def test_held_exposures_answer_as_the_case_does_and_leave_nothing(tmp_path):
    asks = (
        exposed.window, exposed.kinds, exposed.clusters, exposed.models, exposed.recipients,
        exposed.records, exposed.template_spread,
    )  # fmt: skip
    with make_incident(tmp_path / "case.irkit") as case:
        plain = [ask(case) for ask in asks]
        with exposed.held(case), exposed.held(case):
            assert [ask(case) for ask in asks] == plain
            assert [ask(case) for ask in asks] == plain
        case.con.execute("DELETE FROM exposure")
        assert exposed.window(case).exposures == 0
        tables = case.rows("SELECT table_name FROM duckdb_tables() WHERE temporary")
        assert ("held_counted",) not in tables
