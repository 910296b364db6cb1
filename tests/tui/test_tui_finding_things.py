"""Jump mode, search by name, pages read ahead, and what is kept in memory."""

from __future__ import annotations

import threading

import duckdb
import fictional_case as fiction
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Input
from tui_driving import press, settle, shown, until, write

from irkit.case import views
from irkit.case.views.kept import lying_at
from irkit.model import UnitKind
from irkit.tui.commands import CaseSearch
from irkit.tui.screens.jump import JumpScreen, targets
from irkit.tui.session import CaseSession, GaveWay
from irkit.tui.widgets.tables import PagedTable


async def test_jumping_to_a_pane_and_to_a_tab(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        found = targets(app.screen)
        assert [t.label for t in found if t.is_tab] == list("123456789")
        panes = {t.widget.id: t.label for t in found if not t.is_tab}
        assert set(panes) == {"actors", "detail"}
        await press(pilot, "ctrl+o")
        assert isinstance(app.screen, JumpScreen)
        assert f" {panes['detail']} " in shown(app) and "Type a label" in shown(app)
        await press(pilot, panes["detail"])
        assert app.focused is not None and app.focused.id == "detail"
        await press(pilot, "ctrl+o", "5")
        assert app.screen.PLACE == "playbook"
        await press(pilot, "ctrl+o", "escape")
        assert app.screen.PLACE == "playbook"
        await press(pilot, "ctrl+o", "full_stop")
        assert app.screen.PLACE == "playbook", "a key that is no label only leaves"


async def test_jumping_by_mouse(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "2", "ctrl+o")
        target = next(t for t in app.screen.found if t.widget.id == "detail")
        await pilot.click(offset=(target.at.x + 1, target.at.y))
        await settle(pilot)
        assert app.focused is not None and app.focused.id == "detail"


async def hits(app, text: str) -> dict[str, object]:
    provider = CaseSearch(app.screen)
    return {str(hit.text or hit.match_display): hit async for hit in provider.search(text)}


async def test_anything_with_a_name_is_found_and_shown(filled, make_app, monkeypatch) -> None:
    monkeypatch.setattr("irkit.tui.commands.SEARCH_SECONDS", 0)
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        found = await hits(app, fiction.EXTRACTOR[:8])
        found[f"Actor {fiction.EXTRACTOR}"].command()
        await settle(pilot)
        assert app.screen.PLACE == "replay"
        assert app.screen.key == views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR)
        (await hits(app, "x0015"))["Exposure x0015"].command()
        await settle(pilot)
        assert app.screen.PLACE == "exposures"
        assert app.screen.query_one("#exposures", PagedTable).selected_key == "x0015"
        (await hits(app, "s-p-0001"))["Person S-P-0001"].command()
        await settle(pilot)
        assert "subject=S-P-0001" in shown(app)
        (await hits(app, "r00081"))["Call r00081"].command()
        await until(pilot, lambda: app.screen.PLACE == "replay")
        await settle(pilot)
        assert app.screen.detail.record_id == "r00081"
        (await hits(app, "dpo"))["Fact: Data protection officer: e-mail"].command() if (
            "Fact: Data protection officer: e-mail" in await hits(app, "dpo")
        ) else app.go_to("fact", "dpo.email")
        await settle(pilot)
        assert app.screen.query_one("#facts", PagedTable).selected_key == "dpo.email"
        assert await hits(app, "x") == {}, "one letter would list half of the case"


async def test_the_palette_reaches_a_call_by_keys_alone(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p")
        await write(pilot, "x0020")
        await until(pilot, lambda: "Exposure x0020" in shown(app))
        await press(pilot, "down", "enter")
        await until(pilot, lambda: getattr(app.screen, "PLACE", "") == "exposures")
        await settle(pilot)
        assert app.screen.query_one("#exposures", PagedTable).selected_key == "x0020"


async def test_names_in_a_search_are_data(filled, make_app, monkeypatch) -> None:
    monkeypatch.setattr("irkit.tui.commands.SEARCH_SECONDS", 0)
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        for text in ("'; DROP TABLE finding; --", "[red]%_", "\x1b[2J"):
            assert all(name.startswith(("Fact", "Step")) for name in await hits(app, text))
        assert filled.rows("SELECT count(*) > 0 FROM finding") == [(True,)]


async def test_pages_read_ahead_are_those_that_would_be_read(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        screen = app.screen
        screen.browse.limit = 4
        screen.reload()
        await settle(pilot)
        table = screen.query_one("#exposures", PagedTable)
        seen = []
        await press(pilot, "g")
        for _ in range(3):
            seen += [table._key(row) for row in table._page]
            await press(pilot, "right_square_bracket")
        everything = views.exposures(filled.con, sort="people", descending=True)
        assert list(dict.fromkeys(seen)) == [row.exposure_id for row in everything.rows]
        await press(pilot, "left_square_bracket", "left_square_bracket", "g", "c")
        await settle(pilot)
        assert screen.counts["confirm"] == 1, "a page is read again after a change"


VIEWS = {
    "actors": lambda con: views.actors(con),
    "everyone": lambda con: views.actors(con, quiet=True, sort="actor"),
    "exposures": lambda con: views.exposures(con),
    "by person": lambda con: views.exposures(con, sort="people", descending=True),
    "exposure": lambda con: views.exposure_detail(con, "x0015"),
    "timeline": lambda con: views.timeline(con, 60),
    "record": lambda con: views.record_detail(con, "r00081"),
    "sequence": lambda con: views.sequence(
        con, views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR)
    ),
    "curve": lambda con: views.evidence_curve(
        con, views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR)
    ),
    "summary": lambda con: views.sequence_summary(
        con, views.ActorKey(UnitKind.CREDENTIAL, fiction.EXTRACTOR)
    ),
}


