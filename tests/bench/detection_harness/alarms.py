"""False alarms: how many ordinary actors of which kind are flagged, and how many of the flagged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import analyzers_sim as sim
from analyzers_sim import Call, new_case

from detection_harness import development, metrics
from detection_harness.families import FAMILIES, attack
from detection_harness.ordinary import HARD, Cover
from detection_harness.staging import (
    ALPHAS,
    TIERS,
    Actor,
    Plan,
    Verdict,
    batches,
    fits,
    note,
    scratch,
    spread,
    stage,
    verdicts,
)
from detection_harness.wire import line, read_in, write
from irkit.analyzers import replay
from irkit.analyzers.corpus import load_corpus, match

#: Attackers put into the simulated population, per family.
_SEEDED = 2
_SEEDED_QUERIES = 60


@dataclass(slots=True)
class Tally:
    """Flagged and tested actors of one kind."""

    tested: int = 0
    flagged: dict[float, int] = field(default_factory=lambda: dict.fromkeys(ALPHAS, 0))
    strong: int = 0
    named: dict[str, int] = field(default_factory=dict)

    def add(self, found: list[Verdict]) -> None:
        """Count one actor."""
        self.tested += 1
        self.strong += any(v.tier in TIERS for v in found)
        for alpha in ALPHAS:
            hit = [v for v in found if v.flagged(alpha)]
            self.flagged[alpha] += bool(hit)
            if alpha == ALPHAS[0] and hit:
                name = hit[0].technique
                self.named[name] = self.named.get(name, 0) + 1

    def row(self) -> dict[str, Any]:
        """As plain values with intervals."""
        out: dict[str, Any] = {"actors": self.tested, "tier_a_or_b": self.strong}
        for alpha in ALPHAS:
            low, high = metrics.interval(self.flagged[alpha], self.tested)
            out[f"flagged_{alpha:.0e}"] = self.flagged[alpha]
            out[f"low_{alpha:.0e}"], out[f"high_{alpha:.0e}"] = low, high
        return {**out, "named": self.named}


@dataclass(slots=True)
class AlarmResult:
    """False alarms by kind of traffic.

    Attributes:
        simulated: population the calibration was drawn from (held-out seed), by role, and over
            levels of the lattice under ``all credentials`` and the like.
        hard: simulated look-alikes by kind.
        real: real traffic by source.
        discoveries: in the population with a few attackers: (true, false) actors of tier A or B.
        seeded: attackers put in.
        valid: whether the replay of the population found the calibration to fit.
        campaigns: campaigns of tier A or B without any attacker in them.
    """

    simulated: dict[str, Tally] = field(default_factory=dict)
    hard: dict[str, Tally] = field(default_factory=dict)
    real: dict[str, Tally] = field(default_factory=dict)
    discoveries: tuple[int, int] = (0, 0)
    seeded: int = 0
    campaigns: int = 0
    valid: bool = True


def population(plan: Plan, cover: Cover, result: AlarmResult) -> None:
    """Replay simulated logs with a few attackers among them."""
    if plan.logs is None:
        return
    roles = json.loads((plan.logs / "roles.json").read_text())["roles"]
    logs = sorted(plan.logs.glob("*.ndjson.gz"))
    note(f"population: {len(roles):,} ordinary actors")
    with scratch() as work, new_case(work / "p.irkit") as case:
        attackers = list(_seeded(plan, cover))
        result.seeded = len(attackers)
        extra = write(
            work / "attack.ndjson", (text for actor in attackers for text in log_lines(actor))
        )
        read_in(case, [*logs, extra])
        invented = work / "invented.jsonl"
        invented.write_text(
            "\n".join(
                json.dumps({"doc_id": f"x{i}", "text": text, "subject_id": f"x{i}"})
                for i, text in enumerate(sim.CORPUS)
            )
        )
        match(case, load_corpus([plan.corpus, invented]))
        report = replay(case, baseline=plan.baseline)
        found = verdicts(case)
        levels = _levels(case, roles)
        result.valid = fits(case)
    whole = result.simulated.setdefault("all credentials", Tally())
    for credential, role in sorted(roles.items()):
        mine = found.get(("credential", credential), [])
        whole.add(mine)
        result.simulated.setdefault(f"role {role}", Tally()).add(mine)
    for kind, units in levels.items():
        tally = result.simulated.setdefault(f"all {kind}s", Tally())
        for unit in units:
            tally.add(found.get((kind, unit), []))
    bad = {actor.name for actor in attackers}
    strong = [
        unit for (kind, unit), one in found.items() if kind == "credential" and one[0].tier in TIERS
    ]
    result.discoveries = (sum(u in bad for u in strong), sum(u not in bad for u in strong))
    result.campaigns = sum(
        kind == "campaign" and one[0].tier in TIERS and not bad & set(one[0].members)
        for (kind, _), one in found.items()
    )
    note(f"population: {report.findings}")


def _levels(case: Any, roles: dict[str, str]) -> dict[str, list[str]]:
    """Units of ordinary actors on the other levels of the lattice."""
    sql = (
        "SELECT DISTINCT {0} FROM query_record q LEFT JOIN record_session s USING (record_id)"
        " WHERE {0} IS NOT NULL AND q.credential_id NOT LIKE 'seeded-%' ORDER BY 1"
    )
    return {
        "session": [str(row[0]) for row in case.rows(sql.format("s.session_key"))],
        "source_ip": [str(row[0]) for row in case.rows(sql.format("q.client_ip"))],
    }


def _seeded(plan: Plan, cover: Cover) -> Iterator[Actor]:
    for family in plan.families:
        for number in range(_SEEDED):
            name = f"seeded-{family}-{number}"
            rng = random.Random(f"{plan.seed}/{name}")
            bad = attack(family, f"{plan.seed}/{name}/a", _SEEDED_QUERIES)
            calls, marks = spread(rng, bad, cover.take, 0.5)
            begin = datetime(2026, 9, 1) + timedelta(hours=rng.randrange(500))  # noqa: DTZ001
            ip = f"198.51.100.{rng.randrange(1, 255)}"
            yield Actor(name, [{**call, "ip": ip} for call in calls], marks, ip, begin)


def log_lines(actor: Actor) -> Iterator[bytes]:
    at = actor.begin
    for number, call in enumerate(actor.calls):
        at += timedelta(seconds=call.get("gap", 45))
        yield line(actor.name, number, at, call)


def look_alikes(plan: Plan, result: AlarmResult) -> None:
    """Simulated hard negatives, among them accounts of one class behind one address."""

    def actors() -> Iterator[Actor]:
        for kind, calls in HARD.items():
            for number in range(plan.benign):
                rng = random.Random(f"{plan.seed}/hard/{kind}/{number}")
                name = f"{kind}/{number:04d}"
                begin = sim.START + timedelta(hours=rng.randrange(24 * 20))
                ip = f"192.0.2.{rng.randrange(1, 255)}"
                yield Actor(name, list(calls(rng, rng.randrange(30, 110))), [], ip, begin)
        for number in range(plan.benign):
            rng = random.Random(f"{plan.seed}/class/{number}")
            calls = list(HARD["chatter"](rng, rng.randrange(20, 60)))
            yield Actor(f"teaching_account/{number:04d}", calls, [], "203.0.113.9")

    for batch in batches(actors(), plan.batch):
        note(f"look-alikes: {len(batch)} actors")
        found, _ = stage(plan, batch)
        for actor in batch:
            kind = actor.name.split("/")[0]
            result.hard.setdefault(kind, Tally()).add(found.get(("credential", actor.name), []))


def real_traffic(plan: Plan, result: AlarmResult) -> None:
    """Service-bot dialogues and harness runs over a real test set, through the real readers."""
    if plan.data is None:
        return
    note("real ordinary traffic")
    actors = list(_real_actors(plan, plan.data))
    with scratch() as work, new_case(work / "r.irkit") as case:
        read_in(case, [write(work / "r.ndjson", (t for actor in actors for t in log_lines(actor)))])
        replay(case, baseline=plan.baseline)
        found = verdicts(case)
    for actor in actors:
        source = actor.name.split("/")[0]
        result.real.setdefault(source, Tally()).add(found.get(("credential", actor.name), []))


def _real_actors(plan: Plan, data: Path) -> Iterator[Actor]:
    rng = random.Random(f"{plan.seed}/real")
    talks = development.dialogues(data)
    pace = development.Pace(data, 100)
    most = 80 if plan.quick else 10_000
    for number, start in enumerate(range(0, len(talks), 8)):
        if number >= most:
            break
        calls = development.bot_calls(rng, talks[start : start + 8], pace)
        yield Actor(f"service bot/{number:04d}", calls, begin=sim.START)
    items = development.mathematics(data)
    styles: tuple[tuple[str, str], ...] = (("generate", "generated"), ("score", "scored"))
    for style, label in styles:
        for number in range(6 if plan.quick else 40):
            part: list[Call] = development.harness_calls(
                rng, rng.sample(items, rng.choice((30, 60, 120))), style, pace
            )
            yield Actor(f"harness, answers {label}/{number:04d}", part, begin=sim.START)


def run(plan: Plan, cover: Cover) -> AlarmResult:
    """Measure false alarms on everything there is."""
    result = AlarmResult()
    look_alikes(plan, result)
    real_traffic(plan, result)
    population(plan, cover, result)
    return result


def families_seeded() -> int:
    """Attackers that :func:`population` puts in when all families run."""
    return _SEEDED * len(FAMILIES)
