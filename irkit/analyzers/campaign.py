"""S2: actors that share one operation, each too small to stand out, found by what links them.

Links are drawn only through queries that some detector finds unusual, so that ordinary customers of
one application are not tied together.  Two actors are linked where such queries agree in

* the detector that found them, the parameters, and the head or the tail of the template (names and
  numbers masked), or
* the detector, the parameters and the client software, for actors with several such queries, or
* the detector, the parameters and the network (IPv4 /24, IPv6 /48), for actors with several such
  queries: the level of the actor lattice above single addresses.  A network is reported through the
  campaign of its actors, so that it is never counted beside them.

Linking accuses nobody: what convicts is the retest of the union, with all its queries.  It must
stand out from single ordinary actors *and* from random unions of ordinary actors of the same size,
else the union's size alone would look like an attack.
"""

from __future__ import annotations

import ipaddress
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
    template: NDArray[np.bool_]


def link(court: Court) -> Links:
    """Tie actors together through their unusual queries."""
    log = court.scorer.log
    parts: list[I64] = []
    keys: list[U64] = []
    forms: list[U64] = []
    prints, part = log.column("fingerprint"), log.log.part
    ends = [(1, log.prompt("head")), (2, log.prompt("tail"))]
    network = networks(log.log)
    form = [mix(prints ^ mix(column + np.uint64(salt))) for salt, column in ends]
    for i, (_, statistic) in enumerate(court.scorer.statistics):
        if max(statistic.weights.values()) < _LINKING or not statistic.per_query:
            continue
        score = court.scorer.query[statistic.key]
        p = court.baseline.query_p(statistic.key, score)
        rows = np.flatnonzero((p <= UNUSUAL) & log.log.kept & log.has_prompts)
        if not rows.size:
            continue
        finder = np.uint64(i + 1)
        for shared in form:
            parts.append(part[rows])
            keys.append(mix(shared[rows] + finder))
            forms.append(shared[rows])
        often = rows[np.bincount(part[rows])[part[rows]] >= _LEAST_QUERIES]
        parts.append(part[often])
        keys.append(mix(mix(prints[often] ^ mix(log.column("agent_key")[often])) + finder))
        forms.append(np.zeros(len(often), np.uint64))
        near = often[network[often] != 0]
        parts.append(part[near])
        keys.append(mix(mix(prints[near] ^ mix(network[near] + np.uint64(3))) + finder))
        forms.append(np.zeros(len(near), np.uint64))
    label, linking = _components(parts, keys, int(part.max(initial=-1)) + 1)
    code = label[part]
    used = np.unique(np.concatenate(forms)[linking]) if forms else np.zeros(0, np.uint64)
    used = used[used != 0]
    template = (code >= 0) & (np.isin(form[0], used) | np.isin(form[1], used))
    return Links(code, int(label.max(initial=-1)) + 1, template)


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


def _components(parts: list[I64], keys: list[U64], count: int) -> tuple[I64, NDArray[np.bool_]]:
    """Tie actors that share a key.

    Returns:
        Component number per actor (-1: fewer than three actors), and which of the (actor, key)
        entries given hold a key that links.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    label = np.full(count, -1, np.int64)
    if not parts or not count:
        return label, np.zeros(0, np.bool_)
    key, actor = np.concatenate(keys), np.concatenate(parts)
    _, place = np.unique(key, return_inverse=True)
    pairs = np.unique(np.stack([place, actor]), axis=1)
    sharing = np.bincount(pairs[0])
    fits = (sharing >= LEAST_ACTORS) & (sharing <= max(LEAST_ACTORS, _COMMON_SHARE * count))
    chosen = fits[pairs[0]]
    if not chosen.any():
        return label, np.zeros(len(key), np.bool_)
    size = count + len(sharing)
    ends = (pairs[1, chosen], pairs[0, chosen] + count)
    graph = coo_matrix((np.ones(int(chosen.sum()), np.int8), ends), shape=(size, size))
    _, found = connected_components(graph, directed=False)
    touched = np.unique(pairs[1, chosen])
    _, inverse, members = np.unique(found[touched], return_inverse=True, return_counts=True)
    large = members >= LEAST_ACTORS
    number = np.where(large, np.cumsum(large) - 1, -1)
    label[touched] = number[inverse]
    return label, fits[place]


@dataclass(frozen=True, slots=True)
class Campaigns:
    """Linked actors: the verdicts on their unions, and the records that share the template."""

    judged: Judged
    template: NDArray[np.bool_]


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
