"""Rows of before cannot be acted on while others are read; findings without a time are counted."""

from __future__ import annotations

import threading

import fictional_case as fiction
from tui_driving import press, settle, shown

from irkit.case import views
from irkit.tui.widgets.tables import PagedTable


async def test_rows_behind_reading_cannot_be_selected(filled, make_app, monkeypatch) -> None:
    go, read = threading.Event(), views.actors

    def slow(con, **asked):
        if asked.get("where") is not None and asked["where"].text:
            assert go.wait(10)
        return read(con, **asked)

    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "2")
        table = app.screen.query_one("#actors", PagedTable)
        before = table.selected
        assert before is not None
        monkeypatch.setattr("irkit.case.views.actors", slow)
        await pilot.press("slash")
        app.screen.query_one("#filter").value = f"actor={fiction.MEMBERSHIP}"
        await pilot.press("enter")
        await pilot.pause(0.05)
        assert "reading …" in shown(app) and table.has_class("-waiting")
        assert table.selected is None and table.keys == () and table.cells_selected() == []
        await pilot.press("enter", "j")
        assert app.screen.PLACE == "actors", "no actor of the page before is opened"
        go.set()
        await settle(pilot)
        assert not table.has_class("-waiting")
        assert table.selected.key.unit == fiction.MEMBERSHIP != before.key.unit
        await press(pilot, "enter")
        assert app.screen.PLACE == "replay"


async def test_a_review_reads_again_without_losing_the_next_key(filled, make_app) -> None:
    app = make_app(filled)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "4")
        table = app.screen.query_one("#exposures", PagedTable)
        await pilot.press("c")
        app.screen.reload()
        assert table.selected is not None, "the page is the same; only its reviews changed"
        await settle(pilot)


async def test_findings_without_a_time_are_counted_when_time_filters(filled, make_app) -> None:
    filled.con.execute(
        "UPDATE finding SET first_seen = NULL, last_seen = NULL WHERE unit = ?",
        [fiction.MEMBERSHIP],
    )
    (lost,) = filled.rows(
        "SELECT count(DISTINCT (unit_kind, unit)) FROM finding WHERE first_seen IS NULL"
    )[0]
    app = make_app(filled)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "t")
        assert app.screen.PLACE == "actors"
        assert lost and f"{lost} without a time left out" in shown(app)
        await press(pilot, "slash")
        app.screen.query_one("#filter").value = "tier=A"
        await press(pilot, "enter")
        assert "without a time" not in shown(app)


async def test_leaks_are_passages_on_actors_and_replay(filled, make_app) -> None:
    app = make_app(filled)
    key = views.ActorKey(views.find_actor(filled.con, fiction.EXTRACTOR).kind, fiction.EXTRACTOR)
    page = views.actors(filled.con)
    row = next(row for row in page.rows if row.key == key)
    summary = views.sequence_summary(filled.con, key)
    assert row.exposures == summary.leaks >= len(summary.leak_positions) > 0
    async with app.run_test(size=(110, 30)) as pilot:
        await settle(pilot)
        app.go_to("actor", fiction.EXTRACTOR, "credential")
        await settle(pilot)
        queries = len(summary.leak_positions)
        assert f"■ {summary.leaks} leaks in {queries} queries" in shown(app)
        app.action_go("actors")
        await settle(pilot)
        app.screen.query_one("#actors", PagedTable).go_to(f"{key.kind.value}:{key.unit}")
        await settle(pilot)
        told = app.screen.query_one("#detail-text").content.plain
    assert f"■ {summary.leaks} leaks: passages that came out" in told
