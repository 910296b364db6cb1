"""The targets of the specification, each with what was measured and why it was missed.

Nothing is tuned here: a target that the grid cannot measure says so, and a family that drags a
target down is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from detection_harness import metrics
from detection_harness.alarms import AlarmResult
from detection_harness.classifier import ClassifierResult
from detection_harness.families import FAMILIES
from detection_harness.grid import Cell, GridResult
from detection_harness.windows import ORDINARY, SETTINGS, WindowResult

ALPHA = 1e-3


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the target table.

    Attributes:
        goal: in words, as the specification has it.
        value: measured, in words; empty where nothing was measured.
        reached: ``None`` where nothing was measured.
        reason: what drags it down, or what is not measured.
    """

    item: str
    goal: str
    value: str
    reached: bool | None
    reason: str = ""

    def row(self) -> dict[str, Any]:
        """As plain values."""
        said = {True: "reached", False: "missed", None: "not measured"}[self.reached]
        return {
            "item": self.item,
            "target": self.goal,
            "measured": self.value,
            "verdict": said,
            "reason": self.reason,
        }


def _not_measured(item: str, goal: str, why: str) -> Target:
    return Target(item, goal, "", None, why)


def _window(result: WindowResult | None, size: int, share: float, goal: float) -> Target:
    item = f"windows of {size:,}, {share:.0%} attack share"
    words = f"recall >= {goal:.0%} at FPR 1e-3"
    if result is None:
        return _not_measured(item, words, "no windows in this run")
    some = [w for w in result.windows if (w.setting, w.size) == (SETTINGS[0], size)]
    part = [w for w in some if w.share == share and w.family != ORDINARY]
    if not part:
        return _not_measured(item, words, "only in a full run")
    hits = sum(w.irkit[ALPHA] for w in part)
    families = {w.family for w in part}
    weak = _weak((w.family, w.irkit[ALPHA]) for w in part)
    return Target(
        item,
        words,
        f"{metrics.rate(hits, len(part))} over {len(families)} families",
        hits / len(part) >= goal,
        weak,
    )


def _weak(found: Iterable[tuple[str, bool]]) -> str:
    """Name families below 90 % with their rate."""
    by: dict[str, list[bool]] = {}
    for family, hit in found:
        by.setdefault(family, []).append(hit)
    weak = {k: sum(v) / len(v) for k, v in by.items() if sum(v) < 0.9 * len(v)}
    if not weak:
        return ""
    return "below 90 %: " + ", ".join(f"{k} {v:.0%}" for k, v in sorted(weak.items()))


def _recall(
    result: GridResult | None,
    item: str,
    families: tuple[str, ...],
    goal: float,
    *,
    queries: Callable[[int], bool],
    dilution: float = 0.0,
    note: str = "",
) -> Target:
    words = f"recall >= {goal:.0%} at FPR 1e-3"
    if result is None:
        return _not_measured(item, words, "no grid in this run")
    some = [
        o
        for o in result.outcomes
        if o.cell.family in families
        and o.cell.credentials == 1
        and o.cell.dilution == dilution
        and o.cell.visible
        and queries(o.cell.queries)
    ]
    if not some:
        return _not_measured(item, words, "no such cell in this run")
    hits = sum(o.found(ALPHA) for o in some)
    counts = sorted({o.cell.queries for o in some})
    cells = "/".join(str(n) for n in counts)
    return Target(
        item,
        words,
        f"{metrics.rate(hits, len(some))} at {cells} queries",
        hits / len(some) >= goal,
        "; ".join(x for x in (note, _weak((o.cell.family, o.found(ALPHA)) for o in some)) if x),
    )


def _single_prompt(result: GridResult | None) -> Target:
    return _recall(
        result,
        "repetition prompts (D10), first prompt",
        ("repeat_forever",),
        0.95,
        queries=lambda n: n == 1,
    )


def _walks(result: ClassifierResult | None) -> Target:
    item, words = "label-only walks (D8), 10 anchors", "recall >= 90% at FPR 1e-3"
    if result is None:
        return _not_measured(item, words, "no classifier clients in this run")
    some = [
        flagged[ALPHA]
        for (family, share, queries, scores), flagged, _ in result.attacks
        if (family, share, queries, scores) == ("boundary_walk", 1.0, 300, False)
    ]
    hits = sum(some)
    return Target(
        item,
        words,
        f"{metrics.rate(hits, len(some))} at 300 queries, scores hidden",
        hits >= 0.9 * len(some),
        f"own calibration of {result.calibrated:,} clients",
    )


