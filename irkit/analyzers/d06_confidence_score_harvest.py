"""D6: probability scores collected in bulk (MITRE ATLAS AML.T0063).

The yield of scores only supports other detectors: evaluation harnesses, rerankers and calibration
teams read scores for good reasons.  What they do not do is send *unrelated* texts, without a task,
for one token and the widest list of alternatives: that is how the output layer of a model is read
(Carlini et al. 2024, "Stealing part of a production language model", and Finlayson et al. 2024:
logit vectors of as many unrelated prompts as the model is wide), and it decides model extraction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import ASK_NONE, mix
from irkit.analyzers.registry import DetectorSpec, NoSignatures, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

KEY = "D6.yield"
CLASSES = "D6.classes"
VECTORS = "D6.vectors"
#: Alternatives per token that a vector has at least; labels are read off the first five.
_WIDE = 10
#: Prompts of one actor that may begin or end alike and still count as unrelated.
_ALIKE = 2
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
        version="2",
        title="Confidence-score harvesting",
        looks_for="calls that return many probability scores and hardly any text",
        inputs=("params", "vectors"),
        statistic="mean log2(1 + returned scalars) plus 4 times the mean score-only shape plus "
        "2 times the share of echoed prompts; classes: mean log2(1 + class scores per row); "
        "vectors: distinct unrelated prompts without a task that asked for one token and 10 or "
        "more alternatives",
        threshold_source="conformal against ordinary actors",
        cost="column arithmetic",
        checks=(
            "yield and classes support other detectors and decide nothing alone",
            "prompts that share a beginning or an end, near copies, and calls with a system prompt "
            "are a task, and make no vector",
        ),
        known_false_positives=(
            "evaluation harnesses, rerankers, calibration and classification jobs",
            "labels read off 10 or more alternatives for bare texts, without a system prompt or "
            "template (no simulated ordinary actor does so: compare with one's own traffic)",
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
            Statistic(
                VECTORS, 25, ("prompts", "params"), {Technique.MODEL_EXTRACTION: 2.0}, least=5.0
            ),
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
        return {
            KEY: score.astype(np.float32),
            CLASSES: classes,
            VECTORS: self._vectors(log).astype(np.float32),
        }

    def _vectors(self, log: Features) -> NDArray[np.bool_]:
        """Mark calls that read a wide vector of one token for an unrelated text."""
        wide = log.column("logprobs").astype(np.bool_) & (log.column("scalars") >= _WIDE)
        wide &= ~log.column("echo").astype(np.bool_) & ~log.column("has_system").astype(np.bool_)
        wide &= log.column("max_tokens") <= 1
        wide &= log.has_prompts & log.log.kept
        if not wide.any():
            return wide
        wide &= (log.prompt("near") == 0) & ~log.prompt("cloze") & (log.prompt("ask") == ASK_NONE)
        for end in ("head", "tail"):
            wide &= _uses(log, end, wide) <= _ALIKE
        return wide

    def window_scores(
        self,
        log: Features,
        scores: Mapping[str, NDArray[np.float32]],
        windows: Windows,
    ) -> dict[str, NDArray[np.float64]]:
        """Mean query score, and distinct prompts that made a vector."""
        out = {key: windows.total(scores[key]) / windows.sizes for key in (KEY, CLASSES)}
        out[VECTORS] = windows.distinct(log.column("prompt_key"), scores[VECTORS] > 0)
        return out

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == CLASSES:
            return "read the model's confidence in several classes"
        scalars = int(log.column("scalars")[record])
        if key == VECTORS:
            return f"one token with {scalars} probability scores for a text unrelated to the others"
        return f"returned {scalars} probability scores"


def _uses(log: Features, end: str, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count, per record, the chosen calls of its actor whose prompt has the same beginning or end.

    Only first calls of a prompt count, so that asking again makes no prompt a template.
    """
    key = mix(log.prompt(end)) ^ mix(log.log.part.astype(np.uint64))
    values, count = np.unique(key[chosen & log.fresh], return_counts=True)
    if not values.size:
        return np.zeros(len(log), np.int64)
    place = np.minimum(np.searchsorted(values, key), len(values) - 1)
    return np.where(values[place] == key, count[place], 0).astype(np.int64)
