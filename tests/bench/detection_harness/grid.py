"""The attack grid: who is found, as what, since when, and as one campaign when split up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import analyzers_sim as sim
from analyzers_sim import ORDINARY, Call

from detection_harness import metrics
from detection_harness.families import FAMILIES, attack
from detection_harness.ordinary import Cover
from detection_harness.staging import (
    ALPHAS,
    TIERS,
    Actor,
    Plan,
    Verdict,
    batches,
    note,
    spread,
    stage,
)

#: Cells with this many attack calls or fewer get all repeats; larger ones proportionally fewer.
_FULL = 100
_LEAST_REPEATS = 2
_BYSTANDERS = 120
#: Client software; each attack uses one, and so does each bystander.
_CLIENTS = (
    *("openai-python/1.51.0", "openai-python/2.3.0", "python-requests/2.32", "LangChain/1.2"),
    *("okhttp/4.12.0", "axios/1.7", "curl/8.5.0", "Mozilla/5.0", "node-fetch/3", "aiohttp/3.9"),
)
_LEAD = (0, 100)
_ONSET_DILUTIONS = (0.0, 0.3, 0.5)
_ONSET_QUERIES = (60, 200)
#: Cells of the specification's targets that the axes may leave out: family, queries, dilution.
_TARGET_CELLS = (
    ("repeat_forever", 1, 0.0),
    ("prefix_probe", 20, 0.0),
    ("loss_membership", 220, 0.0),
    ("loss_membership", 220, 0.5),
    ("neighbours", 220, 0.0),
    ("neighbours", 220, 0.5),
    ("attribute_enumeration", 100, 0.0),
    ("bias_sweep", 20, 0.0),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid."""

    family: str
    credentials: int
    dilution: float
    queries: int
    visible: bool


@dataclass(slots=True)
class Outcome:
    """What became of one attack.

    Attributes:
        alone: per error rate, share of the attack's credentials flagged by themselves.
        linked: per error rate, whether a campaign with half of its credentials was flagged.
        named: technique of the strongest flagged verdict at the first error rate.
        strong: whether tier A or B was given to any of its units.
    """

    cell: Cell
    alone: dict[float, float] = field(default_factory=dict)
    linked: dict[float, bool] = field(default_factory=dict)
    named: str = metrics.MISSED
    strong: bool = False

    def found(self, alpha: float) -> bool:
        """Half of the credentials flagged, or a campaign of them."""
        return self.alone[alpha] >= 0.5 or self.linked.get(alpha, False)


