"""The playbook: steps from TOML, their gates, the evidence irkit attaches, and decisions.

A step is open once its gates hold, blocked before that, and done or not applicable when a person
says so (or, for steps marked ``auto``, when irkit's own check holds).  An organisation overrides
or adds steps, and adds clocks, in the case's own ``playbook.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import UsageError
from irkit.playbook.clocks import Rule, parse_rules
from irkit.playbook.collectors import CHECKS, COLLECTORS, Collected, collect

if TYPE_CHECKING:
    from irkit.case import Case

PHASES = ("preserve", "scope", "notify", "contain", "remediate")
OWN = "playbook.toml"
DECIDED = ("done", "not_applicable", "in_progress", "open")


@dataclass(frozen=True, slots=True)
class Step:
    """One step as written in a playbook file.

    Attributes:
        id: phase and short name, like ``scope.people``.
        gate: what must hold first: ``step:ID`` or ``check:NAME``.
        auto: name of a check that finishes the step without a person, or empty.
        decision: question that a person answers, or empty where none is needed.
        evidence: names of collectors.
        reference: outcome ids of NIST SP 800-61r3 (CSF 2.0) and other sources.
    """

    id: str
    phase: str
    title: str
    purpose: str
    how: tuple[str, ...]
    owner: str
    gate: tuple[str, ...] = ()
    auto: str = ""
    decision: str = ""
    evidence: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    source: str = "irkit"


@dataclass(frozen=True, slots=True)
class StepView:
    """One step in the state of one case."""

    step: Step
    state: str
    blocked_by: tuple[str, ...]
    evidence: tuple[Collected, ...]
    decision: str
    reason: str
    owner: str
    changed_at: datetime | None


# -- reading ------------------------------------------------------------------------------------

_KEYS = {f.name for f in fields(Step)} - {"phase", "source"}
_LISTS = {"how", "gate", "evidence", "reference"}


def _parse(table: Mapping[str, Any], where: str, source: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in table.get("step", []):
        step_id = row.get("id")
        if not isinstance(step_id, str) or step_id.partition(".")[0] not in PHASES:
            raise UsageError(
                f"{where}: a step's id must begin with one of {', '.join(PHASES)} and a dot",
                "like contain.revoke",
            )
        unknown = sorted(set(row) - _KEYS)
        if unknown:
            raise UsageError(
                f"{where}: step {step_id}: unknown key '{unknown[0]}'",
                "known: " + ", ".join(sorted(_KEYS)),
            )
        for name, value in row.items():
            want = list if name in _LISTS else str
            if not isinstance(value, want) or (
                want is list and not all(isinstance(v, str) for v in value)
            ):
                kind = "a list of texts" if name in _LISTS else "a text"
                raise UsageError(f"{where}: step {step_id}: '{name}' must be {kind}")
        if step_id in found:
            raise UsageError(f"{where}: step {step_id} stands there twice")
        found[step_id] = {**row, "source": source}
    return found


@lru_cache(maxsize=1)
def shipped() -> tuple[Step, ...]:
    """Return the steps that irkit ships, in playbook order."""
    rows: dict[str, dict[str, Any]] = {}
    folder = resources.files("irkit.playbook") / "steps"
    for phase in PHASES:
        text = (folder / f"{phase}.toml").read_text("utf-8")
        rows |= _parse(tomllib.loads(text), f"steps/{phase}.toml", "irkit")
    return _build(rows, "steps")


def _build(rows: Mapping[str, dict[str, Any]], where: str) -> tuple[Step, ...]:
    steps = []
    for step_id, row in rows.items():
        missing = [k for k in ("title", "purpose", "how", "owner") if k not in row]
        if missing:
            raise UsageError(f"{where}: step {step_id} lacks '{missing[0]}'")
        values: dict[str, Any] = {k: tuple(v) if k in _LISTS else v for k, v in row.items()}
        steps.append(Step(phase=step_id.partition(".")[0], **values))
    known = {step.id for step in steps}
    for step in steps:
        for gate in step.gate:
            kind, _, name = gate.partition(":")
            if name not in {"step": known, "check": set(CHECKS)}.get(kind, set()):
                raise UsageError(
                    f"{where}: step {step.id}: gate '{gate}' names nothing known",
                    "write step:ID or check:NAME; checks: " + ", ".join(CHECKS),
                )
        bad = [name for name in step.evidence if name not in COLLECTORS]
        if bad or (step.auto and step.auto not in CHECKS):
            raise UsageError(
                f"{where}: step {step.id}: '{(bad or [step.auto])[0]}' names nothing known",
                "evidence: " + ", ".join(COLLECTORS) + "; auto: " + ", ".join(CHECKS),
            )
    return tuple(sorted(steps, key=lambda s: PHASES.index(s.phase)))


def _own_table(case: Case) -> tuple[Mapping[str, Any], Path]:
    path = case.path / OWN
    if not path.is_file():
        return {}, path
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from error
    unknown = set(table) - {"step", "rule"}
    if unknown:
        raise UsageError(
            f"{path}: unknown table '{sorted(unknown)[0]}'", "use [[step]] and [[rule]]"
        )
    return table, path


def own_rules(case: Case) -> list[Rule]:
    """Clocks that the organisation added for this case.

    Raises:
        UsageError: the case's ``playbook.toml`` is wrong.
    """
    table, path = _own_table(case)
    return parse_rules(table, str(path))


def definitions(case: Case | None = None) -> tuple[Step, ...]:
    """Steps in playbook order, with the case's own laid over the shipped ones.

    An own step with a shipped id replaces only the keys it names; a new id is added at the end of
    its phase.

    Raises:
        UsageError: the case's ``playbook.toml`` is wrong.
    """
    if case is None:
        return shipped()
    table, path = _own_table(case)
    own = _parse(table, str(path), "organisation")
    if not own:
        return shipped()
    rows: dict[str, dict[str, Any]] = {}
    for step in shipped():
        base = {f.name: getattr(step, f.name) for f in fields(Step) if f.name != "phase"}
        rows[step.id] = {**base, **own.pop(step.id, {})}
    rows |= own
    return _build(rows, str(path))


# -- state --------------------------------------------------------------------------------------


def steps(case: Case) -> list[StepView]:
    """Compute every step's state in this case.

    Raises:
        UsageError: the case's ``playbook.toml`` is wrong.
    """
    stored = {
        str(row[0]): row[1:]
        for row in case.rows(
            "SELECT step_id, state, coalesce(decision, ''), coalesce(reason, ''),"
            " coalesce(owner, ''), changed_at FROM step_state ORDER BY step_id"
        )
    }
    checked = {name: run(case) for name, (_, run) in CHECKS.items()}
    found = definitions(case)
    settled = _settled(found, stored, checked)
    views = []
    attached = {
        name: collect(case, name) for name in sorted({e for s in found for e in s.evidence})
    }
    for step in found:
        blocked = tuple(_blockers(step, found, settled, checked))
        state, decision, reason, owner, changed = (*stored.get(step.id, ("", "", "", "", None)),)
        if state in ("", "open"):
            state = "done" if step.id in settled else "blocked" if blocked else "open"
        if changed is not None and changed.tzinfo is None:
            changed = changed.replace(tzinfo=UTC)
        views.append(
            StepView(
                step,
                str(state),
                blocked if state == "blocked" else (),
                tuple(attached[name] for name in step.evidence),
                str(decision),
                str(reason),
                str(owner) or step.owner,
                changed,
            )
        )
    return views


def _settled(
    found: Sequence[Step], stored: Mapping[str, Any], checked: Mapping[str, bool]
) -> set[str]:
    """Ids of steps that are done or not applicable, by decision or by irkit's own check."""
    done = {i for i, row in stored.items() if row[0] in ("done", "not_applicable")}
    for step in found:
        state = stored.get(step.id, ("",))[0]
        if step.auto and checked[step.auto] and state in ("", "open"):
            done.add(step.id)
    return done


