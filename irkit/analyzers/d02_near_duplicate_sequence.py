"""D2: runs of near-identical, never identical, prompts (the Blacklight, SEAT and QPA family).

Sources: Li et al. 2022 (Blacklight), Zhang et al. 2021 (SEAT), Li et al. 2024 (QPA, component-level
features instead of per-query hits).  Published thresholds did not transfer to text traffic, so only
the statistic is taken over and calibrated.
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.registry import DetectorSpec, NoSignatures, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

KEY = "D2.components"
VECTORS = "D2.vectors"


@register
class NearDuplicateSequence(NoSignatures):
    """Share of queries in components of three or more near duplicates."""

    spec = DetectorSpec(
        id="D2",
        name="near_duplicate_sequence",
        version="1",
        title="Near-duplicate query sequences",
        looks_for="many queries that differ from each other by small edits",
        inputs=("prompts", "vectors"),
        statistic="share of queries in near-duplicate components (MinHash over token 3-grams, "
        "estimated Jaccard at least 0.45, exact repeats left out) times 1 + log2(components); rows "
        "of numbers: the same over clouds of near rows",
        threshold_source="conformal against ordinary actors",
        cost="about 15 microseconds per distinct prompt",
        checks=(
            "exact repeats and retries are left out, and so are texts that only grow",
            "it supports other detectors and decides nothing alone",
        ),
        known_false_positives=(
            "templated applications and evaluation harnesses",
            "users who rephrase the same question",
        ),
        atlas=("AML.T0024", "AML.T0043.001"),
        nist_aml=("NISTAML.031",),
        owasp=("LLM10:2025",),
        statistics=(
            Statistic(
                KEY,
                25,
                ("prompts",),
                {Technique.MODEL_EXTRACTION: 0.5},
                supporting=True,
            ),
            Statistic(
                VECTORS,
                25,
                ("vectors",),
                {Technique.MODEL_EXTRACTION: 0.5, Technique.DATA_RECONSTRUCTION: 1.0},
                supporting=True,
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Mark queries with a near duplicate that is not the same text growing."""
        alike = (log.prompt("near") != 0) & ~log.prompt("grows") & log.fresh
        near = np.zeros(len(log), np.float32)
        if log.has_vectors.any():
            near[:] = log.by_record(log.items.cloud != 0)
        return {KEY: alike.astype(np.float32), VECTORS: near}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Share of queries in components of three or more, weighted by how many there are."""
        out = {KEY: _components(windows, log.prompt("near"), scores[KEY] > 0)}
        if log.has_vectors.any():
            cloud = log.items.cloud
            out[VECTORS] = _components(log.items_in(windows), cloud, cloud != 0)
        return out

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == VECTORS:
            return "nearly the same row as others of this actor, moved a little"
        return "nearly the same text as other queries of this actor, with small edits"


def _components(
    windows: Windows, key: NDArray[np.uint64], member: NDArray[np.bool_]
) -> NDArray[np.float64]:
    owner, _, size, _ = windows.groups(key, member)
    large = size >= 3
    inside = np.bincount(owner[large], weights=size[large], minlength=len(windows))
    count = np.bincount(owner[large], minlength=len(windows))
    share = inside / np.maximum(windows.sizes, 1)
    return np.asarray(share * (1.0 + np.log2(np.maximum(count, 1))))
