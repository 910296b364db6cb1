"""Entries of many megabytes: set their long texts aside before mapping, and put them back after.

The database's JSON functions need many times the size of a document, and one line with a picture in
it can be tens of megabytes long.  So texts above :data:`LONG` are replaced by short marks that
cannot occur in a log (they hold a random number), the small remainder is mapped like any other
entry, and the marks in message and answer texts are replaced by the texts again.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irkit.ingest.engine import Lines

#: Entries longer than this are treated so.
GIANT = 2 << 20
#: Texts longer than this, characters, are set aside.
LONG = 256 << 10
_LEVELS = 3
_HALF = re.compile("[\ud800-\udfff]")
_COLUMNS = ("bodies", "choice_body")


class Giants:
    """The long texts of one block."""

    def __init__(self, lines: Lines) -> None:
        """Set aside the long texts of giant lines; ``self.lines`` is what is left to map."""
        self._mark = f"[irkit-{secrets.token_hex(16)}-"
        self._texts: list[str] = []
        self._rows: list[int] = []
        self.lines = lines
        size = pc.binary_length(lines).to_numpy(zero_copy_only=False)
        giant = np.flatnonzero(size > GIANT).tolist()
        if not giant:
            return
        pieces: list[pa.Array] = []
        at = 0
        for row in giant:
            slim = self._slim(lines[row].as_py())
            pieces += [*_arrays(lines.slice(at, row - at)), pa.array([slim], pa.large_string())]
            at = row + 1
        pieces += _arrays(lines.slice(at))
        self._rows = giant
        self.lines = pa.chunked_array(pieces, pa.large_string())

    def restore(self, records: pa.Table) -> pa.Table:
        """Put the texts back into the mapped rows of giant lines."""
        if not self._texts or not len(records):
            return records
        touched = np.flatnonzero(np.isin(records.column("row_no").to_numpy(), self._rows))
        for name in _COLUMNS:
            column = records.column(name)
            lists = column.to_pylist()
            for index in touched.tolist():
                lists[index] = [self._filled(text) for text in lists[index]]
            kind = pa.large_list(pa.large_string())
            records = records.set_column(
                records.column_names.index(name), name, pa.chunked_array([lists], kind)
            )
        return self._counted(records, touched.tolist())

    def _counted(self, records: pa.Table, touched: list[int]) -> pa.Table:
        for name, texts, place in (
            ("prompt_chars", "bodies", "prompt_at"),
            ("response_chars", "choice_body", None),
        ):
            numbers = records.column(name).to_pylist()
            for index in touched:
                items = records.column(texts)[index].as_py()
                at = records.column(place)[index].as_py() if place else min(1, len(items))
                numbers[index] = len(items[at - 1]) if at else numbers[index]
            records = records.set_column(
                records.column_names.index(name), name, pa.chunked_array([numbers], pa.int64())
            )
        return records

    def _slim(self, line: str, level: int = 0) -> str:
        """Return a JSON text whose long strings are marks; unchanged if it cannot be read."""
        try:
            document = json.loads(line, object_pairs_hook=_first_wins)
            return json.dumps(self._replaced(document, level), separators=(",", ":"))
        except (ValueError, RecursionError):
            return line

    def _replaced(self, value: Any, level: int) -> Any:
        if isinstance(value, str):
            if len(value) <= LONG:
                return value
            if level < _LEVELS and value.lstrip()[:1] in ("{", "["):
                inner = self._slim(value, level + 1)
                if len(inner) <= LONG:
                    return inner
            # Half surrogate pairs cannot be stored as UTF-8.
            self._texts.append(_HALF.sub("\ufffd", value))
            return f"{self._mark}{len(self._texts) - 1}]"
        if isinstance(value, list):
            return [self._replaced(item, level) for item in value]
        if isinstance(value, dict):
            return {key: self._replaced(item, level) for key, item in value.items()}
        return value

    def _filled(self, text: str) -> str:
        if self._mark not in text:
            return text
        head, *rest = text.split(self._mark)
        out = [head]
        for part in rest:
            number, _, tail = part.partition("]")
            out += [self._texts[int(number)], tail]
        return "".join(out)


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keep the first of repeated keys, as the database does."""
    return dict(reversed(pairs)) if len(pairs) > 1 else dict(pairs)


def _arrays(lines: Lines) -> list[pa.Array]:
    return list(lines.chunks) if isinstance(lines, pa.ChunkedArray) else [lines]
