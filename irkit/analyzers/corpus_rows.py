"""Condense matched runs while the corpus streams by: count documents, keep a few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa

#: A run found in more documents than this is common text: a few rows stand for all.
COMMON_DF = 10
#: Rows kept for common text.
REPRESENTATIVES = 5
#: Rows gathered before they are condensed.
_CONDENSE_ROWS = 500_000


_SCHEMA: dict[str, type[pl.DataType]] = {
    "text": pl.Int64, "prompt": pl.Boolean, "response": pl.Boolean, "t_start": pl.Int64,
    "t_end": pl.Int64, "tokens": pl.Int64, "doc": pl.Int64, "d_start": pl.Int64,
    "d_end": pl.Int64, "is_tail": pl.Boolean, "whole_doc": pl.Boolean, "part": pl.Boolean,
    "df": pl.Int64,
}  # fmt: skip


class Gatherer:
    """Collects runs block by block and keeps a few rows per run of common text."""

    _KEY = ("text", "prompt", "response", "t_start", "t_end")

    def __init__(self) -> None:
        self._fresh: list[pl.DataFrame] = []
        self._parts: list[pl.DataFrame] = []
        self._count = 0
        self._kept: pl.DataFrame | None = None
        self._df: pl.DataFrame | None = None

    def add(self, table: pa.Table) -> None:
        """Take the runs of one block of the corpus."""
        if not table.num_rows:
            return
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        if frame["part"][0]:
            self._parts.append(frame)
            return
        self._fresh.append(frame)
        self._count += len(frame)
        if self._count >= _CONDENSE_ROWS:
            self._condense()

    def _condense(self) -> None:
        fresh = pl.concat(self._fresh)
        fresh = fresh.sort([*self._KEY, "doc", "d_start"]).unique(
            [*self._KEY, "doc"], keep="first", maintain_order=True
        )
        df = fresh.group_by(self._KEY).agg(pl.len().cast(pl.Int64).alias("df"))
        if self._kept is not None and self._df is not None:
            fresh = pl.concat([self._kept, fresh]).sort([*self._KEY, "doc", "d_start"])
            df = pl.concat([self._df, df]).group_by(self._KEY).agg(pl.col("df").sum())
        self._kept = fresh.filter(pl.int_range(pl.len()).over(self._KEY) < COMMON_DF)
        self._df = df
        self._fresh, self._count = [], 0

    def finish(self) -> pl.DataFrame:
        """Return the rows with ``df``, ordered."""
        if self._parts:
            self._fresh.append(_join_parts(pl.concat(self._parts)))
            self._parts = []
        if self._fresh:
            self._condense()
        if self._kept is None or self._df is None:
            return pl.DataFrame(schema=_SCHEMA)
        df = _containing(self._df)
        rows = self._kept.join(df, on=list(self._KEY), how="left", maintain_order="left")
        rank = pl.int_range(pl.len()).over(self._KEY)
        rows = rows.select(_SCHEMA.keys()).cast(_SCHEMA)  # type: ignore[arg-type]
        return rows.filter((pl.col("df") <= COMMON_DF) | (rank < REPRESENTATIVES))


def _containing(df: pl.DataFrame) -> pl.DataFrame:
    """Count for each run also the documents that share a longer run around it."""
    df = df.sort(["text", "t_start", "t_end", "prompt", "response"])
    text = df["text"].to_numpy()
    start, end = df["t_start"].to_numpy(), df["t_end"].to_numpy()
    own = df["df"].to_numpy()
    total = own.copy()
    edges = np.flatnonzero(np.concatenate([[True], text[1:] != text[:-1], [True]]))
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        # A text with thousands of different runs keeps the plain counts: the square would not fit.
        if 1 < high - low <= 2000:
            s, e = start[low:high], end[low:high]
            around = (s[None, :] <= s[:, None]) & (e[None, :] >= e[:, None])
            total[low:high] = around @ own[low:high]
    return df.with_columns(df=pl.Series(np.minimum(total, np.iinfo(np.int32).max)))


def _join_parts(rows: pl.DataFrame) -> pl.DataFrame:
    """Join the pieces of runs that cross the parts of one very long document."""
    key = ["doc", "text", "prompt", "response"]
    rows = rows.sort([*key, "t_start", "d_start"])
    joined: list[dict[str, int | bool]] = []
    for row in rows.iter_rows(named=True):
        same = [last for last in joined[-50:] if all(last[name] == row[name] for name in key)]
        for last in reversed(same):
            # Pieces of one run overlap by the same stretch on both sides.
            over_t = int(last["t_end"]) - row["t_start"]
            over_d = int(last["d_end"]) - row["d_start"]
            if over_t > 0 and over_d > 0 and abs(over_t - over_d) <= 2 + over_t // 4:
                if row["t_end"] > last["t_end"]:
                    share = over_t / max(1, row["t_end"] - row["t_start"])
                    last["tokens"] = int(last["tokens"]) + round(row["tokens"] * (1 - share))
                    last["t_end"], last["d_end"] = row["t_end"], row["d_end"]
                    last["is_tail"] = row["is_tail"]
                break
        else:
            joined.append(row)
    return pl.DataFrame(joined, schema=rows.schema)
