"""Evidence and custody: hashes, states, reading account, and the chained log of every act."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content

from irkit.case import Case, views
from irkit.tui.actions import bindings
from irkit.tui.screens.base import CaseScreen
from irkit.tui.text import clean, duration, line, number, plural, size
from irkit.tui.theme import EVIDENCE
from irkit.tui.widgets.dialogs import ChooseDialog
from irkit.tui.widgets.tables import Cell, PagedTable, TableColumn
from irkit.tui.widgets.words import Words

SOURCE_COLUMNS = (
    TableColumn("state", "State", 14, sortable=False),
    TableColumn("file", "File", 0, sortable=False),
    TableColumn("format", "Format", 16, min_table=96, sortable=False),
    TableColumn("bytes", "Size", 8, right=True, sortable=False),
    TableColumn("records", "Queries", 9, right=True, sortable=False),
    TableColumn("bad", "Unread", 6, right=True, sortable=False),
    TableColumn("sha256", "SHA-256", 18, min_table=110, sortable=False),
)

CUSTODY_COLUMNS = (
    TableColumn("index", "#", 5, right=True, sortable=False),
    TableColumn("at", "Time UTC", 19, sortable=False),
    TableColumn("action", "Action", 10, sortable=False),
    TableColumn("who", "Who", 12, min_table=90, sortable=False),
    TableColumn("detail", "What", 0, sortable=False),
    TableColumn("hash", "Hash", 12, min_table=120, sortable=False),
)


def _source_cells(row: views.SourceRow) -> list[Cell]:
    symbol, word, style = EVIDENCE.get(row.state, ("?", row.state, "$warning"))
    return [
        Cell(f"{symbol} {word}", style),
        Cell(file_words(row.original_path)),
        Cell(row.format or "not read"),
        Cell(size(row.bytes)),
        Cell("–" if row.records is None else number(row.records)),
        Cell(
            number(row.quarantined) if row.quarantined else "–",
            "bold $warning" if row.quarantined else "",
        ),
        Cell(row.sha256[:16], "$muted"),
    ]


def file_words(path: str) -> str:
    """Name a file first and its directory after it: names differ, directories seldom do."""
    folder, _, name = path.rpartition("/")
    return f"{name}  ({folder})" if folder else name


#: A SHA-256 in hexadecimal, and a time with its zone, as the case keeps them.
HASH = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


def in_zone(text: str, zone: tzinfo | None) -> str:
    """Write every time in a text in the case's zone."""

    def local(found: re.Match[str]) -> str:
        try:
            at = datetime.fromisoformat(found[0])
        except ValueError:
            return found[0]
        return at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M:%S %Z")

    return _TIME.sub(local, text)


def fact_line(fact: views.Fact, zone: tzinfo | None) -> Content:
    """Write a fact as ``name: words``; a hash stands on a line of its own, to be copied whole."""
    indent = "  " * fact.depth
    value = clean(in_zone(fact.value, zone))
    gap = "\n" if HASH.fullmatch(fact.value) else " "
    return Content.assemble(
        (f"{indent}{line(fact.name)}:", "$muted"), (f"{gap}{value}" if value else "", "")
    )


def _custody_cells(row: views.CustodyRow) -> list[Cell]:
    return [
        Cell(number(row.index)),
        Cell(row.at[:19].replace("T", " ")),
        Cell(row.action, "bold"),
        Cell(row.who, middle=True),
        Cell(row.detail, "$muted"),
        Cell(row.hash[:12], "$muted"),
    ]


