"""irkit, MMD and PRADA on the very same windows of queries.

A window is one credential's run of calls: a share of an attack, the rest some customer's ordinary
calls.  Two settings: *one customer* (what a log per credential shows) and *mixed* (prompts drawn
from all customers, the published protocol, as behind a shared gateway key).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from analyzers_sim import Call

from detection_harness import metrics
from detection_harness.baselines import (
    PRADA_DELTA,
    PRADA_LEAST,
    PRADA_LEAST_SHORT,
    Mmd,
    prada,
)
from detection_harness.embedding import Embedding
from detection_harness.families import FAMILIES, attack
from detection_harness.ordinary import Cover
from detection_harness.staging import ALPHAS, Actor, Plan, batches, note, stage

SHARES = (1.0, 0.5, 0.25, 0.10, 0.05)
SETTINGS = ("one customer", "mixed customers")
ORDINARY = "ordinary"


@dataclass(slots=True)
class Window:
    """One window and what each monitor says of it.

    Attributes:
        family: attack family, or ``ordinary``.
        share: share of attack calls.
        irkit: flagged at each error rate.
        mmd: score, higher is more suspicious.
        prada: ``1 - W``, higher is more suspicious.
    """

    setting: str
    size: int
    family: str
    share: float
    irkit: dict[float, bool] = field(default_factory=dict)
    mmd: float = 0.0
    prada: float = 0.0


@dataclass(slots=True)
class WindowResult:
    """All windows with the thresholds of the published protocols."""

    windows: list[Window] = field(default_factory=list)
    thresholds: dict[int, float] = field(default_factory=dict)


def run(plan: Plan, ordinary: Cover) -> WindowResult:
    """Measure all monitors; needs ordinary calls to fit them on.

    Half of the ordinary actors give the pool that embedding, references and null are drawn from;
    the other half gives tested windows.
    """
    result = WindowResult()
    cover = ordinary if len(ordinary.actors) >= 40 else _made_up(plan)
    fit, test = Cover(cover.actors[::2]), Cover(cover.actors[1::2])
    pool = [call["prompt"] for calls in fit.actors for call in calls]
    embed = Embedding(pool, plan.seed)
    rng = random.Random(f"{plan.seed}/pool")
    points = embed(rng.sample(pool, min(len(pool), 20_000)))
    sizes: tuple[tuple[int, tuple[float, ...], int, int], ...] = (
        (100, SHARES, max(1, plan.repeats * 3 // 5), 10 * plan.benign),
    )
    if not plan.quick:
        sizes += ((1500, (0.05,), 3, 60),)
    for size, shares, repeats, benign in sizes:
        note(f"windows of {size}: fitting MMD")
        mmd = Mmd.fit(points, size, plan.seed, draws=1000 if size <= 100 else 60)
        result.thresholds[size] = mmd.threshold
        for setting in SETTINGS[: 1 if size > 100 else None]:
            staged = _staged(plan, test, setting, size, shares, repeats, benign)
            _judge(plan, staged, size, embed, mmd)
            result.windows += [window for window, _ in staged]
    return result


def _made_up(plan: Plan) -> Cover:
    from detection_harness.ordinary import HARD

    kinds = list(HARD)
    out = []
    for number in range(400):
        rng = random.Random(f"{plan.seed}/made-up/{number}")
        out.append(list(HARD[kinds[number % len(kinds)]](rng, 110)))
    return Cover(out)


def _staged(
    plan: Plan,
    test: Cover,
    setting: str,
    size: int,
    shares: tuple[float, ...],
    repeats: int,
    benign: int,
) -> list[tuple[Window, Actor]]:
    mixed = [call for calls in test.actors for call in calls]
    out: list[tuple[Window, Actor]] = []

    def ordinary(rng: random.Random, count: int) -> list[Call]:
        if setting == SETTINGS[1]:
            return [dict(call) for call in rng.sample(mixed, count)]
        return test.take(rng, count)

    for number in range(benign):
        rng = random.Random(f"{plan.seed}/{setting}/{size}/ordinary/{number}")
        actor = Actor(f"w-ordinary-{number:05d}", _paced(ordinary(rng, size)))
        out.append((Window(setting, size, ORDINARY, 0.0), actor))
    for family in plan.families:
        for share in shares:
            for repeat in range(repeats):
                name = f"w-{family}-{share}-{repeat}"
                rng = random.Random(f"{plan.seed}/{setting}/{size}/{name}")
                count = max(1, round(size * share))
                bad = attack(family, f"{plan.seed}/{size}/{name}", count)
                marks = [True] * count + [False] * (size - count)
                rng.shuffle(marks)
                attacking, other = iter(bad), iter(ordinary(rng, size - count))
                calls = [next(attacking) if mark else next(other) for mark in marks]
                out.append((Window(setting, size, family, share), Actor(name, _paced(calls))))
    return out


def _paced(calls: list[Call]) -> list[Call]:
    """Two minutes between calls: no repeat counts as a retry, so all monitors see all calls."""
    return [{**call, "gap": 120} for call in calls]


def _judge(
    plan: Plan, staged: list[tuple[Window, Actor]], size: int, embed: Embedding, mmd: Mmd
) -> None:
    by_name = {actor.name: window for window, actor in staged}
    least = PRADA_LEAST if size > PRADA_LEAST + 1 else PRADA_LEAST_SHORT
    for batch in batches((actor for _, actor in staged), plan.batch):
        note(f"windows of {size}: {len(batch)} of {len(staged)}")
        found, _ = stage(plan, batch)
        for actor in batch:
            window = by_name[actor.name]
            own = found.get(("credential", actor.name), [])
            window.irkit = {alpha: any(v.flagged(alpha) for v in own) for alpha in ALPHAS}
            points = embed([call["prompt"] for call in actor.calls])
            window.mmd = mmd.score(points)
            window.prada = 1.0 - prada(points, least=least)


def rows(result: WindowResult) -> list[dict[str, Any]]:
    """Recall per setting, window size and share, every monitor beside the others.

    Monitors are read at their published threshold and at the threshold that the ordinary windows
    of the same setting put at 1 % and 0.1 %.
    """
    out = []
    keys = sorted({(w.setting, w.size) for w in result.windows}, reverse=True)
    for setting, size in keys:
        some = [w for w in result.windows if (w.setting, w.size) == (setting, size)]
        benign = [w for w in some if w.family == ORDINARY]
        cuts = _cuts(benign, result.thresholds[size])
        for share in (0.0, *sorted({w.share for w in some if w.share}, reverse=True)):
            part = [w for w in some if w.share == share]
            row: dict[str, Any] = {
                "setting": setting,
                "window": size,
                "share": share,
                "windows": len(part),
            }
            for alpha in ALPHAS:
                row[f"irkit_{alpha:.0e}"] = _mean([w.irkit[alpha] for w in part])
            for label, (attribute, cut) in cuts.items():
                row[label] = _mean([getattr(w, attribute) > cut for w in part])
            out.append(row)
    return out


def by_family(result: WindowResult, share: float) -> list[dict[str, Any]]:
    """Recall per family at one share of windows of 100, one customer."""
    some = [w for w in result.windows if (w.setting, w.size) == (SETTINGS[0], 100)]
    cuts = _cuts([w for w in some if w.family == ORDINARY], result.thresholds[100])
    out = []
    for family in dict.fromkeys(w.family for w in some if w.family != ORDINARY):
        part = [w for w in some if w.family == family and w.share == share]
        if not part:
            continue
        row: dict[str, Any] = {"family": family, "detectors": FAMILIES[family].detectors}
        for alpha in ALPHAS:
            row[f"irkit_{alpha:.0e}"] = _mean([w.irkit[alpha] for w in part])
        for label, (attribute, cut) in cuts.items():
            row[label] = _mean([getattr(w, attribute) > cut for w in part])
        out.append(row)
    return out


def _cuts(benign: list[Window], published: float) -> dict[str, tuple[str, float]]:
    cuts: dict[str, tuple[str, float]] = {
        "mmd_published": ("mmd", published),
        "prada_published": ("prada", 1.0 - PRADA_DELTA),
    }
    for alpha in ALPHAS:
        for name in ("mmd", "prada"):
            values = np.sort([getattr(w, name) for w in benign])
            # Highest value that at most alpha of the ordinary windows exceed.
            place = len(values) - 1 - int(alpha * len(values))
            cuts[f"{name}_at_{alpha:.0e}"] = (name, float(values[place]))
    return cuts


def _mean(values: list[bool]) -> float:
    return float(np.mean(values)) if values else float("nan")


def irkit_alarms(result: WindowResult) -> str:
    """irkit's false alarms on ordinary windows of 100, one customer, with interval."""
    benign = [
        w for w in result.windows if (w.setting, w.size, w.family) == (SETTINGS[0], 100, ORDINARY)
    ]
    return metrics.rate(sum(w.irkit[1e-3] for w in benign), len(benign))
