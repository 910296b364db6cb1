"""D7: the output layer read out through ``logit_bias``.

Sources: Carlini et al. 2024 (2403.06634), Finlayson et al. 2024 (2403.09539), and the emitters of
openlogprobs: batches of token ids under a constant bias, single ids under a doubling bias, and
bisection of one id's bias.
"""

# ruff: noqa: ARG002 - a detector takes every argument of the protocol, needed or not

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.prompt_shape import mix
from irkit.analyzers.registry import DetectorSpec, Signature, Statistic, register
from irkit.model import Technique

if TYPE_CHECKING:
    from irkit.analyzers.features import Features
    from irkit.analyzers.sequences import Windows

KEY = "D7.sweep"
SWEEP = "D7.vocabulary_sweep"
BISECT = "D7.bisection"
#: Ids biased once each, queries, and overlap that make a sweep certain; steps that make a bisection
#: certain (random 0.1-grid series reached 4, integer series 6 in none of 2,000 trials).
_IDS, _QUERIES, _OVERLAP, _STEPS = 200, 20, 0.05, 6
#: Values per id that are worth testing for bisection, and ids tested per window.
_LEAST_VALUES, _MOST_IDS = 6, 64


@register
class LogitBiasSweep:
    """Distinct biased ids with hardly any overlap, or bisection of one id's bias."""

    spec = DetectorSpec(
        id="D7",
        name="logit_bias_sweep",
        version="1",
        title="Logit-bias sweep",
        looks_for="logit_bias over ever new token ids, or halving steps on one id",
        inputs=("params",),
        statistic="log2(1 + distinct ids) times (1 - overlap), halved unless answers are one or "
        "two tokens, plus 2 times the longest run of midpoint steps on one id",
        threshold_source="conformal against ordinary actors; signatures at 200 ids over 20 "
        "queries with at most 5 % overlap, or 6 bisection steps",
        cost="one pass over the biased ids",
        checks=(
            "a fixed list of banned words repeats the same ids and scores near zero",
            "only ids that this actor had not biased before count",
        ),
        known_false_positives=("per-request word bans computed from each user's own document",),
        atlas=("AML.T0024.002", "AML.T0063"),
        nist_aml=("NISTAML.031",),
        owasp=("LLM10:2025",),
        statistics=(
            Statistic(
                KEY,
                10,
                ("params",),
                {Technique.MODEL_EXTRACTION: 3.0, Technique.DATA_RECONSTRUCTION: 1.0},
                2.0,
            ),
        ),
        signatures=(
            Signature(
                SWEEP,
                Technique.MODEL_EXTRACTION,
                "200 or more token ids were biased once each in one-token calls",
            ),
            Signature(
                BISECT,
                Technique.MODEL_EXTRACTION,
                "one token id's bias was halved six or more times in a row",
            ),
        ),
    )

    def query_scores(self, log: Features) -> dict[str, NDArray[np.float32]]:
        """Score a call by the share of its biased ids that this actor had not biased before."""
        record, token, _ = log.bias
        out = np.zeros(len(log), np.float32)
        if not record.size:
            return {KEY: out}
        key = mix(token) ^ mix(log.log.part[record].astype(np.uint64))
        order = np.lexsort((record, key))
        new = np.ones(len(order), np.bool_)
        new[1:] = key[order][1:] != key[order][:-1]
        fresh = np.zeros(len(order), np.bool_)
        fresh[order] = new
        count = np.bincount(record, minlength=len(log))
        novel = np.bincount(record, weights=fresh, minlength=len(log)) / np.maximum(count, 1)
        return {
            KEY: np.where(count > 0, 0.1 + novel * np.log2(1.0 + count), 0.0).astype(np.float32)
        }

    def window_scores(
        self,
        log: Features,
        scores: Mapping[str, NDArray[np.float32]],
        windows: Windows,
    ) -> dict[str, NDArray[np.float64]]:
        """Best sweep over the window as a whole and over each prompt in it, plus bisection."""
        out = np.zeros(len(windows))
        for which, sweep, steps, _, _ in _per_window(log, windows):
            out[which] = np.maximum(out[which], sweep + 2.0 * steps)
        return {KEY: out}

    def signature_hits(self, log: Features, windows: Windows) -> dict[str, NDArray[np.bool_]]:
        """Vocabulary sweep or bisection anywhere in the unit."""
        swept = np.zeros(len(windows), np.bool_)
        halved = np.zeros(len(windows), np.bool_)
        for which, _, steps, certain, _ in _per_window(log, windows):
            np.logical_or.at(swept, which, certain)
            np.logical_or.at(halved, which, steps >= _STEPS)
        return {SWEEP: swept, BISECT: halved}

    def reason(self, log: Features, key: str, record: int) -> str:
        """Say why a record scored."""
        return f"biased {int(log.column('bias_size')[record])} token ids"


