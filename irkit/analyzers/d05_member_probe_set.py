"""D5: training records sent back to the model only to read how sure it is of them.

Sources: loss, zlib, Min-K and LiRA attacks all send the candidate itself and read scores (Yeom et
al. 2018, Carlini et al. 2021 and 2022, Shi et al. 2024).
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

KEY = "D5.members"
ROWS = "D5.rows"
#: Tokens of a training document in a prompt that make it a candidate.
_RUN = 25


@register
class MemberProbeSet(NoSignatures):
    """Distinct training documents probed by score-only calls."""

    spec = DetectorSpec(
        id="D5",
        name="member_probe_set",
        version="1",
        title="Member probe set",
        looks_for="prompts that are training records, asked nothing, read for their score",
        inputs=("prompts", "corpus", "params", "vectors"),
        statistic="distinct training documents among prompts (25 shared tokens or a whole record), "
        "weighted by the share of the prompt they cover and by score-only shape, times the share "
        "of distinct documents among hits; 1.25 times for a mixed set of members and others",
        threshold_source="conformal against ordinary actors",
        cost="one join with the corpus matches",
        checks=(
            "calls that ask for an answer count for a twentieth",
            "a few documents sent again and again are damped",
        ),
        known_false_positives=(
            "customers whose own documents are in the training set and who score them",
        ),
        atlas=("AML.T0024.000",),
        nist_aml=("NISTAML.033",),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(KEY, 10, ("prompts", "corpus"), {Technique.MEMBERSHIP_INFERENCE: 3.0}, 3.0),
            Statistic(ROWS, 10, ("vectors", "corpus"), {Technique.MEMBERSHIP_INFERENCE: 3.0}, 3.0),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score prompts that are training text by coverage and score-only shape."""
        if not log.has_corpus:
            return dict.fromkeys((KEY, ROWS), np.zeros(len(log), np.float32))
        found = log.membership
        hit = (found["tokens"] >= _RUN) | found["whole"].astype(np.bool_)
        value = np.minimum(1.0, found["cover"]) * (0.05 + 0.95 * log.score_only)
        vectors = log.has_vectors
        # A prediction call reads nothing but its scores.
        row = np.where(hit & vectors, np.minimum(1.0, found["cover"]), 0.0)
        text = np.where(hit & ~vectors, value, 0.0)
        return {KEY: text.astype(np.float32), ROWS: row.astype(np.float32)}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Weighted distinct documents, damped for a few documents sent again and again."""
        score = scores[KEY]
        if not log.has_corpus:
            return dict.fromkeys((KEY, ROWS), np.zeros(len(windows)))
        doc = log.membership["doc"]
        total = windows.best_per_key(doc, score, score > 0)
        distinct = windows.distinct(doc, score > 0)
        hits = windows.total(score > 0)
        reading = windows.total(log.score_only >= 0.5)
        share = hits / np.maximum(reading, 1)
        mixed = np.where((share >= 0.2) & (share <= 0.8), 1.25, 1.0)
        rows = windows.best_per_key(doc, scores[ROWS], scores[ROWS] > 0)
        return {KEY: total * np.sqrt(distinct / np.maximum(hits, 1)) * mixed, ROWS: rows}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == ROWS:
            return "the row is a training record"
        if log.score_only[record] >= 0.5:
            return "the prompt is a training record and the call only reads its score"
        return "the prompt holds a passage of a training record"
