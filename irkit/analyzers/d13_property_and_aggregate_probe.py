"""D13: statistics of the training data as a whole, read off the model.

Sources: Suri and Evans 2022 (one probe set scored on several models; KL and threshold tests); for
generative models, repeated questions about shares and frequencies in the training data.  Comparing
the same probes across model versions is the strongest cue, because it isolates what an update
learned.
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.registry import DetectorSpec, NoSignatures, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

VERSIONS = "D13.versions"
AGGREGATE = "D13.aggregate"


@register
class PropertyAndAggregateProbe(NoSignatures):
    """One probe set on several model versions, and questions about the data as a whole."""

    spec = DetectorSpec(
        id="D13",
        name="property_and_aggregate_probe",
        version="1",
        title="Property and aggregate probe",
        looks_for="the same probes scored on several model versions, or many questions about "
        "shares and frequencies in the training data",
        inputs=("prompts", "params"),
        statistic="versions: distinct prompts sent to two or more model versions, weighted by how "
        "far the calls only read scores; aggregate: distinct prompts that ask for shares or "
        "frequencies in training data, customers or patients",
        threshold_source="conformal against ordinary actors",
        cost="two groupings of records",
        checks=(
            "the same prompt counts only where two model versions got it in one window",
            "replays that only read scores count five times as much",
        ),
        known_false_positives=(
            "regression suites that run on every model version",
            "analysts who ask a reporting assistant for shares",
        ),
        atlas=("AML.T0024.000",),
        nist_aml=("NISTAML.034",),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(VERSIONS, 25, ("prompts",), {Technique.PROPERTY_INFERENCE: 3.0}, least=10.0),
            Statistic(AGGREGATE, 10, ("prompts",), {Technique.PROPERTY_INFERENCE: 1.0}, least=5.0),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Mark prompts that this actor sent to several versions, and aggregate questions."""
        part, prompt = log.log.part.astype(np.uint64), log.column("prompt_key")
        key = mix(prompt) ^ mix(part)
        usable = np.flatnonzero(log.has_prompts)
        pairs = np.unique(
            np.stack([key[usable], log.column("model")[usable].astype(np.uint64)]), axis=1
        )
        keys, versions = np.unique(pairs[0], return_counts=True)
        several = np.zeros(len(log), np.bool_)
        if keys.size:
            several[usable] = versions[np.searchsorted(keys, key[usable])] >= 2
        asks = log.prompt("aggregate") & log.prompt("instructs")
        return {
            VERSIONS: np.where(several, 0.2 + 0.8 * log.score_only, 0.0).astype(np.float32),
            AGGREGATE: asks.astype(np.float32),
        }

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Sum over distinct prompts; a prompt counts where the window holds two versions of it."""
        prompt, score = log.column("prompt_key"), scores[VERSIONS]
        owner, _, _, best = windows.groups(prompt, score > 0, score)
        pair = mix(prompt) + log.column("model").astype(np.uint64)
        both, _, _, _ = windows.groups(pair, score > 0)
        # Every prompt has one (prompt, version) pair per version it was sent to.
        share = np.bincount(both, minlength=len(windows)) / np.maximum(
            np.bincount(owner, minlength=len(windows)), 1
        )
        total = np.bincount(owner, weights=best, minlength=len(windows)).astype(np.float64)
        asked = scores[AGGREGATE]
        return {
            VERSIONS: total * np.clip(share - 1.0, 0.0, 1.0),
            AGGREGATE: windows.best_per_key(prompt, asked, asked > 0),
        }

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == VERSIONS:
            return "the same prompt was sent to another model version, too"
        return "asks for shares or frequencies in the training data or among customers"