class EvidenceScreen(CaseScreen):
    """Files above, custody log below, the row under the cursor in full."""

    PLACE = "evidence"
    BINDINGS: ClassVar = bindings("evidence")
    AUTO_FOCUS = "#sources"

    def body(self) -> ComposeResult:
        """Lay out both tables and the detail."""
        yield Words(id="caption", fixed=True)
        with Container(id="split"):
            with Vertical(id="evidence-tables"):
                yield PagedTable(
                    SOURCE_COLUMNS, _source_cells, id="sources", key=lambda r: str(r.source_id)
                )
                with Vertical(classes="section", id="custody-box"):
                    yield PagedTable(
                        CUSTODY_COLUMNS, _custody_cells, id="custody", key=lambda r: str(r.index)
                    )
            with VerticalScroll(id="detail", classes="section"):
                yield Words(id="detail-text")

    def on_mount(self) -> None:
        """Name the log."""
        self.query_one(
            "#custody-box"
        ).border_title = f"Custody log, newest first ({self.key_of('switch_pane')} switches)"

    def reload(self) -> None:
        """Read files and log; reading the log checks its chain."""

        def query(case: Case) -> Any:
            return (
                views.sources(case.con),
                views.evidence_summary(case.con),
                views.custody_rows(case.custody),
            )

        self.fetch_case("evidence", query)

    def show_evidence(
        self,
        data: tuple[
            tuple[views.SourceRow, ...], views.EvidenceSummary, tuple[views.CustodyRow, ...]
        ],
    ) -> None:
        """Draw both tables."""
        rows, seen, log = data
        self.query_one("#sources", PagedTable).show_page(rows, len(rows))
        self.query_one("#custody", PagedTable).show_page(log, len(log))
        caption = self.query_one("#caption", Words)
        if seen.state is None:
            caption.say(
                Content.styled(
                    f"No evidence yet: press {self.key_of('preserve')} to add logs.", "$warning"
                )
            )
        else:
            symbol, word, style = EVIDENCE[seen.state.value]
            ago = "never checked"
            if seen.checked_at is not None:
                ago = f"checked {duration(self.now - seen.checked_at)} ago"
            caption.say(
                Content.assemble(
                    (f"{symbol} {plural(seen.files, 'file')} {word}", style),
                    (f" · {ago}", "$muted"),
                    (
                        f" · {number(seen.quarantined)} unread,"
                        f" {self.key_of('go(quarantine)')} shows them"
                        if seen.quarantined
                        else "",
                        "$warning",
                    ),
                    (f" · custody intact, {number(len(log))} entries", "$muted"),
                )
            )
        self._detail()

    @on(PagedTable.RowHighlighted)
    def _moved(self) -> None:
        self._detail()

    def on_descendant_focus(self) -> None:
        """Describe the row of the table that has the focus."""
        self._detail()

    def _detail(self) -> None:
        box = self.query_one("#detail", VerticalScroll)
        text = self.query_one("#detail-text", Words)
        custody = self.query_one("#custody", PagedTable)
        if custody.has_focus and custody.selected is not None:
            row: views.CustodyRow = custody.selected
            box.border_title = f"Entry {row.index} · {self.key_of('copy')} copies a hash"
            zone = self.irkit.zone
            text.say(
                Content("\n").join(
                    [
                        Content.assemble(
                            (line(row.action), "bold"),
                            f" by {line(row.who)}, {in_zone(row.at, zone)}",
                        ),
                        *(fact_line(fact, zone) for fact in row.facts),
                        fact_line(views.Fact(0, "hash of this entry", row.hash), zone),
                    ]
                )
            )
            return
        source: views.SourceRow | None = self.query_one("#sources", PagedTable).selected
        if source is None:
            box.border_title = "No file"
            text.say(Content("Logs that you add are hashed, copied read-only and listed here."))
            return
        box.border_title = f"File {source.source_id}"
        symbol, word, style = EVIDENCE.get(source.state, ("?", source.state, "$warning"))
        zone = self.irkit.zone
        account = (
            f"{number(source.entries or 0)} entries = {number(source.records or 0)} queries"
            f" + {number(source.blanks or 0)} blank + {number(source.quarantined or 0)} unread"
        )
        sure = f", {source.format_confidence:.0%} sure" if source.format_confidence else ""
        checked = "never checked"
        if source.checked_at is not None:
            checked = f"checked {in_zone(source.checked_at.isoformat(), zone)}"
        span = "no times in it"
        if source.first_event is not None and source.last_event is not None:
            first, last = source.first_event.isoformat(), source.last_event.isoformat()
            span = f"{first} to {last}"
        folder, _, name = source.original_path.rpartition("/")
        facts = [
            ("file", name),
            ("from", folder or "."),
            ("sha256", source.sha256),
            ("size", f"{size(source.bytes)}, {source.storage}"),
            ("read as", f"{(source.format or 'nothing known').replace('_', ' ')}{sure}"),
            ("entries", account),
            ("span", span),
            *source.capabilities,
            *((("note", source.note),) if source.note else ()),
        ]
        head = Content.assemble((f"{symbol} {word}", style), (f", {checked}", "$muted"))
        text.say(
            Content("\n").join(
                [head, *(fact_line(views.Fact(0, name, words), zone) for name, words in facts)]
            )
        )

    def _copy_of(self, row: views.CustodyRow) -> None:
        """Copy the entry's hash; where it names more of them, ask which."""
        named = [("hash of this entry", row.hash)]
        named += [(fact.name, fact.value) for fact in row.facts if HASH.fullmatch(fact.value)]
        if len(named) == 1:
            self.irkit.copy(row.hash, "hash")
            return

        def answered(choice: str | None) -> None:
            if choice is not None:
                name, value = named[int(choice)]
                self.irkit.copy(value, name)

        options = [(str(i), f"{name:<24} {value[:16]}…") for i, (name, value) in enumerate(named)]
        self.app.push_screen(ChooseDialog("Copy which hash?", options), answered)

    def action_switch_pane(self) -> None:
        """Switch between files and custody log."""
        sources, custody = self.query_one("#sources"), self.query_one("#custody")
        (custody if sources.has_focus else sources).focus()

    def action_verify(self) -> None:
        """Hash all evidence again."""
        self.irkit.start_verify()

    def action_preserve(self) -> None:
        """Add logs."""
        self.irkit.start_preserve()

    def action_export(self) -> None:
        """Write the export files."""
        self.irkit.start_export()

    def action_copy(self) -> None:
        """Copy the hash of the row under the cursor."""
        custody = self.query_one("#custody", PagedTable)
        if custody.has_focus and custody.selected is not None:
            self._copy_of(custody.selected)
            return
        source: views.SourceRow | None = self.query_one("#sources", PagedTable).selected
        if source is not None:
            self.irkit.copy(source.sha256, "SHA-256")
