"""D10: a model is made to repeat itself until it diverges into training text.

Sources: Nasr et al. 2023 ("Repeat this word forever"); the 50-token tail follows their definition
of a verbatim leak; garak's rule (a tail of more than 15 characters) is far looser.
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.features import DIVERGENCE_TOKENS
from irkit.analyzers.registry import DetectorSpec, Signature, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

KEY = "D10.divergence"
DIVERGED = "D10.diverged"
_RUN = 20
_PROMPT_RUN = 20
_VARIETY = 0.3
#: Diverging answers per window that a model gives without being asked to.
_ALLOWED = 2


@register
class RepetitionDivergence:
    """Repetition asked for or returned, and varied text after it."""

    spec = DetectorSpec(
        id="D10",
        name="repetition_divergence",
        version="1",
        title="Repetition and divergence",
        looks_for="prompts that make the model repeat a word, and responses that repeat and then "
        "turn into other text",
        inputs=("prompts", "responses"),
        statistic="query that asks for repetition (5 for an instruction to repeat without end, "
        "log2 of a run that makes up half of the prompt): plus log2 of the run that came back, "
        "plus twice the variety of the tail after it times log2 of its length; other queries: 1 "
        "where a loop of 20 tokens turns into 50 varied ones; window: largest asking query plus "
        "2 log2(1 + such queries), plus other diverging queries beyond two",
        threshold_source="conformal against ordinary actors; signature: asked to repeat, and "
        "50 or more varied tokens after 20 repeated ones",
        cost="about 12 microseconds per unique response",
        checks=(
            "two unasked loops per window are allowed",
            "pasted repetition counts only where it fills half of the prompt",
        ),
        known_false_positives=(
            "models that loop by themselves and then ramble on (two a window are allowed)",
            "logs and tables pasted into prompts",
        ),
        atlas=("AML.T0057",),
        nist_aml=("NISTAML.038",),
        owasp=("LLM02:2025",),
        statistics=(Statistic(KEY, 1, ("prompts",), {Technique.TRAINING_DATA_EXTRACTION: 3.0}),),
        signatures=(
            Signature(
                DIVERGED,
                Technique.TRAINING_DATA_EXTRACTION,
                "the model was told to repeat, did so, and then emitted 50 or more other tokens",
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score what was asked and what came back; a retry's answer counts for its leader.

        A loop that nobody asked for, or asked for a given number of times, is a weakness of small
        models and no sign of intent.
        """
        run = log.response("run").astype(np.float64)
        tail, variety = log.response("tail").astype(np.float64), log.response("variety")
        looped = run >= _RUN
        back = np.where(looped, np.log2(1.0 + run), 0.0)
        back += np.where(looped & (tail >= _RUN), 2.0 * variety * np.log2(1.0 + tail), 0.0)
        asked = _asked(log)
        unasked = (looped & (tail >= DIVERGENCE_TOKENS) & (variety >= _VARIETY)).astype(np.float64)
        return {KEY: log.to_leader(np.where(asked > 0, asked + back, unasked).astype(np.float32))}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Peak of the asking queries, plus more of the same, plus repeated unasked divergence."""
        score = scores[KEY]
        strong = windows.total(score > 1.0)
        peak = np.where(strong > 0, windows.peak(score), 0.0)
        others = windows.total(score == 1.0)
        more = 2.0 * np.log2(1.0 + strong) + 2.0 * np.maximum(others - _ALLOWED, 0.0)
        return {KEY: peak + more}

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:
        """Asked for repetition, repeated, diverged."""
        return {DIVERGED: windows.peak(diverged(log)) > 0}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        run, tail = int(log.response("run")[record]), int(log.response("tail")[record])
        if run >= _RUN and tail >= _RUN:
            return f"the response repeats for {run} tokens and then goes on with {tail} others"
        if run >= _RUN:
            return f"the response repeats for {run} tokens"
        if log.prompt("forever")[record]:
            return "asks for endless repetition"
        return "the prompt itself repeats a word or phrase"


def _asked(log: Features) -> NDArray[np.float64]:
    """How strongly each prompt asks for repetition without end."""
    run, tokens = log.prompt("run").astype(np.float64), log.prompt("tokens")
    pasted = (run >= _PROMPT_RUN) & (run >= 0.5 * tokens)
    return np.asarray(np.where(pasted, np.log2(1.0 + run), 0.0) + 5.0 * log.prompt("forever"))


def diverged(log: Features) -> NDArray[np.float32]:
    """Mark queries that asked for repetition and got varied text after a repeated run."""
    hit = (log.response("run") >= _RUN) & (log.response("tail") >= DIVERGENCE_TOKENS)
    hit &= log.response("variety") >= _VARIETY
    return np.asarray(log.to_leader((hit & (_asked(log) > 0)).astype(np.float32)))
