"""Records as arrays in actor order, and the windows that statistics are computed on.

The actor lattice has three observed levels: session, credential, source IP (a fourth, the linked
campaign, is added by :mod:`irkit.analyzers.campaign`).  A *partition* is the finest stable actor
of a record: its credential, else its source IP, else its session; relations between prompts are
looked for inside a partition.

Retries are taken out first: the same credential, prompt, parameters and turn within 60 seconds of
the call before count as one call.  What a retry's *response* showed is kept by its leader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import mix
from irkit.model import UnitKind

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from irkit.case import Case

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Window sizes at which ordinary and tested actors are compared.
BUCKETS = (1, 5, 10, 25, 50, 100, 200)
#: Sizes at which unions of actors are compared, and actors drawn for one random union.
UNION_BUCKETS = (25, 50, 100, 200)
UNION_ACTORS = 8
RETRY_SECONDS = 60
#: Text ids are SHA-256 prefixes in hex; 64 bits of one serve as an in-memory key.  Colliding two
#: texts on purpose (2**32 trials) would only make two prompts count as one here; what leaked is
#: decided on the texts themselves.
KEY = (
    "CASE WHEN {0} IS NOT NULL"
    " THEN coalesce(TRY_CAST('0x' || left({0}, 16) AS UBIGINT), hash({0})) END"
)

_RECORDS = f"""
SELECT q.record_id, q.source_id, q.entry_no, q.sub_no, epoch_us(q.event_time) AS time_us,
  q.credential_id AS credential, q.client_ip AS source_ip, s.session_key AS session,
  coalesce(q.operation, '') AS operation,
  coalesce(q.model_version, q.model_served, q.model_requested, '') AS model,
  q.params_known IS TRUE AS params_known, q.temperature::FLOAT AS temperature,
  q.max_tokens::FLOAT AS max_tokens,
  coalesce(q.has_logprobs, q.logprobs_requested, false) AS logprobs, q.echo IS TRUE AS echo,
  coalesce(q.scalars_returned, 0)::INTEGER AS scalars,
  coalesce(q.logit_bias_size, 0) AS bias_size, q.output_tokens::FLOAT AS output_tokens,
  coalesce(q.response_chars, 0)::FLOAT AS response_chars,
  hash(coalesce(q.user_agent, '')) AS agent_key, q.system_text_id IS NOT NULL AS has_system,
  {KEY.format("q.prompt_text_id")} AS prompt_key,
  {KEY.format("q.response_text_id")} AS response_key,
  hash(q.temperature, q.top_p, q.n, q.max_tokens, q.logprobs_requested, q.top_logprobs, q.echo,
       q.seed, q.stop) AS fingerprint,
  hash(q.temperature, q.top_p, q.n, q.max_tokens, q.logprobs_requested, q.top_logprobs, q.echo,
       q.logit_bias, q.seed, q.turn_count, q.system_text_id) AS params_key
FROM query_record q LEFT JOIN (SELECT record_id, min(session_key) AS session_key
  FROM record_session GROUP BY record_id) s USING (record_id)
