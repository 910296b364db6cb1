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

from irkit.analyzers.registry import DetectorSpec, NoSignatures, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

#: A prompt counts as sent to two versions where the calls lie at most this far apart.  What an
#: actor repeats before and after the model was replaced is its habit and no comparison.
_APART_HOURS = 12
VERSIONS = "D13.versions"
AGGREGATE = "D13.aggregate"


@register
class PropertyAndAggregateProbe(NoSignatures):
    """One probe set on several model versions, and questions about the data as a whole."""

    spec = DetectorSpec(
        id="D13",
        name="property_and_aggregate_probe",
        version="2",
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
            "the same prompt counts only where two model versions got it within 12 hours",
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
        several = np.zeros(len(log), np.bool_)
        several[_compared(log)] = True
        asks = log.prompt("aggregate") & log.prompt("instructs")
        return {
            VERSIONS: np.where(several, 0.2 + 0.8 * log.score_only, 0.0).astype(np.float32),
            AGGREGATE: asks.astype(np.float32),
        }

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Sum over distinct prompts."""
        prompt, score = log.column("prompt_key"), scores[VERSIONS]
        asked = scores[AGGREGATE]
        return {
            VERSIONS: windows.best_per_key(prompt, score, score > 0),
            AGGREGATE: windows.best_per_key(prompt, asked, asked > 0),
        }

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == VERSIONS:
            return "the same prompt was sent to another model version, too"
        return "asks for shares or frequencies in the training data or among customers"


def _compared(log: Features) -> NDArray[np.int64]:
    """Return the records of prompts that one actor sent to two versions shortly after each other.

    Looked at over all of an actor's calls: a long probe set reaches its second version only after
    more calls than any window holds.
    """
    usable = np.flatnonzero(log.has_prompts & log.log.kept)
    part, prompt = log.log.part[usable], log.column("prompt_key")[usable]
    time = log.log.time[usable].astype(np.float64)
    order = np.lexsort((usable, time, prompt, part))
    model = log.column("model")[usable][order]
    same = (part[order][1:] == part[order][:-1]) & (prompt[order][1:] == prompt[order][:-1])
    same &= model[1:] != model[:-1]
    same &= np.diff(time[order]) <= _APART_HOURS * 3600e6
    pair = np.flatnonzero(same)
    return np.unique(usable[order][np.concatenate([pair, pair + 1])])