def _sybil(result: GridResult | None) -> list[Target]:
    """Recall of attacks split 100 ways against the same attacks from one credential.

    By calls of each credential: one call each is no sequence any more, and what is left to link by
    is the wording alone.
    """
    item, words = "split, after linking", "recall drop <= 10 points"
    if result is None:
        return [_not_measured(f"100-way {item}", words, "no grid in this run")]
    rates: dict[Cell, list[bool]] = {}
    for o in result.outcomes:
        rates.setdefault(o.cell, []).append(o.found(ALPHA))
    recall = {cell: sum(hits) / len(hits) for cell, hits in rates.items()}
    most = max((cell.credentials for cell in recall), default=1)
    drops: dict[int, dict[str, list[float]]] = {}
    for cell, many in recall.items():
        one = recall.get(replace(cell, credentials=1))
        if cell.credentials == most > 1 and one is not None:
            name = cell.family if cell.visible else f"{cell.family} (scores hidden)"
            drops.setdefault(cell.queries, {}).setdefault(name, []).append(one - many)
    if not drops:
        return [_not_measured(f"{most}-way {item}", words, "no split cells in this run")]
    out = []
    for queries, by in sorted(drops.items(), reverse=True):
        every = [x for some in by.values() for x in some]
        drop = sum(every) / len(every)
        weak = {k: sum(v) / len(v) for k, v in by.items() if sum(v) / len(v) > 0.10}
        out.append(
            Target(
                f"{most}-way {item}, {queries / most:g} calls each",
                words,
                f"{100 * drop:+.1f} points over {len(every)} cells",
                drop <= 0.10,
                "more than 10 points: " + ", ".join(f"{k} {v:.0%}" for k, v in sorted(weak.items()))
                if weak
                else "",
            )
        )
    for name, (precision, recalled, f1) in link_scores(result).items():
        out.append(
            Target(
                f"linked pairs of attackers, {name}",
                "F1 >= 0.9",
                f"F1 {f1:.3f} (precision {precision:.3f}, recall {recalled:.3f})",
                f1 >= 0.9,
                "families that are not found cannot be linked; linked bystanders count"
                if f1 < 0.9
                else "",
            )
        )
    return out


def link_scores(result: GridResult) -> dict[str, tuple[float, float, float]]:
    """Precision, recall, and F1 of linked pairs, by what the log shows of scores and calls each."""
    groups: dict[str, list[tuple[int, int, int]]] = {}
    for truth, found in result.links:
        cell = next(iter(truth.values()))
        shown = "scores seen" if cell.visible else "scores hidden"
        each = "10 calls each or more" if cell.queries >= 10 * cell.credentials else "fewer"
        groups.setdefault(f"{shown}, {each}", []).append(metrics.pairs(truth, found))
    return {name: metrics.f1_of(groups[name]) for name in sorted(groups, reverse=True)}


def _onsets(result: GridResult | None) -> list[Target]:
    out = []
    for dilution, goal in ((0.0, 5.0), (0.3, 15.0)):
        item = f"onset, {dilution:.0%} ordinary calls inside the attack"
        words = f"median error <= {goal:.0f} calls"
        some = [o for o in result.onsets if o[0] == dilution] if result else []
        if not some:
            out.append(_not_measured(item, words, "no detected attacker in this run"))
            continue
        median, ninety = metrics.quantiles([o[3] for o in some])
        out.append(
            Target(
                item,
                words,
                f"median {median:.0f}, 90 % within {ninety:.0f}, {len(some)} attackers",
                median <= goal,
            )
        )
    some = result.onsets if result else []
    if some:
        inside = sum(o[4] for o in some)
        out.append(
            Target(
                "onset interval",
                "covers >= 90 %",
                metrics.rate(inside, len(some)),
                inside >= 0.9 * len(some),
                _weak((o[2], o[4]) for o in some),
            )
        )
    return out


