"""Which columns the records of a source fill, so that a statement need not return the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from irkit.ingest.projection import OUTPUT

#: Columns that a statement returns; all of them where this is None.
Filled: TypeAlias = frozenset[str] | None
#: Records from which it is told which columns the others of their shape leave empty.
_TELLING = 1000
#: How often records may show one more column before no column is left out any more.
_MOST_CHANGES = 4


@dataclass(slots=True)
class Habit:
    """Which columns the records of a shape fill: most logs never fill half of them.

    A statement need not return the others, as long as it leaves alone every record that does fill
    one; such a record takes the statement with all columns.

    Attributes:
        filled: columns filled so far; None while all have to be returned.
    """

    filled: Filled = None
    _schema: pa.Schema | None = None
    _changes: int = 0

    def learn(self, records: pa.Table) -> None:
        """Take note of the columns that records fill which were read with all columns."""
        if self._changes > _MOST_CHANGES or (self.filled is None and len(records) < _TELLING):
            return
        if not len(records):
            return
        self._schema = records.schema
        found = {name for name in OUTPUT if records.column(name).null_count < len(records)}
        now = frozenset(found | (self.filled or set()))
        if now != self.filled:
            self._changes += 1
            self.filled = now if self._changes <= _MOST_CHANGES else None

    def completed(self, records: pa.Table) -> pa.Table:
        """Return records with the columns that were left out, all empty."""
        assert self._schema is not None
        have = set(records.column_names)
        columns = {
            field.name: records.column(field.name)
            if field.name in have
            else pa.nulls(len(records), field.type)
            for field in self._schema
            if field.name in have or field.name in OUTPUT
        }
        return pa.table(columns)
