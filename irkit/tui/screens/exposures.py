"""Exposures and people: review what came out, passage by passage."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import duckdb
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Input

from irkit.case import views
from irkit.case.shown import HIDE_LIMIT, values_of
from irkit.model import UnitKind
from irkit.tui.actions import bindings
from irkit.tui.screens.browse import Browse
from irkit.tui.screens.reviewing import Reviewing
from irkit.tui.text import clean, line, number, plural, short_stamp, stamp
from irkit.tui.theme import PROVENANCE, SUBJECT, VERDICT
from irkit.tui.widgets.marked import marked
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words

#: Characters of the response shown on each side of the passage.
AROUND = 300

EXPOSURE_COLUMNS = (
    TableColumn("review", "Review", 11, min_table=96),
    TableColumn("review_mark", "", 1, max_table=95, sortable=False),
    TableColumn("time", "Time UTC", 11),
    TableColumn("provenance", "Provenance", 15),
    TableColumn("level", "Level", 6),
    TableColumn("actor", "Actor", 14, min_table=128),
    TableColumn("type", "Types", 18, min_table=88),
    TableColumn("people", "People", 6, right=True),
    TableColumn("chars", "Chars", 6, min_table=110, right=True),
    TableColumn("value", "Masked value", 0, sortable=False),
)

SUBJECT_COLUMNS = (
    TableColumn("key", "Subject", 14),
    TableColumn("status", "Status", 13),
    TableColumn("label", "Masked name", 0, sortable=False),
    TableColumn("category", "Categories", 24, min_table=106, sortable=False),
    TableColumn("special", "Special", 7),
    TableColumn("child", "Child", 5),
    TableColumn("country", "Country", 7, sortable=False),
    TableColumn("exposures", "Leaks", 5, right=True),
    TableColumn("first", "First UTC", 11, min_table=120),
    TableColumn("last", "Last UTC", 11, min_table=134),
)


def _exposure_cells(row: views.ExposureRow, chosen: bool) -> list[Cell]:
    mark, word, style = VERDICT.get(row.verdict, VERDICT[None])
    symbol, name, tone = PROVENANCE.get(row.provenance, ("?", line(row.provenance, 13), "$warning"))
    style = "bold $accent" if chosen else style
    return [
        Cell(f"{'▸' if chosen else mark} {word}", style),
        Cell("▸" if chosen else mark, style),
        Cell(short_stamp(row.at)),
        Cell(f"{symbol} {name}", tone),
        Cell(row.level),
        Cell(row.credential or "–", middle=True),
        Cell(", ".join(row.entity_types)),
        Cell(number(row.subjects) if row.subjects else "–"),
        Cell(number(row.leaked_chars)),
        Cell(row.value_masked or "–", "$muted"),
    ]


def _subject_cells(row: views.SubjectRow) -> list[Cell]:
    symbol, word, style = SUBJECT.get(row.status, ("?", row.status, "$warning"))
    return [
        Cell(row.subject_key, middle=True),
        Cell(f"{symbol} {word}", style),
        Cell(row.label_masked or "–", "$muted"),
        Cell(", ".join(row.categories)),
        Cell(
            "! yes" if row.special_category else "no",
            "bold $warning" if row.special_category else "$muted",
        ),
        Cell("! yes" if row.child else "no", "bold $warning" if row.child else "$muted"),
        Cell(" ".join(row.countries) or "–"),
        Cell(number(row.exposures)),
        Cell(short_stamp(row.first_exposed)),
        Cell(short_stamp(row.last_exposed)),
    ]


def _in_place(detail: views.ExposureDetail, revealed: bool) -> Content:
    """Draw a passage between what stands around it; only the passage itself is ever revealed."""
    size = len(detail.body)
    start, end = max(0, min(detail.start, size)), max(0, min(detail.end, size))
    own = views.Span(detail.start, detail.end, detail.row.provenance, detail.row.level, "")
    everything = (*detail.spans, own)
    hide = values_of(detail.body, everything)[:HIDE_LIMIT]
    if not revealed:
        begin = max(0, start - AROUND)
        body = detail.body[begin : end + AROUND]
        return marked(body, _moved(everything, begin), revealed=False, hide=hide)
    before, after = max(0, start - AROUND), detail.body[end : end + AROUND]
    return Content.assemble(
        marked(detail.body[before:start], _moved(detail.spans, before), revealed=False, hide=hide),
        marked(detail.body[start:end], _moved([own], start), revealed=True),
        marked(after, _moved(detail.spans, end), revealed=False, hide=hide),
    )


def _moved(spans: Sequence[views.Span], by: int) -> list[views.Span]:
    return [replace(span, start=span.start - by, end=span.end - by) for span in spans]


_REVIEWING = frozenset(
    ("confirm", "reject", "unsure", "note", "undo", "reveal", "mark_row", "mark_page", "sampled",
     "draw")
)  # fmt: skip


class ExposuresScreen(Reviewing):
    """Two tables in one place: passages that came out, and the people they concern."""

    PLACE = "exposures"
    BINDINGS: ClassVar = bindings("exposures")
    AUTO_FOCUS = "#exposures"
    NOUN = "exposure"
    BARE = "record"

    def __init__(self) -> None:
        super().__init__()
        self.start_browsing(views.exposure_columns(), "people", descending=True)
        self._other = Browse(views.subject_columns(), "status")
        self.people = False
        self.counts: dict[str, int] = {}
        self.start_reviewing()
        self.detail: views.ExposureDetail | None = None

    def body(self) -> ComposeResult:
        """Lay out the two tables and the detail."""
        yield from self.browse_bar()
        yield Words(id="sample", fixed=True)
        with Container(id="split"):
            yield PagedTable(
                EXPOSURE_COLUMNS, self._cells, id="exposures", key=lambda r: r.exposure_id
            )
            yield PagedTable(
                SUBJECT_COLUMNS, _subject_cells, id="subjects", key=lambda r: r.subject_key
            )
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def on_mount(self) -> None:
        """Start with the exposures."""
        self.query_one("#subjects").display = False
        self.query_one("#sample").display = False

    def _cells(self, row: views.ExposureRow) -> list[Cell]:
        return _exposure_cells(row, row.exposure_id in self.marks)

    # -- reading ------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the page of whichever table is shown."""
        read = views.subjects if self.people else views.exposures
        session = self.session

        def query(con: duckdb.DuckDBPyConnection, browse: Browse) -> Any:
            session.prepare("exposures")
            page: views.Page[Any] = read(
                con,
                where=browse.where,
                sort=browse.sort,
                descending=browse.descending,
                offset=browse.offset,
                limit=browse.limit,
            )
            return page, session.once("review counts", lambda: views.review_counts(con))

        self.fetch_page("subjects" if self.people else "exposures", query)

    def show_exposures(self, data: tuple[views.Page[views.ExposureRow], dict[str, int]]) -> None:
        """Draw the page of exposures."""
        page, self.counts = data
        self._show(page, "#exposures")
        self.read_sample()

    def show_subjects(self, data: tuple[views.Page[views.SubjectRow], dict[str, int]]) -> None:
        """Draw the page of people."""
        page, self.counts = data
        self._show(page, "#subjects")

    def _show(self, page: views.Page[Any], table_id: str) -> None:
        table = self.query_one(table_id, PagedTable)
        table.sorted_by = (self.browse.sort, self.browse.descending)
        table.show_page(page.rows, page.total, page.offset)
        self.browse_caption(page.total, len(page.rows))
        if page.rows:
            self._detail()
        else:
            self.detail = None
            self.query_one("#detail", VerticalScroll).border_title = "Nothing here"
            self.query_one("#detail-text", Words).say(Content(self._empty()))

    def _empty(self) -> str:
        if self.browse.where.text:
            return (
                f"Nothing matches “{line(self.browse.where.text)}”."
                f" Press {self.key_of('filter')} and clear the filter."
            )
        if self.people:
            return (
                "No person is linked to an exposure."
                f" Press {self.key_of('people')} to go back to the exposures."
            )
        return (
            "No leaked passage was found, or the scope was not worked out yet: press"
            f" {self.key_of('go(overview)')}, then {self.key_of('scope', 'overview')}."
            " Where no training corpus is given, only personal data in responses is looked for."
        )

    def extra_caption(self) -> str:
        """Say how far the review is."""
        if self.people:
            return f"{self.key_of('people')} shows exposures"
        counts = self.counts
        if self.marks:
            return (
                f"{number(len(self.marks))} marked: {self.key_of('confirm')} or"
                f" {self.key_of('reject')} judges them together, esc unmarks"
            )
        told = (("confirm", "confirmed"), ("reject", "rejected"), ("unsure", "unsure"))
        judged = [f", {number(counts[name])} {word}" for name, word in told if counts.get(name)]
        return f"{number(counts.get('open', 0))} open" + ("".join(judged) or ", none judged yet")

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def _detail(self) -> None:
        if self.people:
            row = self.query_one("#subjects", PagedTable).selected
            if row is not None:
                self._draw_subject(row)
            return
        row = self.query_one("#exposures", PagedTable).selected
        if row is not None:
            if self.session.mask_others(row.exposure_id):
                self.refresh_chrome()
            self.fetch("detail", lambda con: views.exposure_detail(con, row.exposure_id))

    # -- detail -------------------------------------------------------------------------------

    def show_detail(self, detail: views.ExposureDetail | None) -> None:
        """Draw the passage under the cursor in its place."""
        if not self.people:
            self.detail = detail
            self._draw_detail()

    def masks_changed(self) -> None:
        """Draw the passage again."""
        if not self.people:
            self._draw_detail()

    def _draw_detail(self) -> None:
        detail = self.detail
        if detail is None:
            return
        row = detail.row
        revealed = self.session.revealed(row.exposure_id)
        box = self.query_one("#detail", VerticalScroll)
        state = "REVEALED" if revealed else f"masked, {self.key_of('reveal')} reveals"
        box.border_title = f"{line(row.exposure_id, 24)} · {state}"
        symbol, name, style = PROVENANCE.get(row.provenance, PROVENANCE["unverified"])
        facts = [
            Content.assemble(
                (f"{symbol} {name} {row.level}", style),
                (
                    f"  record {line(row.doc_id, 30)}" if row.doc_id else "  no training record",
                    "bold",
                ),
                (f"  {', '.join(map(line, row.entity_types))}", "$muted"),
            ),
            _in_place(detail, revealed),
            Content.styled(
                f"{number(row.matched_chars)} characters matched, {number(detail.subtracted_chars)}"
                f" explained by the prompt, {number(row.leaked_chars)} leaked."
                f" {line(detail.method)}.",
                "$muted",
            ),
            self._people_line(detail.subjects),
        ]
        for verdict, note, who, at in detail.reviews[-4:]:
            mark, word, tone = VERDICT.get(verdict, ("↶", "undone", "$muted"))
            said = f": {clean(note)}" if note else ""
            facts.append(
                Content.assemble(
                    (f"{mark} {word}", tone), (f" by {line(who)} {stamp(at)}{said}", "$muted")
                )
            )
        self.query_one("#detail-text", Words).say(Content("\n").join(facts))

    @staticmethod
    def _people_line(people: Sequence[views.SubjectRow]) -> Content:
        if not people:
            return Content.styled("Nobody is linked to this passage.", "$muted")
        shown = ", ".join(f"{line(p.subject_key)} ({p.status})" for p in people[:6])
        return Content(f"{plural(len(people), 'person', 'people')}: {shown}")

    def _draw_subject(self, row: views.SubjectRow) -> None:
        box = self.query_one("#detail", VerticalScroll)
        box.border_title = line(row.subject_key, 40)
        symbol, word, style = SUBJECT.get(row.status, ("?", row.status, "$warning"))
        lines = [
            Content.assemble(
                (f"{symbol} {word}", style), (f"  {plural(row.exposures, 'exposure')}", "bold")
            ),
            Content(f"Categories: {', '.join(map(line, row.categories)) or 'none'}"),
            Content(f"Linked by: {line(row.link_method) or 'unknown'}"),
            Content(f"Exposed from {stamp(row.first_exposed)} to {stamp(row.last_exposed)}"),
        ]
        if row.special_category:
            lines.append(
                Content.styled("! special category of data (Art. 9 or 10)", "bold $warning")
            )
        if row.child:
            lines.append(Content.styled("! a child", "bold $warning"))
        self.query_one("#detail-text", Words).say(Content("\n").join(lines))

    # -- actions ------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Reviewing belongs to exposures, not to people."""
        del parameters
        if action in _REVIEWING:
            return not self.people
        return True

    def action_people(self) -> None:
        """Switch between exposures and people."""
        self.people = not self.people
        self.browse, self._other = self._other, self.browse
        self.NOUN = "person" if self.people else "exposure"
        self.query_one("#exposures").display = not self.people
        self.query_one("#subjects").display = self.people
        box = self.query_one("#filter", Input)
        box.placeholder = f"field=value  ({', '.join(c.name for c in self.browse.columns)})"
        self.active_table().focus()
        self.refresh_bindings()
        self.reload()

    def action_reveal(self) -> None:
        """Ask why, then show this passage unmasked for a while."""
        row = self.query_one("#exposures", PagedTable).selected
        if row is not None:
            self.irkit.ask_reveal("exposure", row.exposure_id)

    @on(PagedTable.Opened)
    def _opened(self) -> None:
        self.action_open_record()

    def show_only(self, term: str) -> None:
        """Show the exposures that a filter leaves, whichever table was shown."""
        browse = self._other if self.people else self.browse
        browse.where = views.parse_filter(term, views.exposure_columns(), self.BARE)
        browse.offset = 0
        if self.people:
            self.action_people()
        elif self.is_mounted:
            self.reload()

    def _open_person(self) -> None:
        row = self.query_one("#subjects", PagedTable).selected
        if row is None:
            return
        self._other.where = views.parse_filter(
            f"subject={shlex.quote(row.subject_key)}", views.exposure_columns(), self.BARE
        )
        self._other.offset = 0
        self.action_people()

    def action_open_record(self) -> None:
        """Show the exposure in its actor's sequence, or a person's exposures."""
        if self.people:
            self._open_person()
            return
        row = self.query_one("#exposures", PagedTable).selected
        if row is None:
            return
        if row.credential is None:
            self.notify("The log names no credential for this query.", markup=False)
            return
        self.irkit.replay_actor(views.ActorKey(UnitKind.CREDENTIAL, row.credential), row.record_id)

    def action_copy(self) -> None:
        """Copy the identifier under the cursor."""
        key = self.active_table().selected_key
        if key is not None:
            self.irkit.copy(key, "identifier")