WHERE q.duplicate_of IS NULL AND q.record_kind <> 'access_only'
"""


@dataclass(frozen=True, slots=True)
class Names:
    """Unit names in code order (sorted), codes being positions."""

    values: pl.Series

    def __len__(self) -> int:
        return len(self.values)

    def of(self, codes: I64) -> pl.Series:
        """Return the names of some codes."""
        return self.values.gather(codes)


@dataclass(frozen=True, slots=True)
class QueryLog:
    """All records of a case in partition and time order, as arrays of one length.

    Attributes:
        record_id: ids, in array order.
        time: microseconds since 1970 UTC; the smallest integer where the log has no time.
        part: partition code, ascending.
        codes: per unit kind the unit's code, -1 where the record has none.
        names: per unit kind the names in code order.
        leader: index of the first call of a retry run (own index outside of runs).
        kept: records that count as queries (``leader == index``).
        columns: further numeric columns by name.
        operation: operation label code, with ``operations`` as names.
    """

    record_id: pl.Series
    time: I64
    part: I64
    codes: dict[UnitKind, I64]
    names: dict[UnitKind, Names]
    leader: I64
    kept: Bools
    columns: dict[str, NDArray[Any]]
    operation: I64
    operations: list[str]

    def __len__(self) -> int:
        return len(self.part)


NO_TIME = np.iinfo(np.int64).min
#: What records of a partition are ordered by; what is not known comes last.
_ORDER = ("time_us", "source_id", "entry_no", "sub_no")
_LAST = np.iinfo(np.int64).max
#: Columns that are taken as they are, with the value of what is not known (None: always known).
_COLUMNS: dict[str, float | None] = {
    **dict.fromkeys(("params_known", "logprobs", "echo", "scalars", "bias_size", "response_chars")),
    "has_system": None,
    "prompt_key": 0,
    "response_key": 0,
    **dict.fromkeys(("params_key", "fingerprint", "agent_key")),
    **dict.fromkeys(("temperature", "max_tokens", "output_tokens"), float("nan")),
}


def load_log(case: Case) -> QueryLog:
    """Read every call of a case in a fixed order and mark retries.

    Names become codes and columns become arrays one by one, so that no frame of all columns is
    held, let alone copied to be sorted.
    """
    import polars as pl

    table = case.con.execute(_RECORDS).to_arrow_table()
    coded, names = {}, {}
    for column in ("credential", "source_ip", "session", "operation", "model"):
        names[column], coded[column] = _code(table[column])
        table = table.drop_columns(column)
    coded["part"] = _partitions(*(coded[name] for name in ("credential", "source_ip", "session")))
    record_id = pl.Series("record_id", table["record_id"])
    keys = [coded["part"], *(_filled(table[name].cast("int64"), _LAST) for name in _ORDER)]
    order = _order(keys, record_id)
    record_id = record_id.gather(order)
    part = coded["part"][order]
    codes = {name: coded[name][order] for name in coded if name != "part"}
    time = _filled(table["time_us"], NO_TIME)[order]
    columns = {name: _filled(table[name], empty)[order] for name, empty in _COLUMNS.items()}
    columns["model"] = codes["model"]
    leader = _leaders(part, columns["prompt_key"], columns["params_key"], time)
    kinds = {UnitKind.SESSION: "session", UnitKind.CREDENTIAL: "credential"}
    kinds[UnitKind.SOURCE_IP] = "source_ip"
    return QueryLog(
        record_id,
        time,
        part,
        {kind: codes[column] for kind, column in kinds.items()},
        {kind: Names(names[column]) for kind, column in kinds.items()},
        leader,
        leader == np.arange(len(leader)),
        columns,
        codes["operation"],
        names["operation"].to_list(),
    )


def _code(values: pa.ChunkedArray) -> tuple[pl.Series, I64]:
    """Return the sorted distinct values and each row's position in them (-1: null)."""
    import polars as pl
    import pyarrow as pa

    encoded = values.dictionary_encode().unify_dictionaries()
    chunks = [chunk for chunk in encoded.chunks if len(chunk)]
    if not chunks:
        return pl.Series([], dtype=pl.String), np.zeros(0, np.int64)
    found = pl.Series(chunks[0].dictionary.cast(pa.large_string()), dtype=pl.String)
    order = found.arg_sort().to_numpy()
    place = np.full(len(found) + 1, -1, np.int64)
    place[order] = np.arange(len(found))
    at = np.concatenate([chunk.indices.fill_null(-1).to_numpy() for chunk in chunks])
    # The index -1 of a null takes the last place, which holds -1.
    return found.gather(order), place[at]


def _partitions(credential: I64, source_ip: I64, session: I64) -> I64:
    """Number what stands for the actor of each record: nothing, credential, address, session."""
    addresses = int(credential.max(initial=-1)) + 2
    sessions = addresses + int(source_ip.max(initial=-1)) + 1
    key = np.where(session >= 0, sessions + session, 0)
    key = np.where(source_ip >= 0, addresses + source_ip, key)
    key = np.where(credential >= 0, 1 + credential, key)
    used = np.zeros(int(key.max(initial=0)) + 1, np.bool_)
    used[key] = True
    return np.asarray((np.cumsum(used) - 1)[key], np.int64)


def _filled(values: pa.ChunkedArray, empty: float | None) -> NDArray[Any]:
    """Return a column as an array, with a value for what is not known."""
    import pyarrow.compute as pc

    known = values if empty is None else pc.fill_null(values, empty)
    return np.asarray(known.to_numpy())


def _order(keys: list[I64], record_id: pl.Series) -> I64:
    """Order records by the keys, and by their ids where all keys are equal."""
    order = np.lexsort(keys[::-1])
    same = np.ones(max(0, len(order) - 1), np.bool_)
    for key in keys:
        same &= key[order[1:]] == key[order[:-1]]
    if not same.any():
        return order
    tied = np.zeros(len(order), np.bool_)
    tied[order[1:][same]] = tied[order[:-1][same]] = True
    rows = np.flatnonzero(tied)
    rank = np.zeros(len(order), np.int64)
    rank[rows[record_id.gather(rows).arg_sort().to_numpy()]] = np.arange(len(rows))
    return np.lexsort([rank, *keys[::-1]])