def _per_window(
    log: Features, windows: Windows
) -> list[
    tuple[
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.bool_],
        NDArray[np.float64],
    ]
]:
    """Measure sweeps per window, once over all prompts and once per prompt.

    Returns:
        Tuples of (window, sweep score, bisection steps, certain sweep, distinct ids).
    """
    record, token, value = log.bias
    if not record.size:
        return []
    size = np.bincount(record, minlength=len(log))
    biased = size[windows.rows] > 0
    enough = np.bincount(windows.owner[biased], minlength=len(windows)) >= 6
    rows = np.flatnonzero(biased & enough[windows.owner])
    if not rows.size:
        return []
    start = np.searchsorted(record, np.arange(len(log)))
    at = windows.rows[rows]
    entry = np.repeat(start[at] - (np.cumsum(size[at]) - size[at]), size[at]) + np.arange(
        int(size[at].sum())
    )
    window = windows.owner[rows]
    prompt = log.column("prompt_key")[at]
    short = log.column("max_tokens")[at] <= 2
    results = []
    for scope in (window.astype(np.uint64), mix(prompt) ^ mix(window.astype(np.uint64))):
        _, first, group = np.unique(scope, return_index=True, return_inverse=True)
        owner = np.repeat(group, size[at])
        results.append(
            _measure(
                window[first],
                owner,
                token[entry],
                value[entry],
                np.bincount(group),
                np.bincount(group, weights=short) / np.bincount(group),
            )
        )
    return results


def _measure(
    window: NDArray[np.int64],
    owner: NDArray[np.int64],
    token: NDArray[np.uint64],
    value: NDArray[np.float64],
    queries: NDArray[np.int64],
    short: NDArray[np.float64],
) -> tuple[
    NDArray[np.int64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.bool_],
    NDArray[np.float64],
]:
    count = len(window)
    order = np.lexsort((token, owner))
    who, what = owner[order], token[order]
    begin = np.ones(len(who), np.bool_)
    begin[1:] = (who[1:] != who[:-1]) | (what[1:] != what[:-1])
    distinct = np.bincount(who[begin], minlength=count).astype(np.float64)
    total = np.bincount(who, minlength=count).astype(np.float64)
    unique = distinct / np.maximum(total, 1)
    sweep = np.where(distinct >= 10, np.log2(1.0 + distinct) * unique, 0.0) * (0.5 + 0.5 * short)
    sweep[queries < 6] = 0.0
    certain = (distinct >= _IDS) & (queries >= _QUERIES) & (unique >= 1 - _OVERLAP) & (short > 0.9)
    steps = np.zeros(count)
    starts = np.flatnonzero(begin)
    length = np.diff(np.append(starts, len(who)))
    tested: dict[int, int] = {}
    # Only ids that were biased many times reach this loop: one pass per id and window.
    for series in np.flatnonzero(length >= _LEAST_VALUES).tolist():
        owned = int(who[starts[series]])
        if tested.get(owned, 0) >= _MOST_IDS:
            continue
        tested[owned] = tested.get(owned, 0) + 1
        run = value[order[starts[series] : starts[series] + length[series]]]
        steps[owned] = max(steps[owned], bisection_steps(run))
    return window, sweep, steps, certain, distinct


def bisection_steps(values: NDArray[np.float64]) -> int:
    """Return the longest run of values that are midpoints of two earlier, different ones."""
    if len(np.unique(values)) < _LEAST_VALUES:
        return 0
    best = run = 0
    # Two values bracket every bisection step, and one of them is always the step before.
    for position in range(1, len(values)):
        seen = np.unique(np.append(values[max(0, position - 24) : position], 0.0))
        previous = values[position - 1]
        partner = 2.0 * values[position] - previous
        fresh = abs(values[position] - previous) > 1e-9
        hit = fresh and bool(np.any(np.abs(seen - partner) < 1e-6 * max(1.0, abs(partner))))
        run = run + 1 if hit else 0
        best = max(best, run)
    return best
