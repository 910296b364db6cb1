"""D6: probability scores collected in bulk (MITRE ATLAS AML.T0063).

A supporting detector: evaluation harnesses and calibration teams do the same for good reasons, so
it never decides a technique alone.
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

KEY = "D6.yield"
CLASSES = "D6.classes"
_WEIGHTS = {
    Technique.MEMBERSHIP_INFERENCE: 0.75,
    Technique.ATTRIBUTE_INFERENCE: 0.75,
    Technique.PROPERTY_INFERENCE: 0.5,
    Technique.MODEL_EXTRACTION: 1.0,
    Technique.DATA_RECONSTRUCTION: 1.0,
}


@register
class ConfidenceScoreHarvest(NoSignatures):
    """Probability scalars per query and share of score-only calls."""

    spec = DetectorSpec(
        id="D6",
        name="confidence_score_harvest",
        version="1",
        title="Confidence-score harvesting",
        looks_for="calls that return many probability scores and hardly any text",
        inputs=("params", "vectors"),
        statistic="mean log2(1 + returned scalars) plus 4 times the mean score-only shape plus "
        "2 times the share of echoed prompts; classes: mean log2(1 + class scores per row)",
        threshold_source="conformal against ordinary actors",
        cost="column arithmetic",
        checks=("it supports other detectors and decides nothing alone",),
        known_false_positives=(
            "evaluation harnesses, rerankers, calibration and classification jobs",
        ),
        atlas=("AML.T0063", "AML.T0024"),
        nist_aml=("NISTAML.031", "NISTAML.033"),
        owasp=("LLM02:2025", "LLM10:2025"),
        statistics=(
            Statistic(
                KEY,
                10,
                ("params",),
                _WEIGHTS,
                supporting=True,
            ),
            Statistic(CLASSES, 10, ("vectors",), _WEIGHTS, supporting=True),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score each call by the scalars it returned and its shape."""
        scalars = np.log2(1.0 + np.maximum(log.column("scalars"), 0).astype(np.float64))
        echo = log.column("echo").astype(np.bool_) & log.column("logprobs").astype(np.bool_)
        score = np.where(log.column("logprobs"), scalars + 4.0 * log.score_only + 2.0 * echo, 0.0)
        classes = np.zeros(len(log), np.float32)
        if log.has_vectors.any():
            per_row = log.by_record(log.items.scalars) / np.maximum(log.item_counts, 1)
            classes[:] = np.log2(1.0 + per_row)
        return {KEY: score.astype(np.float32), CLASSES: classes}

    def window_scores(
        self,
        log: Features,
        scores: Mapping[str, NDArray[np.float32]],
        windows: Windows,
    ) -> dict[str, NDArray[np.float64]]:
        """Mean query score."""
        return {key: windows.total(scores[key]) / windows.sizes for key in (KEY, CLASSES)}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == CLASSES:
            return "read the model's confidence in several classes"
        scalars = int(log.column("scalars")[record])
        return f"returned {scalars} probability scores"
