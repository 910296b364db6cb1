"""D1: more calls than the actor's own history, or more accounts behind one address, let expect.

The first control an operator has: query volume per credential and per source IP.  Busy is not
guilty, so this detector only supports a technique that another detector points to; it never decides
one.  The statistics behind it are in :mod:`irkit.analyzers.volume`.
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.registry import DetectorSpec, NoSignatures, Statistic, register
from irkit.analyzers.sequences import NO_TIME
from irkit.analyzers.volume import Volume, fan, volume
from irkit.model import Technique, UnitKind

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

VOLUME, FAN = "D1.volume", "D1.fan"
#: Surprises in nats are kept in quarters: finer differences mean nothing.
_STEP = 4.0


def _weights(share: float) -> dict[Technique, float]:
    """Weights of the published table (0.5, and 0.25 for attribute inference), times a share."""
    return {
        Technique.TRAINING_DATA_EXTRACTION: 0.5 * share,
        Technique.MEMBERSHIP_INFERENCE: 0.5 * share,
        Technique.MODEL_EXTRACTION: 0.5 * share,
        Technique.ATTRIBUTE_INFERENCE: 0.25 * share,
    }


@register
class QueryVolumeBaseline(NoSignatures):
    """Counts per hour, six hours and day; slow drips; accounts per address and back."""

    spec = DetectorSpec(
        id="D1",
        name="query_volume_baseline",
        version="1",
        title="Query volume above its own baseline",
        looks_for="bursts and slow rises of calls per credential and per source IP, and many"
        " credentials behind one address or many addresses behind one credential",
        inputs=("times", "source IPs"),
        statistic="largest -ln P(count or more) over windows of 1, 6 and 24 hours under a negative"
        " binomial whose mean is the actor's other buckets, shrunk by 24 hours towards all actors"
        " with the same hour of the week; EWMA and CUSUM for slow drips; robust z where there is"
        " no history; the same tail for distinct credentials per address and addresses per"
        " credential and day",
        threshold_source="conformal against ordinary actors; NB2 by moments, EWMA 0.2/3, CUSUM"
        " 0.5/5, robust z 3.5 (Iglewicz and Hoaglin 1993) only shape the statistic",
        cost="grouping of calls by actor and hour; under one microsecond per call",
        checks=(
            "volume alone accuses nobody",
            "the comparison is with the actor's own other days and the hours at which all "
            "actors call",
        ),
        known_false_positives=(
            "launches, migrations, nightly batches and load tests",
            "teaching rooms, offices and gateways that share one address",
            "customers who move between networks",
        ),
        atlas=("AML.T0024", "AML.T0034.000"),
        nist_aml=("NISTAML.031", "NISTAML.033", "NISTAML.038"),
        owasp=("LLM10:2025",),
        statistics=(
            Statistic(VOLUME, 10, ("times",), _weights(1.0), 3.0, True, False),
            Statistic(FAN, 10, ("times", "addresses"), _weights(0.5), 3.0, True, False),
        ),
    )

    def __init__(self) -> None:
        self._made: tuple[object, dict[UnitKind, tuple[NDArray[np.int64], Volume]]] | None = None

    def _volumes(self, log: Features) -> dict[UnitKind, tuple[NDArray[np.int64], Volume]]:
        """Volumes per credential (else whatever identifies the actor) and per source IP."""
        if self._made is None or self._made[0] is not log:
            made = {}
            timed = log.log.kept & (log.log.time != NO_TIME)
            for kind, code in (
                (UnitKind.CREDENTIAL, log.log.part),
                (UnitKind.SOURCE_IP, log.log.codes[UnitKind.SOURCE_IP]),
            ):
                rows = np.flatnonzero(timed & (code >= 0))
                made[kind] = (rows, volume(code[rows], log.log.time[rows]))
            self._made = (log, made)
        return self._made[1]

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score every call with the most surprising window around it."""
        busy = np.zeros(len(log))
        for rows, found in self._volumes(log).values():
            np.maximum.at(busy, rows, found.nats)
        codes = log.log.codes[UnitKind.SOURCE_IP]
        both = np.flatnonzero(log.log.kept & (log.log.time != NO_TIME) & (codes >= 0))
        wide = np.zeros(len(log))
        part, source, time = log.log.part[both], codes[both], log.log.time[both]
        wide[both] = np.maximum(fan(source, part, time)[0], fan(part, source, time)[0])
        return {VOLUME: _stepped(busy), FAN: _stepped(wide)}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Peak over the window's calls."""
        return {key: windows.peak(scores[key]) for key in (VOLUME, FAN)}

    def unit_note(self, log: Features, kind: UnitKind, rows: NDArray[np.int64]) -> str:
        """Say how many calls there were beyond what the history lets expect."""
        level = UnitKind.SOURCE_IP if kind is UnitKind.SOURCE_IP else UnitKind.CREDENTIAL
        place, found = self._volumes(log)[level]
        at = np.searchsorted(place, rows)
        at = at[(at < len(place)) & (place[np.minimum(at, len(place) - 1)] == rows)]
        excess = round(float(found.excess[at].sum()))
        return f"{excess:,} calls more than the daily baseline" if excess else ""

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == FAN:
            return "many credentials behind one address, or many addresses behind one credential"
        best: tuple[float, str] = (0.0, "")
        for kind, (rows, found) in self._volumes(log).items():
            i = int(np.searchsorted(rows, record))
            if i == len(rows) or rows[i] != record or found.nats[i] <= best[0]:
                continue
            who = "this address" if kind is UnitKind.SOURCE_IP else "this actor"
            best = (float(found.nats[i]), _words(found, i, who))
        return best[1]


def _words(found: Volume, i: int, who: str) -> str:
    hours = int(found.hours[i])
    if hours == 0:
        return f"part of a slow, lasting rise in the calls of {who}"
    if hours < 0:
        return f"more calls a day than nearly all others, and no history of {who}"
    span = "hour" if hours == 1 else f"{hours} hours"
    return (
        f"one of {found.count[i]:.0f} calls of {who} within {span}, where its history lets expect"
        f" {max(1.0, found.expected[i]):.0f}"
    )


def _stepped(nats: NDArray[np.float64]) -> NDArray[np.float32]:
    return (np.ceil(nats * _STEP) / _STEP).astype(np.float32)
