"""Sentences that go with results; no prompt, response or exposed value in them."""

from __future__ import annotations

from irkit.model import Technique, Tier

TECHNIQUE_WORDS = {
    Technique.MEMBERSHIP_INFERENCE: "finding out which records the model was trained on "
    "(membership inference)",
    Technique.TRAINING_DATA_EXTRACTION: "making the model emit its training data "
    "(training-data extraction)",
    Technique.DATA_RECONSTRUCTION: "reconstructing training data from scores or updates "
    "(data reconstruction)",
    Technique.ATTRIBUTE_INFERENCE: "guessing a sensitive attribute of known people "
    "(attribute inference)",
    Technique.PROPERTY_INFERENCE: "learning statistics of the training data as a whole "
    "(property inference)",
    Technique.MODEL_EXTRACTION: "copying the model or its output layer (model extraction)",
}

TIER_WORDS = {
    Tier.A: "the strongest grade: a pattern that ordinary use does not produce, or overwhelming "
    "evidence",
    Tier.B: "within the error rate per actor, and selected among all tested actors with a "
    "controlled share of false discoveries",
    Tier.C: "unusual, but not within both the error rate per actor and the share of false "
    "discoveries",
    Tier.D: "descriptive only",
}


def number(p: float | None) -> str:
    """Word a p-value: '1 in 3,001'."""
    if p is None or p <= 0:
        return "not given"
    return f"1 in {round(1 / p):,}" if p < 0.1 else f"{p:.2f}"


def detector_sentence(title: str, score: float, p: float | None, size: int, level: str) -> str:
    """Say what one detector saw on one actor."""
    if p is None:
        return f"{title}: statistic {score:.3g}; rank only, no p-value."
    return (
        f"{title}: statistic {score:.3g}; an ordinary actor reaches this in {number(p)}"
        f" (compared with {size:,} ordinary actors, {level})."
    )


def finding_sentence(
    technique: Technique,
    queries: int,
    detectors: list[str],
    p: float | None,
    signature: str,
    runner_up: str | None,
) -> str:
    """Summarise a finding in one sentence."""
    seen = "; ".join(detectors) if detectors else "combined evidence"
    words = f"{queries:,} queries point to {TECHNIQUE_WORDS[technique]}: {seen}."
    if signature:
        words += f" Certain pattern: {signature}."
    elif p is not None:
        words += f" As ordinary as this or more: {number(p)}."
    if runner_up:
        words += f" Not clearly apart from {runner_up.replace('_', ' ')}."
    return words