def _leaders(part: I64, prompt: U64, params: U64, time: I64) -> I64:
    """Return, per record, the first record of its retry run."""
    count = len(part)
    leader = np.arange(count)
    if count < 2:
        return leader
    order = np.lexsort((leader, params, prompt, part))
    before, after = order[:-1], order[1:]
    same = (part[before] == part[after]) & (prompt[before] == prompt[after])
    same &= (params[before] == params[after]) & (prompt[after] != 0)
    gap = time[after].astype(np.float64) - time[before].astype(np.float64)
    same &= gap <= RETRY_SECONDS * 1e6
    begins = np.ones(count, np.bool_)
    begins[1:] = ~same
    head = order[begins][np.cumsum(begins) - 1]
    leader[order] = head
    return leader


@dataclass(frozen=True, slots=True)
class Windows:
    """Runs of an actor's queries in time order; the unit of every statistic.

    Attributes:
        unit: unit code of each window.
        bucket: nominal size of each window (its rows may be more only for whole units).
        bounds: first row of each window, plus the total.
        rows: record index of each row.
        owner: window of each row.
    """

    unit: I64
    bucket: I64
    bounds: I64
    rows: I64
    owner: I64

    def __len__(self) -> int:
        return len(self.unit)

    @property
    def sizes(self) -> I64:
        """Queries per window."""
        return np.diff(self.bounds)

    def total(self, values: NDArray[Any]) -> F64:
        """Sum a per-record column over each window."""
        running = np.zeros(len(self.rows) + 1, np.float64)
        np.cumsum(values[self.rows], out=running[1:], dtype=np.float64)
        return running[self.bounds[1:]] - running[self.bounds[:-1]]

    def peak(self, values: NDArray[Any]) -> F64:
        """Return the largest value of a per-record column in each window."""
        if not len(self):
            return np.zeros(0)
        return np.maximum.reduceat(values[self.rows].astype(np.float64), self.bounds[:-1])

    def groups(
        self, key: U64, mask: Bools, values: NDArray[Any] | None = None
    ) -> tuple[I64, U64, I64, F64]:
        """Return (window, key, records, largest value) for every distinct key of each window."""
        chosen = np.flatnonzero(mask[self.rows])
        owner, keys = self.owner[chosen], key[self.rows[chosen]]
        value = np.ones(len(chosen)) if values is None else values[self.rows[chosen]]
        order = np.lexsort((keys, owner))
        owner, keys, value = owner[order], keys[order], value[order].astype(np.float64)
        begin = np.ones(len(keys), np.bool_)
        begin[1:] = (keys[1:] != keys[:-1]) | (owner[1:] != owner[:-1])
        starts = np.flatnonzero(begin)
        best = np.maximum.reduceat(value, starts) if starts.size else value
        return owner[starts], keys[starts], np.diff(np.append(starts, len(keys))), best

    def distinct(self, key: U64, mask: Bools) -> F64:
        """Count distinct keys among the marked records of each window."""
        return np.bincount(self.groups(key, mask)[0], minlength=len(self)).astype(np.float64)

    def best_per_key(self, key: U64, values: NDArray[Any], mask: Bools) -> F64:
        """Sum over distinct keys the largest value each key reaches in the window."""
        owner, _, _, best = self.groups(key, mask, values)
        return np.bincount(owner, weights=best, minlength=len(self)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Units:
    """Actors of one kind with their queries in time order.

    Attributes:
        kind: level of the lattice.
        code: unit code of each actor.
        bounds: first row of each actor, plus the total.
        rows: record index (retries left out), actor by actor in time order.
    """

    kind: UnitKind
    code: I64
    bounds: I64
    rows: I64

    def __len__(self) -> int:
        return len(self.code)

    @property
    def sizes(self) -> I64:
        """Queries per actor."""
        return np.diff(self.bounds)


def units_of(log: QueryLog, kind: UnitKind, codes: I64 | None = None) -> Units:
    """Group the kept records of a log by actor.

    Args:
        log: the records.
        kind: level of the lattice.
        codes: unit code per record instead of the observed ones (for campaigns).
    """
    code = log.codes[kind] if codes is None else codes
    rows = np.flatnonzero(log.kept & (code >= 0))
    rows = rows[np.lexsort((rows, log.time[rows], code[rows]))]
    unit, starts = np.unique(code[rows], return_index=True)
    return Units(kind, unit, np.append(starts, len(rows)).astype(np.int64), rows)


def subset(units: Units, chosen: Bools) -> Units:
    """Return some of the actors."""
    index = np.flatnonzero(chosen)
    size = units.sizes[index]
    bounds = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    take = np.repeat(units.bounds[index] - bounds[:-1], size) + np.arange(bounds[-1])
    return Units(units.kind, units.code[index], bounds, units.rows[take])


def joined_windows(one: Windows, other: Windows) -> Windows:
    """Return the windows of both."""
    return Windows(
        np.concatenate([one.unit, other.unit]),
        np.concatenate([one.bucket, other.bucket]),
        np.concatenate([one.bounds, other.bounds[1:] + one.bounds[-1]]),
        np.concatenate([one.rows, other.rows]),
        np.concatenate([one.owner, other.owner + len(one)]),
    )


def whole_units(units: Units) -> Windows:
    """Return one window per actor, holding all its queries."""
    return Windows(
        units.code,
        units.sizes,
        units.bounds,
        units.rows,
        np.repeat(np.arange(len(units)), units.sizes),
    )


def tiled_windows(units: Units, buckets: Sequence[int]) -> Windows:
    """Cut every actor into windows of the largest bucket it fills, overlapping by half.

    The last window always ends at the actor's last query, so no query goes untested.
    """
    if not len(units) or not len(buckets):
        return whole_units(Units(units.kind, units.code[:0], units.bounds[:1] * 0, units.rows[:0]))
    sizes = units.sizes
    ordered = np.array(sorted(buckets), np.int64)
    place = np.searchsorted(ordered, sizes, side="right") - 1
    usable = np.flatnonzero(place >= 0)
    bucket = ordered[place[usable]]
    size = sizes[usable]
    stride = np.maximum(1, bucket // 2)
    extra = -((bucket - size) // stride)
    count = extra + 1
    actor = np.repeat(usable, count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    width = np.repeat(bucket, count)
    offset = np.minimum(step * np.repeat(stride, count), np.repeat(size - bucket, count))
    return _cut(units, actor, offset, width)


def baseline_windows(units: Units, buckets: Sequence[int], seed: int) -> Windows:
    """Take one window per actor and bucket, at a place fixed by the actor's number and the seed."""
    parts: list[tuple[I64, I64, I64]] = []
    for bucket in sorted(buckets):
        actor = np.flatnonzero(units.sizes >= bucket)
        draw = mix(mix(actor.astype(np.uint64)) + np.uint64(seed) * np.uint64(1009 + bucket))
        room = (units.sizes[actor] - bucket + 1).astype(np.uint64)
        parts.append((actor, (draw % room).astype(np.int64), np.full(len(actor), bucket)))
    actor, offset, width = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return _cut(units, actor, offset, width)


def union_windows(units: Units, time: I64, bucket: int, seed: int) -> Windows:
    """Draw one random union per actor: runs of queries of several actors, in time order.

    Args:
        units: ordinary actors.
        time: time per record, by which a union's queries are ordered.
        bucket: queries of a union.
        seed: fixes the draw.
    """
    size = -(-bucket // UNION_ACTORS)
    able = np.flatnonzero(units.sizes >= size)
    if len(able) < 2 * UNION_ACTORS:
        return whole_units(Units(units.kind, units.code[:0], units.bounds[:1], units.rows[:0]))
    count = len(able)
    slot = np.arange(count * UNION_ACTORS, dtype=np.uint64)
    draw = mix(mix(slot) + np.uint64(seed) * np.uint64(2003 + bucket))
    actor = able[(draw % np.uint64(count)).astype(np.int64)]
    room = (units.sizes[actor] - size + 1).astype(np.uint64)
    offset = (mix(draw) % room).astype(np.int64)
    rows = (units.bounds[actor] + offset)[:, None] + np.arange(size)
    rows = units.rows[rows.reshape(count, UNION_ACTORS * size)][:, :bucket]
    # The last actor gives what is missing to the bucket, so cut before ordering by time.
    order = np.argsort(time[rows], axis=1, kind="stable")
    rows = np.take_along_axis(rows, order, axis=1).reshape(-1)
    return Windows(
        np.arange(count),
        np.full(count, bucket),
        np.arange(count + 1) * bucket,
        rows,
        np.repeat(np.arange(count), bucket),
    )


def _cut(units: Units, actor: I64, offset: I64, width: I64) -> Windows:
    bounds = np.zeros(len(actor) + 1, np.int64)
    np.cumsum(width, out=bounds[1:])
    start = units.bounds[actor] + offset
    rows = np.repeat(start - bounds[:-1], width) + np.arange(bounds[-1])
    return Windows(
        units.code[actor],
        width,
        bounds,
        units.rows[rows],
        np.repeat(np.arange(len(actor)), width),
    )