def _blockers(
    step: Step, found: Sequence[Step], settled: set[str], checked: Mapping[str, bool]
) -> list[str]:
    titles = {s.id: s.title for s in found}
    reasons = []
    for gate in step.gate:
        kind, _, name = gate.partition(":")
        if kind == "step" and name not in settled:
            reasons.append(f"first: {titles[name]} ({name})")
        elif kind == "check" and not checked[name]:
            reasons.append(CHECKS[name][0])
    return reasons


def decide(
    case: Case,
    step_id: str,
    state: str,
    decision: str = "",
    reason: str = "",
    owner: str = "",
) -> StepView:
    """Record a decision on a step, in the case and in the custody log.

    Args:
        case: a case opened for writing.
        step_id: the step.
        state: ``done``, ``not_applicable``, ``in_progress`` or ``open`` (reopens).
        decision: what was decided or done, as it will stand in the packet.
        reason: why; needed for ``not_applicable``, for reopening, and where the step asks for a
            decision.
        owner: who decided; the step's owner where empty.

    Raises:
        UsageError: unknown step or state, a gate does not hold, or a reason is missing.
    """
    if state not in DECIDED:
        raise UsageError(f"unknown state '{state}'", "use: " + ", ".join(DECIDED))
    before = next((v for v in steps(case) if v.step.id == step_id), None)
    if before is None:
        raise UsageError(f"no step '{step_id}'", "see: irkit list steps")
    if before.state == "blocked" and state in ("done", "in_progress"):
        raise UsageError(f"{step_id} is blocked: {'; '.join(before.blocked_by)}")
    if before.step.decision and state == "done" and not decision.strip():
        raise UsageError(f"{step_id} asks for a decision: {before.step.decision}")
    reopened = state == "open" and before.state in ("done", "not_applicable")
    if not reason.strip() and (
        state == "not_applicable" or reopened or (before.step.decision and state == "done")
    ):
        raise UsageError(f"{step_id}: a reason is needed for '{state}'")
    at = case.clock().astimezone(UTC)
    with case.transaction():
        case.con.execute(
            "INSERT OR REPLACE INTO step_state VALUES (?, ?, ?, ?, ?, ?)",
            [step_id, state, decision, reason, owner or before.step.owner, at.replace(tzinfo=None)],
        )
    case.custody.append(
        "decide",
        step=step_id,
        state=state,
        was=before.state,
        decision=decision,
        reason=reason,
        owner=owner or before.step.owner,
    )
    return next(v for v in steps(case) if v.step.id == step_id)


# -- catalogue ----------------------------------------------------------------------------------


def list_steps() -> list[dict[str, Any]]:
    """Describe the shipped steps for ``irkit list steps``."""
    return [
        {
            "id": s.id,
            "title": s.title,
            "purpose": s.purpose,
            "how": list(s.how),
            "owner": s.owner,
            "gate": list(s.gate),
            "evidence": [COLLECTORS[name][0] for name in s.evidence],
            "decision": s.decision,
            "reference": list(s.reference),
        }
        for s in shipped()
    ]


def list_regimes() -> list[dict[str, Any]]:
    """Describe the shipped legal clocks for ``irkit list regimes``."""
    from irkit.playbook.clocks import rules

    return [
        {
            "id": r.id,
            "title": f"{r.provision}: {r.title}",
            "regime": r.regime,
            "trigger": r.trigger,
            "limits": [f"{x.kind}: {x.basis}" for x in r.limits] or [r.wording],
            "recipient": r.recipient,
            "in_force": r.effective_from.isoformat(),
            "status": r.status.replace("_", " "),
            "source": r.source,
            "certainty": r.certainty,
        }
        for r in rules()
    ]
