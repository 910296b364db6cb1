"""S2: actors that share one operation, each too small to stand out, found by what links them.

Links are drawn only through queries that some detector finds unusual, so that ordinary customers of
one application are not tied together.  Two actors are linked where such queries agree in

* the detector that found them, the parameters, and the head or the tail of the template (names and
  numbers masked), or
* the detector, the parameters and the client software, for actors with several such queries that
  point to the same technique by themselves, or
* the detector, the parameters and the network (IPv4 /24, IPv6 /48), for such actors: the level of
  the actor lattice above single addresses.  A network is reported through the campaign of its
  actors, so that it is never counted beside them.

Actors are grouped by rarity-weighted label propagation (:mod:`irkit.analyzers.communities`), so
that one bystander who shares something with two operations does not make them one.

Linking accuses nobody: what convicts is the retest of the union, with all its queries.  It must
stand out from single ordinary actors *and* from random unions of ordinary actors of the same size,
else the union's size alone would look like an attack.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.baseline import UNION
from irkit.analyzers.communities import communities
from irkit.analyzers.fuse import TECHNIQUES
from irkit.analyzers.judge import Court, Judged, judge
from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.registry import Statistic
from irkit.analyzers.sequences import Names, QueryLog, units_of
from irkit.model import UnitKind

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]

#: Per-query p-value below which a query may link its actor.
UNUSUAL = 0.02
#: Unusual queries that link two actors through their client software alone.
_LEAST_QUERIES = 3
#: Weight a statistic must have in some technique for its queries to link actors.
_LINKING = 1.0


@dataclass(frozen=True, slots=True)
class Links:
    """Which records belong to which campaign.

    Attributes:
        code: campaign of every record (-1: none).
        count: number of campaigns.
        template: records of a campaign in the wording and with the settings that link its actors,
            whether or not a detector finds them unusual (a target may be unknown to the model).
    """

    code: I64
    count: int
    template: Bools


def link(court: Court) -> Links:
    """Tie actors together through their unusual queries."""
    log = court.scorer.log
    found = list(_unusual(court))
    part = log.log.part
    if not found:
        return Links(np.full(len(part), -1), 0, np.zeros(len(part), np.bool_))
    parts: list[I64] = []
    keys: list[U64] = []
    forms: list[U64] = []
    wording: list[Bools] = []

    def add(rows: I64, key: U64, form: U64 | None = None) -> None:
        parts.append(part[rows])
        keys.append(key)
        forms.append(np.zeros(len(rows), np.uint64) if form is None else form)
        wording.append(np.full(len(rows), form is not None))

    prints = log.column("fingerprint")
    ends = [(1, log.prompt("head")), (2, log.prompt("tail"))]
    network = networks(log.log)
    form = [mix(prints ^ mix(column + np.uint64(salt))) for salt, column in ends]
    shown = _shown(found, part)
    for i, _, rows, _ in found:
        finder = np.uint64(i + 1)
        for shared in form:
            add(rows, mix(shared[rows] + finder), shared[rows])
        often = rows[np.bincount(part[rows])[part[rows]] >= _LEAST_QUERIES]
        # Settings, client and network are shared by operations of one team or one provider, too.
        kind = mix(shown[part[often]] ^ mix(prints[often])) + finder
        add(often, mix(kind ^ mix(log.column("agent_key")[often])))
        near = network[often] != 0
        add(often[near], mix(kind[near] ^ mix(network[often[near]] + np.uint64(3))))
    label, linking = communities(
        np.concatenate(parts),
        np.concatenate(keys),
        np.concatenate(wording),
        int(part.max(initial=-1)) + 1,
    )
    code = label[part]
    used = np.unique(np.concatenate(forms)[linking])
    used = used[used != 0]
    template = (code >= 0) & (np.isin(form[0], used) | np.isin(form[1], used))
    return Links(code, int(label.max(initial=-1)) + 1, template)


def _unusual(court: Court) -> Iterator[tuple[int, Statistic, I64, F64]]:
    """Yield per statistic that links its number and the unusual queries, with their p-values."""
    log = court.scorer.log
    for i, (_, statistic) in enumerate(court.scorer.statistics):
        if max(statistic.weights.values()) < _LINKING or not statistic.per_query:
            continue
        p = court.baseline.query_p(statistic.key, court.scorer.query[statistic.key])
        rows = np.flatnonzero((p <= UNUSUAL) & log.log.kept & log.has_prompts)
        if rows.size:
            yield i, statistic, rows, p[rows]


def _shown(found: Sequence[tuple[int, Statistic, I64, F64]], part: I64) -> U64:
    """Return per actor a number for the technique that its own queries point to (0: to none)."""
    points = np.zeros((len(TECHNIQUES), int(part.max(initial=-1)) + 1))
    for _, statistic, rows, p in found:
        if statistic.supporting:
            continue
        surprise = np.bincount(part[rows], weights=-np.log(p), minlength=points.shape[1])
        for technique, weight in statistic.weights.items():
            points[TECHNIQUES.index(technique)] += weight * surprise
    best = points.argmax(0) + 1
    return np.asarray(np.where(points.max(0) > 0, best, 0), np.uint64)


def networks(log: QueryLog) -> U64:
    """Return a number per record for the network of its address (0: no address)."""
    names = log.names[UnitKind.SOURCE_IP].values.to_list()
    codes = log.codes[UnitKind.SOURCE_IP]
    if not names:
        return np.zeros(len(codes), np.uint64)
    _, number = np.unique(np.array([network_of(name) for name in names]), return_inverse=True)
    found = (number.astype(np.uint64) + np.uint64(1))[np.maximum(codes, 0)]
    return np.asarray(np.where(codes >= 0, found, np.uint64(0)))


def network_of(address: str) -> str:
    """Return the IPv4 /24 or IPv6 /48 of an address; a masked or foreign one stands for itself."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.ipv4_mapped:
        found = found.ipv4_mapped
    prefix = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network((found.packed, prefix), strict=False))


@dataclass(frozen=True, slots=True)
class Campaigns:
    """Linked actors: the verdicts on their unions, and the records that share the template."""

    judged: Judged
    template: Bools


def campaigns(court: Court) -> Campaigns | None:
    """Link actors and retest every union."""
    import polars as pl

    links = link(court)
    log = court.scorer.log.log
    if not links.count:
        return None
    code, names = _by_first_call(log, links.code, links.count)
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
    return Campaigns(judged, links.template)


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