def technique_scores(result: GridResult) -> tuple[dict[str, Any], float, float]:
    """Confusion matrix of single-credential attacks of 60 and more queries, and macro-F1.

    Returns:
        The matrix, macro-F1 among attacks that were found, and with misses counted.
    """
    some = [
        o
        for o in result.outcomes
        if o.cell.credentials == 1 and o.cell.dilution == 0.0 and o.cell.queries >= 60
    ]
    matrix = metrics.confusion((FAMILIES[o.cell.family].technique, o.named) for o in some)
    return (
        matrix,
        metrics.macro_f1(matrix, missed=False),
        metrics.macro_f1(matrix, missed=True),
    )


def _alarms(result: AlarmResult | None) -> list[Target]:
    item, words = "realised FPR at a promised 1e-3", "one-sided upper 95 % limit <= 2e-3"
    tally = result.simulated.get("all credentials") if result else None
    out = []
    if tally is None:
        out.append(_not_measured(item, words, "no held-out simulated logs were given"))
    else:
        # One-sided, as an audit asks: the two-sided 90 % interval has the same upper end.
        _, high = metrics.interval(tally.flagged[ALPHA], tally.tested, 0.90)
        why = "credentials of the population that the calibration stands for, held-out seed"
        if high > 2e-3 >= tally.flagged[ALPHA] / max(1, tally.tested):
            why += "; so few actors cannot show it"
        out.append(
            Target(
                item,
                words,
                f"{metrics.rate(tally.flagged[ALPHA], tally.tested)}, upper limit {high:.2%}",
                high <= 2e-3,
                why,
            )
        )
        true, false = result.discoveries if result else (0, 0)
        total = true + false
        out.append(
            Target(
                "realised FDR at q = 0.05",
                "<= 5 % of tier A and B",
                metrics.rate(false, total) if total else "nothing selected",
                total == 0 or false <= 0.05 * total,
                f"{result.seeded if result else 0} attackers among {tally.tested:,} ordinary"
                " actors",
            )
        )
    if result and result.hard:
        tested = sum(t.tested for t in result.hard.values())
        hits = sum(t.flagged[ALPHA] for t in result.hard.values())
        _, high = metrics.interval(hits, tested)
        worst = {k: t for k, t in result.hard.items() if t.flagged[ALPHA]}
        out.append(
            Target(
                "look-alikes the calibration has not seen, at 1e-3",
                "(no target; shift of traffic)",
                metrics.rate(hits, tested),
                None if high > 2e-3 else True,
                ", ".join(f"{k} {t.flagged[ALPHA]}/{t.tested}" for k, t in sorted(worst.items())),
            )
        )
    return out


def table(
    grid_result: GridResult | None,
    window_result: WindowResult | None,
    alarm_result: AlarmResult | None,
    classifier_result: ClassifierResult | None,
) -> list[Target]:
    """All targets of the specification's section on evaluation."""
    g = grid_result
    mia = ("loss_membership", "neighbours")
    out = [
        _window(window_result, 100, 1.0, 0.99),
        _window(window_result, 100, 0.25, 0.85),
        _window(window_result, 100, 0.10, 0.50),
        _window(window_result, 1500, 0.05, 0.75),
        _single_prompt(g),
        _recall(
            g, "prefix probing (D11, corpus), 20 queries", ("prefix_probe",), 0.95,
            queries=lambda n: n == 20,
        ),
        _recall(
            g, "membership inference (D4, D5), 20 targets x 11", mia, 0.90,
            queries=lambda n: n == 220,
        ),
        _recall(
            g, "the same, half ordinary calls", mia, 0.75,
            queries=lambda n: n == 220, dilution=0.5,
        ),
        _recall(
            g, "attribute enumeration (D3), 20 targets", ("attribute_enumeration",), 0.95,
            queries=lambda n: n == 100,
        ),
        _recall(
            g, "logit-bias sweep (D7), 20 queries or more", ("bias_sweep",), 0.999,
            queries=lambda n: n >= 20,
        ),
        _walks(classifier_result),
        _recall(
            g, "property inference (D13), replayed on two versions", ("property_replay",), 0.60,
            queries=lambda n: n >= 100,
        ),
        *_sybil(g),
        *_onsets(g),
        *_alarms(alarm_result),
    ]  # fmt: skip
    if g is not None:
        _, found, missed = technique_scores(g)
        out.append(
            Target(
                "technique macro-F1",
                ">= 0.90",
                f"{found:.3f} among attacks found, {missed:.3f} with misses",
                found >= 0.90,
                "classes with attack traffic here; undiluted, 60 queries or more",
            )
        )
    return out
