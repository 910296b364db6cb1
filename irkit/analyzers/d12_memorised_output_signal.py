"""D12: training passages in an actor's responses more often than ordinary use brings out.

A leak alone accuses nobody: ordinary prompts reproduce training text too (Aerni et al. 2024).  Only
a *rate* above that of ordinary actors counts, and passages that stood in the conversation do not.
"""

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

RATE = "D12.rate"
PERSONAL = "D12.personal"


@register
class MemorisedOutputSignal(NoSignatures):
    """Distinct training documents that came out, not put in by the conversation."""

    spec = DetectorSpec(
        id="D12",
        name="memorised_output_signal",
        version="1",
        title="Memorised output",
        looks_for="responses that hold training passages which the conversation did not",
        inputs=("responses", "corpus"),
        statistic="rate: distinct training documents in responses, 1 each for 50 shared tokens, "
        "0.4 for 25 to 49; personal: the same over documents that concern a person",
        threshold_source="conformal against ordinary actors",
        cost="one join with the corpus matches",
        checks=(
            "what stood in the conversation (system prompt, earlier turns, retrieved text) is "
            "subtracted first",
            "every document counts once",
            "what is compared is the rate above that of ordinary actors",
        ),
        known_false_positives=("boilerplate and quotations that are in the corpus only once",),
        atlas=("AML.T0057",),
        nist_aml=("NISTAML.038",),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(
                RATE, 5, ("responses", "corpus"), {Technique.TRAINING_DATA_EXTRACTION: 1.0}, 3.0
            ),
            Statistic(
                PERSONAL,
                5,
                ("responses", "corpus", "subjects"),
                {Technique.TRAINING_DATA_EXTRACTION: 2.0},
                2.0,
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score responses by their longest passage."""
        if not log.has_corpus:
            none = np.zeros(len(log), np.float32)
            return {RATE: none, PERSONAL: none}
        return {
            RATE: _by_length(log, log.leaks["tokens"]),
            PERSONAL: _by_length(log, log.leaks["personal"]),
        }

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Sum over distinct documents."""
        if not log.has_corpus:
            return {}
        return {
            key: windows.best_per_key(log.leaks[doc], scores[key], scores[key] > 0)
            for key, doc in ((RATE, "doc"), (PERSONAL, "personal_doc"))
        }

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == PERSONAL:
            tokens = int(log.leaks["personal"][record])
            return f"the response holds {tokens} consecutive tokens of a person's training record"
        tokens = int(log.leaks["tokens"][record])
        return f"the response holds {tokens} consecutive tokens of a training document"


def _by_length(log: Features, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
    score = np.select([tokens >= 50, tokens >= 25], [1.0, 0.4], 0.0)
    return np.asarray(log.to_leader(score.astype(np.float32)))
