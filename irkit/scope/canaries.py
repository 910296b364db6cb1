"""Canaries and honey records: values planted in the training data and nowhere else.

A canary in an answer proves that the answer comes from the training data, whatever corpus was
preserved (Carlini et al. 2019, "The Secret Sharer"; MITRE ATLAS AML.M0024 telemetry).  Nobody's
data is in it, so it never counts as a record or a person.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from irkit.errors import UsageError
from irkit.scope.tables import PLACE, HandedIn, SetAside, read_table
from irkit.scope.values import CANARY, with_key

#: Shorter ones would be met by chance.
SHORTEST = 8
_VALUE = ("value", "canary", "text", "secret")


def read_canaries(path: Path) -> tuple[pl.DataFrame, tuple[SetAside, ...]]:
    """Read canaries: a table with a column ``value``, or plain text with one canary a line.

    Returns:
        Columns entity_type, canonical, form, key; and the rows set aside.

    Raises:
        UsageError: the file cannot be read or holds no canary.
    """
    handed = _lines(path) if path.suffix.lower() in (".txt", "") else read_table(path, "canaries")
    names = {name.strip().lower(): name for name in handed.rows.columns}
    column = next((names[name] for name in _VALUE if name in names), None)
    if column is None:
        raise UsageError(
            f"{path}: the canaries have no column named value",
            "name the column that holds the planted text: value",
        )
    values = handed.rows.select(PLACE, canonical=pl.col(column).str.strip_chars())
    keyed = with_key(values.with_columns(entity_type=pl.lit(CANARY)))
    short = keyed["key"].fill_null("").str.len_chars() < SHORTEST
    aside = [
        SetAside(place, f"fewer than {SHORTEST} letters and digits: would be met by chance")
        for place in keyed.filter(short)[PLACE].to_list()
    ]
    kept = keyed.filter(~short).drop(PLACE).unique("key", maintain_order=True)
    if not len(kept):
        raise UsageError(
            f"{path}: no canary in it", f"a canary has at least {SHORTEST} letters and digits"
        )
    return kept, tuple(sorted((*handed.aside, *aside), key=lambda one: one.row))


def _lines(path: Path) -> HandedIn:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot read the canaries: {error.strerror}") from error
    rows = pl.DataFrame({"value": lines}, {"value": pl.String}).with_row_index(PLACE, 1)
    return HandedIn(rows.filter(pl.col("value").str.strip_chars() != ""))