@dataclass(slots=True)
class GridResult:
    """All outcomes of a run.

    Attributes:
        links: per case of split attacks, (group of each attacker, members of each campaign).
        discoveries, campaigns: for each credential, and each campaign, of tier A or B in cases with
            split attacks: whether it attacks (has an attacker in it).
        withheld: cases with split attacks in which the replay withheld p-values, because the
            traffic as a whole does not fit the calibration.
        onsets: per detected attacker: dilution, queries, family, error in calls, inside interval.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    links: list[tuple[dict[str, Cell], list[tuple[str, ...]]]] = field(default_factory=list)
    onsets: list[tuple[float, int, str, int, bool]] = field(default_factory=list)
    discoveries: list[bool] = field(default_factory=list)
    campaigns: list[bool] = field(default_factory=list)
    withheld: int = 0


def _visibility(family: str) -> tuple[bool, ...]:
    return (True, False) if FAMILIES[family].scored else (True,)


def _repeats(plan: Plan, queries: int) -> int:
    return max(
        min(_LEAST_REPEATS, plan.repeats), min(plan.repeats, plan.repeats * _FULL // queries)
    )


def _score(cell: Cell, own: Sequence[Sequence[Verdict]], campaigns: Sequence[Verdict]) -> Outcome:
    out = Outcome(cell)
    for alpha in ALPHAS:
        hit = [[v for v in one if v.flagged(alpha)] for one in own]
        out.alone[alpha] = sum(bool(h) for h in hit) / len(own)
        union = [v for v in campaigns if v.flagged(alpha)]
        out.linked[alpha] = bool(union)
        if alpha == ALPHAS[0]:
            shown = union or [v for h in hit for v in h]
            out.named = min(shown, key=_strength).technique if shown else metrics.MISSED
    every = [v for one in own for v in one] + list(campaigns)
    out.strong = any(v.tier in TIERS for v in every)
    return out


def _strength(one: Verdict) -> tuple[bool, float]:
    return not one.signature, 1.0 if one.p is None else one.p


def _solo_cells(plan: Plan) -> list[Cell]:
    cells = [
        Cell(family, 1, dilution, queries, visible)
        for family in plan.families
        for queries in plan.queries
        for dilution in plan.dilutions
        for visible in _visibility(family)
    ]
    cells += [
        Cell(family, 1, dilution, queries, True)
        for family, queries, dilution in _TARGET_CELLS
        if family in plan.families
    ]
    return list(dict.fromkeys(cells))


def solo(plan: Plan, cover: Cover, result: GridResult) -> None:
    """Attacks from one credential."""
    cells: dict[str, Cell] = {}

    def actors() -> Iterator[Actor]:
        for cell in _solo_cells(plan):
            for repeat in range(_repeats(plan, cell.queries)):
                name = f"bad-{cell.family}-{cell.queries}-{cell.dilution}-{cell.visible:d}-{repeat}"
                rng = random.Random(f"{plan.seed}/{name}")
                seed = f"{plan.seed}/{name}/a"
                bad = attack(cell.family, seed, cell.queries, visible=cell.visible)
                calls, marks = spread(rng, bad, cover.take, cell.dilution)
                cells[name] = cell
                yield Actor(name, calls, marks, _address(rng))

    for batch in batches(actors(), plan.batch):
        note(f"grid, single credentials: {len(batch)} attackers")
        found, _ = stage(plan, batch)
        for actor in batch:
            own = found.get(("credential", actor.name), [])
            result.outcomes.append(_score(cells[actor.name], [own], []))


def _address(rng: random.Random) -> str:
    return f"198.51.100.{rng.randrange(1, 255)}"


def split(plan: Plan, cover: Cover, result: GridResult) -> None:
    """Attacks split over several credentials, one per family in each case, among bystanders.

    Families take turns in two sets of cases, so that attacks on the same records with the same
    calls (two kinds of membership inference) do not meet: nothing in a log tells them apart.
    """
    cells = [
        (credentials, queries, dilution, visible)
        for credentials in plan.credentials
        for queries in plan.queries
        for dilution in plan.dilutions
        for visible in (True, False)
        if credentials > 1 and queries >= max(100, credentials)
    ]
    for credentials, queries, dilution, visible in cells:
        repeats = 1 if plan.quick else max(1, min(2, 200 // queries))
        for repeat in range(repeats):
            for families in (plan.families[::2], plan.families[1::2]):
                shown = [f for f in families if visible in _visibility(f)]
                attacks = [Cell(f, credentials, dilution, queries, visible) for f in shown]
                if attacks:
                    _split_case(plan, cover, result, attacks, repeat)


def _split_case(
    plan: Plan, cover: Cover, result: GridResult, attacks: Sequence[Cell], repeat: int
) -> None:
    first = attacks[0]
    note(
        f"grid, {first.queries} queries over {first.credentials} credentials,"
        f" dilution {first.dilution}, {len(attacks)} attacks"
    )
    actors: list[Actor] = []
    truth: dict[str, Cell] = {}
    for cell in attacks:
        count = cell.credentials
        label = f"{cell.family}-{count}-{cell.queries}-{cell.dilution}-{cell.visible:d}-{repeat}"
        bad = attack(cell.family, f"{plan.seed}/{label}", cell.queries, visible=cell.visible)
        client = _client(random.Random(label))
        for part in range(count):
            rng = random.Random(f"{plan.seed}/{label}/{part}")
            own = bad[part * len(bad) // count : (part + 1) * len(bad) // count]
            calls, marks = spread(rng, own, cover.take, cell.dilution)
            begin = sim.START + timedelta(minutes=rng.randrange(60 * 24))
            name = f"bad-{label}-{part:03d}"
            truth[name] = cell
            calls = [
                client(call) if mark else call for call, mark in zip(calls, marks, strict=True)
            ]
            actors.append(Actor(name, calls, marks, f"203.0.113.{rng.randrange(1, 255)}", begin))
    actors += bystanders(plan, cover, _BYSTANDERS, f"{first}/{repeat}")
    found, valid = stage(plan, actors)
    result.withheld += not valid
    union = [v for (kind, _), one in found.items() if kind == "campaign" for v in one[:1]]
    members = [_members(v) for v in union]
    strong = [m for v, m in zip(union, members, strict=True) if v.tier in TIERS]
    result.links.append((truth, strong))
    result.campaigns += [bool(set(truth) & set(m)) for m in strong]
    for cell in attacks:
        names = [name for name, own in truth.items() if own == cell]
        mine = [
            v
            for v, inside in zip(union, members, strict=True)
            if len(set(names) & set(inside)) >= len(names) / 2
        ]
        own = [found.get(("credential", name), []) for name in names]
        result.outcomes.append(_score(cell, own, mine))
    result.discoveries += [
        name in truth
        for (kind, name), one in found.items()
        if kind == "credential" and one[0].tier in TIERS
    ]


def _members(one: Verdict) -> tuple[str, ...]:
    return tuple(name for name in one.members if not name.startswith(("session:", "source_ip:")))


def _client(rng: random.Random) -> Callable[[Call], Call]:
    """Draw client software and its sampling settings, which a call keeps where it has its own."""
    own = {
        "user_agent": rng.choice(_CLIENTS),
        "temperature": rng.choice((None, 0.0, 0.3, 0.7, 1.0)),
    }
    length = rng.choice((128, 200, 256, 400, 512))

    def apply(call: Call) -> Call:
        out = {**own, **call}
        # The simulator's default length stands for "as the client is set".
        return {**out, "max_tokens": length} if call.get("max_tokens") == 256 else out

    return apply


def bystanders(plan: Plan, cover: Cover, count: int, label: str) -> list[Actor]:
    """Ordinary actors around an attack: simulated kinds, and calls of the logs where given."""
    out = []
    kinds = list(ORDINARY)
    for number in range(count):
        rng = random.Random(f"{plan.seed}/{label}/by/{number}")
        size = rng.randrange(30, 120)
        if number % 2 and cover.actors:
            calls = cover.take(rng, size)
        else:
            calls = list(ORDINARY[rng.choice(kinds)][0](rng, size))
        calls = [*map(_client(rng), calls)]
        begin = sim.START + timedelta(hours=rng.randrange(24 * 5))
        out.append(Actor(f"key-{number:04d}", calls, [], f"192.0.2.{rng.randrange(1, 255)}", begin))
    return out


def onset(plan: Plan, cover: Cover, result: GridResult) -> None:
    """Attackers that were ordinary customers before: since when?"""
    truth: dict[str, tuple[float, int, str, Actor]] = {}

    def actors() -> Iterator[Actor]:
        for family in plan.families:
            for queries in _ONSET_QUERIES[: 1 if plan.quick else None]:
                for dilution in _ONSET_DILUTIONS:
                    for repeat in range(_repeats(plan, queries)):
                        name = f"onset-{family}-{queries}-{dilution}-{repeat}"
                        rng = random.Random(f"{plan.seed}/{name}")
                        bad = attack(family, f"{plan.seed}/{name}/a", queries)
                        calls, marks = spread(rng, bad, cover.take, dilution, rng.randrange(*_LEAD))
                        actor = Actor(name, calls, marks, _address(rng))
                        truth[name] = (dilution, queries, family, actor)
                        yield actor

    for batch in batches(actors(), plan.batch):
        note(f"onset: {len(batch)} attackers")
        found, _ = stage(plan, batch)
        for actor in batch:
            dilution, queries, family, _ = truth[actor.name]
            for one in found.get(("credential", actor.name), [])[:1]:
                if not one.flagged(ALPHAS[0]) or one.onset is None:
                    continue
                begin = actor.first_bad()
                error = abs(actor.place(one.onset) - actor.place(begin))
                inside = bool(
                    one.onset_low and one.onset_high and one.onset_low <= begin <= one.onset_high
                )
                result.onsets.append((dilution, queries, family, error, inside))


def run(plan: Plan, cover: Cover) -> GridResult:
    """Run the whole grid."""
    result = GridResult()
    solo(plan, cover, result)
    onset(plan, cover, result)
    split(plan, cover, result)
    return result


def rows(result: GridResult) -> list[dict[str, Any]]:
    """One row per cell, for reports."""
    by_cell: dict[Cell, list[Outcome]] = {}
    for outcome in result.outcomes:
        by_cell.setdefault(outcome.cell, []).append(outcome)
    return [
        {
            "family": cell.family,
            "technique": FAMILIES[cell.family].technique,
            "credentials": cell.credentials,
            "dilution": cell.dilution,
            "queries": cell.queries,
            "scores_visible": cell.visible,
            "attacks": len(some),
            "recall_1e-3": sum(o.found(1e-3) for o in some) / len(some),
            "recall_1e-2": sum(o.found(1e-2) for o in some) / len(some),
            "credentials_alone_1e-3": sum(o.alone[1e-3] for o in some) / len(some),
            "linked_1e-3": sum(o.linked[1e-3] for o in some) / len(some),
            "tier_a_or_b": sum(o.strong for o in some) / len(some),
            "named_right": sum(o.named == FAMILIES[cell.family].technique for o in some)
            / max(1, sum(o.named != metrics.MISSED for o in some)),
        }
        for cell, some in by_cell.items()
    ]
