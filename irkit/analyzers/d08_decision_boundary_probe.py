"""D8: walks along a classifier's decision boundary: what label-only attacks need, scores or not.

Sources: Choquette-Choo et al. 2021 (label-only membership inference measures a record's distance to
the boundary), Chen et al. 2020 (HopSkipJump: binary search towards the boundary, then bursts of
equal steps around one point), Papernot et al. 2017 (probing near the boundary to copy a model).
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.registry import DetectorSpec, Signature, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

WALK = "D8.walk"
MARGIN = "D8.margin"
BISECTION = "D8.bisection"
#: Margin below which a row lies near the boundary.
_CLOSE = 0.1
#: Rows of a cloud, and changes of class within it, that make it a walk around one anchor.
_MEMBERS, _CROSSINGS = 4, 2
#: Halvings in a row that no coincidence gives, and how many such runs are asked for.
_RUN, _RUNS = 6, 3


@register
class DecisionBoundaryProbe:
    """Clouds of near rows whose class keeps changing, and steps that keep halving."""

    spec = DetectorSpec(
        id="D8",
        name="decision_boundary_probe",
        version="1",
        title="Decision-boundary probe",
        looks_for="rows around one anchor whose class flips back and forth, and binary searches "
        "towards the boundary, anchor after anchor; no confidence score is needed",
        inputs=("vectors",),
        statistic="walk: sum over clouds of near rows (distance at most a fifth of the typical one)"
        " of log2(1 + changes of class), at most 3 per anchor, plus log2(1 + steps half as long as "
        "the one before in the same line) / 2; margin: excess of rows with a margin below 0.1",
        threshold_source="conformal against ordinary classifier clients; signature at three runs "
        "of six halvings",
        cost="16 vector distances per row",
        checks=(
            "rows that change one or two fields at a time, as people in front of a form do, are no"
            " walk; nor is one anchor alone",
            "a device whose slow readings cross a threshold counts as one anchor",
        ),
        known_false_positives=(
            "robustness tests of a model's owner",
            "sensors whose slowly changing readings lie on a threshold",
            "what-if tools in which people look for the value that changes a decision",
        ),
        atlas=("AML.T0024.000", "AML.T0043.001"),
        nist_aml=("NISTAML.033",),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(
                WALK,
                5,
                ("vectors",),
                {
                    Technique.MEMBERSHIP_INFERENCE: 2.0,
                    Technique.MODEL_EXTRACTION: 1.0,
                    Technique.ATTRIBUTE_INFERENCE: 0.5,
                    Technique.DATA_RECONSTRUCTION: 0.5,
                },
                least=2.0,
            ),
            Statistic(
                MARGIN,
                25,
                ("vectors",),
                {Technique.MODEL_EXTRACTION: 0.5, Technique.MEMBERSHIP_INFERENCE: 0.5},
                supporting=True,
            ),
        ),
        signatures=(
            Signature(
                BISECTION,
                Technique.MEMBERSHIP_INFERENCE,
                "three or more binary searches of six or more halvings towards the decision "
                "boundary, each along a line through several features",
                needs=("vectors",),
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score calls by the crossings and halvings of their rows, and by rows of small margin."""
        if not log.has_vectors.any():
            none = np.zeros(len(log), np.float32)
            return {WALK: none, MARGIN: none}
        items = log.items
        steps = log.by_record(items.crosses) + 0.5 * log.by_record(items.halves)
        close = log.by_record(np.nan_to_num(items.margin, nan=1.0) < _CLOSE)
        return {WALK: steps.astype(np.float32), MARGIN: close.astype(np.float32)}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Walks over anchors, and the share of rows near the boundary."""
        count = len(windows)
        if not log.has_vectors.any():
            return {WALK: np.zeros(count), MARGIN: np.zeros(count)}
        items, inside = log.items, log.items_in(windows)
        owner, cloud, size, _ = inside.groups(items.variants, items.variants != 0)
        crossed = np.zeros(len(owner))
        at, key, crossings, _ = inside.groups(items.variants, items.crosses)
        place = _find(owner, cloud, at, key)
        crossed[place] = crossings
        walk = (size >= _MEMBERS) & (crossed >= _CROSSINGS)
        gain = np.where(walk, np.minimum(3.0, np.log2(1.0 + crossed)), 0.0)
        total = np.bincount(owner, weights=gain, minlength=count)
        halvings = inside.total(items.halves)
        sizes = np.maximum(inside.sizes, 1)
        close = inside.total(np.nan_to_num(items.margin, nan=1.0) < _CLOSE)
        return {WALK: total + 0.5 * np.log2(1.0 + halvings), MARGIN: close / sizes}

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:
        """Several long runs of halvings along oblique lines."""
        if not log.has_vectors.any():
            return {BISECTION: np.zeros(len(windows), np.bool_)}
        items = log.items
        good = items.halves & items.wide
        run = np.zeros(len(items), np.int64)
        index = np.arange(len(items))
        since = np.maximum.accumulate(np.where(good, -1, index)) if len(items) else index
        run = np.where(good, index - since, 0)
        # The sixth halving in a row counts its run once.
        runs = log.items_in(windows).total(run == _RUN)
        return {BISECTION: runs >= _RUNS}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == MARGIN:
            return "sends rows on which the model is undecided"
        return "moves a row back and forth across the model's decision boundary"


def _find(
    owner: NDArray[np.int64],
    cloud: NDArray[np.uint64],
    at: NDArray[np.int64],
    key: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Return where each (window, cloud) of the second list stands in the first, which holds it."""
    order = np.lexsort((np.concatenate([cloud, key]), np.concatenate([owner, at])))
    both = np.isin(np.arange(len(order)), np.arange(len(owner)))[order]
    # Equal pairs sort next to each other, the one of the first list before (stable).
    place = np.cumsum(both) - 1
    position = np.empty(len(order), np.int64)
    position[order] = place
    return position[len(owner) :]
