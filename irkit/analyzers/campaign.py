"""S2: actors that share one operation, each too small to stand out, found by what links them.

Links are drawn only through queries that some detector finds unusual, so that ordinary customers of
one application are not tied together.  Two actors are linked where such queries agree in

* the detector that found them, the parameters, and the head or the tail of the template (names and
  numbers masked), or
* the detector, the parameters and the client software, for actors with several such queries.

Linking accuses nobody: what convicts is the retest of the union, with all its queries.  It must
stand out from single ordinary actors *and* from random unions of ordinary actors of the same size,
else the union's size alone would look like an attack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.baseline import UNION
from irkit.analyzers.judge import Court, Judged, judge
from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.sequences import Names, QueryLog, units_of
from irkit.model import UnitKind

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

#: Per-query p-value below which a query may link its actor.
UNUSUAL = 0.02
#: Fewest actors of a campaign.
LEAST_ACTORS = 3
#: Unusual queries that link two actors through their client software alone.
_LEAST_QUERIES = 3
#: A link shared by a larger share of all actors is a fashion, not a fingerprint.
_COMMON_SHARE = 0.5
#: Weight a statistic must have in some technique for its queries to link actors.
_LINKING = 1.0


@dataclass(frozen=True, slots=True)
class Campaigns:
    """Linked actors and the verdicts on their unions."""

    judged: Judged
    members: list[list[str]]


def link(court: Court) -> tuple[I64, int]:
    """Return the campaign of every record (-1: none) and how many campaigns there are."""
    log = court.scorer.log
    parts, keys = [], []
    for i, (_, statistic) in enumerate(court.scorer.statistics):
        if max(statistic.weights.values()) < _LINKING:
            continue
        score = court.scorer.query[statistic.key]
        p = court.baseline.query_p(statistic.key, score)
        rows = np.flatnonzero((p <= UNUSUAL) & log.log.kept & log.has_prompts)
        if not rows.size:
            continue
        settings = mix(log.column("fingerprint")[rows] + np.uint64(i + 1))
        part = log.log.part[rows]
        for salt, column in ((1, log.prompt("head")), (2, log.prompt("tail"))):
            parts.append(part)
            keys.append(mix(settings ^ mix(column[rows] + np.uint64(salt))))
        often = np.bincount(part)[part] >= _LEAST_QUERIES
        parts.append(part[often])
        keys.append(mix(settings[often] ^ mix(log.column("agent_key")[rows[often]])))
    label = _components(parts, keys, int(log.log.part.max(initial=-1)) + 1)
    return label[log.log.part], int(label.max(initial=-1)) + 1


def _components(parts: list[I64], keys: list[U64], count: int) -> I64:
    """Tie actors that share a key; return a component number per actor (-1: fewer than three)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    label = np.full(count, -1, np.int64)
    if not parts or not count:
        return label
    pairs = np.unique(
        np.stack([np.concatenate(keys), np.concatenate(parts).view(np.uint64)]), axis=1
    )
    _, place, sharing = np.unique(pairs[0], return_inverse=True, return_counts=True)
    fits = (sharing >= LEAST_ACTORS) & (sharing <= max(LEAST_ACTORS, _COMMON_SHARE * count))
    chosen = fits[place]
    actor, key = pairs[1, chosen].astype(np.int64), place[chosen]
    if not actor.size:
        return label
    size = count + len(sharing)
    graph = coo_matrix((np.ones(len(actor), np.int8), (actor, key + count)), shape=(size, size))
    _, found = connected_components(graph, directed=False)
    touched = np.unique(actor)
    _, inverse, members = np.unique(found[touched], return_inverse=True, return_counts=True)
    large = members >= LEAST_ACTORS
    number = np.where(large, np.cumsum(large) - 1, -1)
    label[touched] = number[inverse]
    return label


def campaigns(court: Court) -> Campaigns | None:
    """Link actors and retest every union."""
    import polars as pl

    code, count = link(court)
    log = court.scorer.log.log
    if not count:
        return None
    code, names = _by_first_call(log, code, count)
    log.codes[UnitKind.CAMPAIGN] = code
    log.names[UnitKind.CAMPAIGN] = Names(pl.Series(names, dtype=pl.String))
    units = units_of(log, UnitKind.CAMPAIGN)
    judged = judge(court, units)
    beside = judge(replace(court, stratum=UNION), units)
    # Where no unions were calibrated the retest rests on single actors alone.
    known = beside.size > 0
    worse = known & (beside.overall > judged.overall)
    judged.overall[worse] = beside.overall[worse]
    judged.technique[worse] = beside.technique[worse]
    judged.size[worse] = beside.size[worse]
    # A union shows a signature where any member does; that is the member's finding, not the
    # campaign's.
    judged.signatures[:] = False
    return Campaigns(judged, [members_of(log, units.rows[a:b]) for a, b in _spans(units.bounds)])


def _spans(bounds: I64) -> list[tuple[int, int]]:
    return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def _by_first_call(log: QueryLog, code: I64, count: int) -> tuple[I64, list[str]]:
    """Number campaigns by their first call, so that names are stable."""
    inside = np.flatnonzero((code >= 0) & log.kept)
    first = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(first, code[inside], log.time[inside])
    least = np.full(count, len(log))
    np.minimum.at(least, code[inside], inside)
    rank = np.empty(count, np.int64)
    rank[np.lexsort((least, first))] = np.arange(count)
    width = len(str(count))
    return np.where(code >= 0, rank[np.maximum(code, 0)], -1), [
        f"campaign-{i + 1:0{width}d}" for i in range(count)
    ]


def members_of(log: QueryLog, rows: I64) -> list[str]:
    """Name the actors behind some records: credentials, else addresses, else sessions."""
    out: list[str] = []
    left = np.ones(len(rows), np.bool_)
    for kind, prefix in (
        (UnitKind.CREDENTIAL, ""),
        (UnitKind.SOURCE_IP, "source_ip:"),
        (UnitKind.SESSION, "session:"),
    ):
        codes = log.codes[kind][rows]
        named = left & (codes >= 0)
        out += [prefix + str(name) for name in log.names[kind].of(np.unique(codes[named]))]
        left &= codes < 0
    return out
