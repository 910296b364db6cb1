"""D4: the same target sent in several paraphrases (SPV-MIA, neighbourhood attacks, LiRA queries).

Sources: Fu et al. 2024 (SPV-MIA: symmetric paired paraphrases per target), Mattern et al. 2023
(neighbourhood), Carlini et al. 2022 (LiRA augmentations).  Rare tokens (names, numbers, specific
words) survive a paraphrase, so groups are linked through them; group sizes are even because a
program made them.
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

KEY = "D4.groups"
RUNS = "D4.runs"
CLOUDS = "D4.clouds"


@register
class PairedPerturbationGroups(NoSignatures):
    """Even groups of paraphrases that only read scores."""

    spec = DetectorSpec(
        id="D4",
        name="paired_perturbation_groups",
        version="3",
        title="Paired perturbation groups",
        looks_for="many targets, each sent in an equal number of paraphrases under equal settings",
        inputs=("prompts", "params", "vectors"),
        statistic="groups of three or more prompts that share their rare tokens and differ in "
        "several places, times evenness of group sizes, times sameness of parameters, weighted by "
        "how far the calls only read scores; runs: log2 of the size of every group whose own "
        "probabilities were read, times its share of such reads from its first to its last; "
        "clouds: groups of three or more near rows, times evenness of group sizes",
        threshold_source="conformal against ordinary actors",
        cost="about 10 microseconds per distinct prompt",
        checks=(
            "calls that return text count for a tenth of calls that only read a score",
            "the options of a multiple choice are no paraphrases",
            "the groups must be equally large and the settings the same",
        ),
        known_false_positives=(
            "writers who ask for several rewrites of their own text",
            "robustness tests of a model's owner (no simulated ordinary actor reads the "
            "probabilities of near copies: compare with one's own traffic)",
        ),
        atlas=("AML.T0024.000",),
        nist_aml=("NISTAML.033",),
        owasp=("LLM02:2025",),
        statistics=(
            Statistic(KEY, 25, ("prompts",), {Technique.MEMBERSHIP_INFERENCE: 3.0}, 1.0),
            Statistic(RUNS, 10, ("prompts", "params"), {Technique.MEMBERSHIP_INFERENCE: 3.0}, 2.0),
            Statistic(CLOUDS, 10, ("vectors",), {Technique.MEMBERSHIP_INFERENCE: 3.0}, 2.0),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score members of a perturbation group by how far they only read scores.

        Prompts that step through a closed set of values at one place (the options of a multiple
        choice, an enumerated attribute) are no paraphrases of each other.
        """
        member = (log.prompt("variants") != 0) & log.fresh & ~log.prompt("slot_closed")
        rows = np.zeros(len(log), np.float32)
        if log.has_vectors.any():
            rows[:] = log.by_record(log.items.variants != 0)
        score = np.where(member, 0.1 + 0.9 * log.score_only, 0.0)
        read = member & _reads_prompt(log)
        return {KEY: score.astype(np.float32), RUNS: read.astype(np.float32), CLOUDS: rows}

    def window_scores(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> dict[str, NDArray[np.float64]]:
        """Weighted number of groups times evenness times sameness of parameters."""
        out = {
            KEY: self._paraphrases(log, scores, windows),
            RUNS: self._runs(log, scores, windows),
        }
        if log.has_vectors.any():
            items, inside = log.items, log.items_in(windows)
            owner, _, size, _ = inside.groups(items.variants, items.variants != 0)
            large = size >= 3
            ones = np.ones(int(large.sum()))
            out[CLOUDS] = _even_groups(owner[large], size[large], ones, len(windows))
        return out

    def _paraphrases(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> NDArray[np.float64]:
        count = len(windows)
        member = scores[KEY] > 0
        owner, _, size, best = windows.groups(log.prompt("variants"), member, scores[KEY])
        large = size >= 3
        even = _even_groups(owner[large], size[large], best[large], count)
        who, _, uses, _ = windows.groups(log.column("params_key"), member)
        same = np.zeros(count)
        np.maximum.at(same, who, uses)
        all_uses = np.bincount(who, weights=uses, minlength=count)
        return np.asarray(even * same / np.maximum(all_uses, 1))

    def _runs(
        self, log: Features, scores: Mapping[str, NDArray[np.float32]], windows: Windows
    ) -> NDArray[np.float64]:
        """Large groups sent in one go, however many other calls lie between them.

        An attack finishes a target before it takes up the next.  Texts of a test set that happen
        to resemble each other are scattered over it, so that other score reads lie between them.
        """
        member = scores[RUNS] > 0
        if not member.any():
            return np.zeros(len(windows))
        reads = _reads_prompt(log) & log.fresh
        place = np.cumsum(reads[windows.rows], dtype=np.float64)
        chosen = np.flatnonzero(member[windows.rows])
        owner, place = windows.owner[chosen], place[chosen]
        group = log.prompt("variants")[windows.rows[chosen]]
        order = np.lexsort((place, group, owner))
        owner, group, place = owner[order], group[order], place[order]
        begin = np.ones(len(owner), np.bool_)
        begin[1:] = (owner[1:] != owner[:-1]) | (group[1:] != group[:-1])
        starts = np.flatnonzero(begin)
        size = np.diff(np.append(starts, len(owner)))
        span = place[starts + size - 1] - place[starts] + 1.0
        value = np.where(size >= 3, np.log2(size) * size / span, 0.0)
        return np.bincount(owner[starts], weights=value, minlength=len(windows)).astype(np.float64)

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        if key == RUNS:
            return "one of several wordings of a target, sent in a run to read their probabilities"
        if key == CLOUDS:
            return "one of several slight variations of the same row"
        return "one of several wordings of the same target, sent only to read a score"


def _reads_prompt(log: Features) -> NDArray[np.bool_]:
    """Calls that return the prompt's own probabilities, which is what tells a member."""
    echo = log.column("echo").astype(np.bool_) & log.column("logprobs").astype(np.bool_)
    return np.asarray(echo & (log.score_only >= 0.6))


def _even_groups(
    owner: NDArray[np.int64], size: NDArray[np.int64], best: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Weighted number of groups of each window, times the evenness of their sizes."""
    members = size.astype(np.float64)
    groups = np.bincount(owner, minlength=count)
    weight = np.bincount(owner, weights=best, minlength=count)
    total = np.bincount(owner, weights=members, minlength=count)
    square = np.bincount(owner, weights=members**2, minlength=count)
    safe = np.maximum(groups, 1)
    mean = total / safe
    spread = np.sqrt(np.maximum(square / safe - mean**2, 0.0)) / np.maximum(mean, 1.0)
    # A window cuts its first and last group, so a program's even groups are also known by the
    # share that has the most frequent size.
    modal = _largest_share(owner, members, count)
    return np.asarray(weight * np.maximum(1.0 - np.minimum(1.0, spread), modal))


def _largest_share(
    owner: NDArray[np.int64], size: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    key = owner * 4096 + np.minimum(size.astype(np.int64), 4095)
    values, uses = np.unique(key, return_counts=True)
    best = np.zeros(count)
    np.maximum.at(best, values // 4096, uses)
    return best / np.maximum(np.bincount(owner, minlength=count), 1)