@pytest.mark.parametrize("kind", [UnitKind.CREDENTIAL, UnitKind.SESSION])
def test_what_is_kept_in_memory_tells_the_same(filled, kind) -> None:
    session = CaseSession(filled)
    bare = {name: session.read(ask) for name, ask in VIEWS.items()}
    session.prepare(*views.KEEPERS)
    session.prepare_sequence(views.ActorKey(kind, fiction.EXTRACTOR))
    assert {name: session.read(ask) for name, ask in VIEWS.items()} == bare


def test_a_call_found_by_its_place_is_the_call_found_by_its_id(filled) -> None:
    session = CaseSession(filled)
    for unit in (fiction.EXTRACTOR, fiction.MEMBERSHIP):
        key = views.ActorKey(UnitKind.CREDENTIAL, unit)
        session.prepare_sequence(key)
        rows = session.read(lambda con, key=key: views.sequence(con, key))
        assert rows
        for row in rows:
            by_id, by_place = session.read(
                lambda con, row=row, key=key: (
                    views.record_detail(con, row.record_id),
                    views.record_detail(con, row.record_id, key),
                )
            )
            assert by_place == by_id
            assert by_id is not None and by_id.responses and by_id.session


@given(st.sets(st.integers(0, 60), max_size=40))
def test_rows_are_read_where_they_lie(places: set[int]) -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE thing AS SELECT i * 7 AS value FROM range(50) t(i)")
    sql, values = lying_at("thing", sorted(places))
    found = con.execute(f"SELECT place, value FROM ({sql}) ORDER BY place", values).fetchall()
    assert found == [(place, place * 7) for place in sorted(places) if place < 50]


def test_reading_behind_gives_way_to_a_person(filled) -> None:
    session = CaseSession(filled)
    begun = threading.Event()
    ended: list[BaseException] = []

    def endless(con: duckdb.DuckDBPyConnection) -> None:
        begun.set()
        con.execute("SELECT count(*) FROM range(40000000000) t(i) WHERE hash(i) = 1").fetchall()

    def work() -> None:
        try:
            session.read(endless, behind=True)
        except GaveWay as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    while thread.is_alive():  # it may not have begun to read when the first key comes
        assert session.read(lambda con: con.execute("SELECT 1").fetchone()) == (1,)
        thread.join(0.05)
    assert len(ended) == 1


def test_reading_behind_gives_way_between_a_statement_and_its_rows(filled) -> None:
    session = CaseSession(filled)

    def behind(_: duckdb.DuckDBPyConnection) -> None:
        assert session.read(lambda other: other.execute("SELECT 1").fetchone()) == (1,)
        raise duckdb.InvalidInputException("No open result set")

    with pytest.raises(GaveWay):
        session.read(behind, behind=True)


async def test_a_key_is_answered_before_the_rows_are_read(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        screen = app.screen
        asked, go_on = threading.Event(), threading.Event()
        read = app.session.read

        def slow(query, **more):
            if not more.get("behind"):
                asked.set()
                assert go_on.wait(10)
            return read(query, **more)

        app.session.read = slow
        screen._pages.clear()
        before = screen.query_one("#exposures", PagedTable).keys
        await pilot.press("S")
        assert asked.wait(10)
        await pilot.pause()
        caption = str(screen.query_one("#caption").content)
        assert caption.startswith("reading …") and "by people ↑" in caption
        table = screen.query_one("#exposures", PagedTable)
        # The rows of before still stand there, and nothing acts on them.
        assert table.row_count == len(before)
        assert table.keys == ()
        go_on.set()
        await settle(pilot)
        app.session.read = read
        assert "reading" not in str(screen.query_one("#caption").content)
        assert sorted(table.keys) == sorted(before)
        assert table.keys != before


def test_what_is_kept_goes_before_long_work_changes_the_case(filled) -> None:
    session = CaseSession(filled)
    session.prepare(*views.KEEPERS)
    before = session.read(lambda con: views.exposures(con)).total
    with session.writing(long=True) as case:
        case.con.execute("DELETE FROM exposure WHERE exposure_id = 'x0015'")
        session.prepare(*views.KEEPERS)
    assert session.read(lambda con: views.exposures(con)).total == before - 1
    session.prepare(*views.KEEPERS)
    assert session.read(lambda con: views.exposures(con)).total == before - 1


def test_another_sequence_takes_the_place_of_the_one_before(filled) -> None:
    session = CaseSession(filled)
    for unit in (fiction.EXTRACTOR, fiction.MEMBERSHIP, fiction.EXTRACTOR):
        key = views.ActorKey(UnitKind.CREDENTIAL, unit)
        session.prepare_sequence(key)
        rows = session.read(
            lambda con: con.execute(
                "SELECT count(*) FROM duckdb_tables() WHERE starts_with(table_name, 'sequence_')"
            ).fetchone()
        )
        assert rows == (1,)


async def test_the_path_line_of_the_palette_is_masked_like_any_screen(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "ctrl+p")
        app.screen.query_one(Input).value = "x00"
        await until(pilot, lambda: "Exposure x0010" in shown(app))
        for _, name, mail, phone, _, _ in fiction.PEOPLE:
            assert name not in shown(app) and mail not in shown(app) and phone not in shown(app)
