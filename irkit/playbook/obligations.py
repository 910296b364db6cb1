"""Which duties apply, from facts and counts: yes, no or unknown, always with the reason.

An unknown duty is never hidden: it stands in the matrix until a person answers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from irkit.errors import UsageError
from irkit.model import Count
from irkit.playbook.authorities import EEA
from irkit.playbook.clocks import Events, Instant, Rule, deadline, zone_of
from irkit.playbook.facts import Facts

Answer = tuple[str, str]

#: Facts that start clocks, by the event names that rules use.
EVENT_KEYS = {
    "awareness": "timeline.awareness_at",
    "individual_notice": "clocks.individual_notice_at",
    "nis2_notification": "clocks.nis2_notified_at",
    "dora_classified": "clocks.dora_classified_at",
    "dora_initial_sent": "clocks.dora_initial_at",
    "dora_intermediate_sent": "clocks.dora_intermediate_at",
}


@dataclass(frozen=True, slots=True)
class Obligation:
    """One duty with its answer and its computed instants."""

    rule: Rule
    applies: str
    reason: str
    instants: tuple[Instant, ...]
    clock: str

    @property
    def target(self) -> Instant | None:
        """The instant to act on."""
        return next((i for i in self.instants if i.kind == "target"), None)


def events_of(facts: Facts, default_zone: str = "UTC") -> Events:
    """Collect the events that start clocks.

    Discovery (HIPAA, US States) is the first day on which the breach was known or should have
    been: where nobody stated it, the earlier of first signal and awareness stands in for it.
    """
    at: dict[str, datetime] = {}
    for name, key in EVENT_KEYS.items():
        instant = facts.instant(key)
        if instant is not None:
            at[name] = instant
    discovered = facts.instant("clocks.discovered_at")
    if discovered is None and "awareness" in at:
        signal = facts.instant("timeline.first_signal_at")
        discovered = min(filter(None, (signal, at["awareness"])))
    if discovered is not None:
        at["discovery"] = discovered
    aware = facts.instant("clocks.nis2_aware_at") or at.get("awareness")
    if aware is not None:
        at["nis2_aware"] = aware
    country = facts.text("controller.country").upper() or None
    region = facts.text("controller.region") or None
    return Events(at, facts.text("controller.zone", default_zone), country, region)


def obligations(facts: Facts, rules: Sequence[Rule], now: datetime) -> list[Obligation]:
    """Answer every rule: does it apply, why, and until when.

    Args:
        facts: what is known.
        rules: shipped rules and the organisation's own.
        now: used to say which rules are in force where awareness is not confirmed.
    """
    events = events_of(facts)
    result = []
    for rule in rules:
        day = (events.at.get(rule.trigger) or now).astimezone(zone_of(events.zone)).date()
        applies, reason = _answer(rule, facts)
        if rule.status == "proposal":
            applies, reason = "no", f"a proposal, not in force ({rule.source})"
        elif not rule.in_force(day):
            applies, reason = "no", f"not in force on {day.isoformat()}"
        instants = tuple(deadline(rule, events)) if applies != "no" else ()
        clock = "no clock" if applies == "no" else _clock(rule, facts, instants)
        result.append(Obligation(rule, applies, reason, instants, clock))
    return result


def _clock(rule: Rule, facts: Facts, instants: Sequence[Instant]) -> str:
    """State of the clock in words."""
    if not rule.limits:
        return rule.wording.split(";")[0]
    if instants:
        return "running" if rule.status == "in_force" else "for information"
    if rule.trigger in ("awareness", "discovery", "nis2_aware"):
        proposed = facts.proposals.get("timeline.awareness_at")
        if isinstance(proposed, datetime):
            target = next((x for x in rule.limits if x.kind == "target"), rule.limits[0])
            words = f"not started; proposed awareness {proposed.isoformat(timespec='minutes')}"
            if target.method == "elapsed_hours":
                end = proposed + timedelta(hours=target.amount)
                words += f" would end it at {end.isoformat(timespec='minutes')}"
            return words
        return "not started; awareness is not confirmed"
    return f"not started; waits for: {rule.trigger.replace('_', ' ')}"


# -- applicability ------------------------------------------------------------------------------


def _answer(rule: Rule, facts: Facts) -> Answer:
    if rule.applies.startswith("fact:"):
        key = rule.applies.removeprefix("fact:")
        return _fact(facts, key, "stated in the facts")
    if rule.applies == "always":
        return "yes", "set by the organisation"
    test = _TESTS.get(rule.applies)
    if test is None:
        raise UsageError(
            f"rule '{rule.id}': unknown applicability test '{rule.applies}'",
            "known: always, fact:KEY, " + ", ".join(sorted(_TESTS)),
        )
    return test(facts)


def _fact(facts: Facts, key: str, why: str) -> Answer:
    answer = facts.tri(key)
    if answer == "unknown":
        return "unknown", f"not answered: {key}"
    return answer, f"{why}: {key} = {answer}"


def _people(facts: Facts) -> Count | None:
    return facts.count("subjects.count")


def _gdpr(facts: Facts) -> Answer:
    stated = facts.tri("regimes.gdpr")
    if stated != "unknown":
        return stated, f"stated in the facts: regimes.gdpr = {stated}"
    country = facts.text("controller.country").upper()
    if country in EEA:
        return "yes", f"main establishment in {country}"
    people = [c for c in facts.countries("subjects.by_country") if c in EEA]
    if people:
        return "yes", f"people in {', '.join(people)} are affected (check Art. 3(2))"
    if not country and not facts.countries("subjects.by_country"):
        return "unknown", "neither establishment nor residence of the people is known"
    return "unknown", "no link to the EEA found so far; check Art. 3"


def _exposed(facts: Facts) -> Answer | None:
    """None where personal data did come out; else the answer for every breach duty."""
    people = _people(facts)
    if people is None:
        return "unknown", "the number of people is not known yet"
    if people.max == 0:
        return "no", "no person's data was found in the examined logs (see the limits)"
    if people.min == 0:
        return "unknown", "no exposure is confirmed yet; candidates await review"
    return None


def gdpr_authority(facts: Facts) -> Answer:
    """Art. 33(1): a personal data breach, unless unlikely to result in a risk."""
    gdpr, why = _gdpr(facts)
    if gdpr == "no":
        return gdpr, why
    if facts.text("controller.role") == "processor":
        return "no", "role is processor: Art. 33(2) applies instead"
    exposed = _exposed(facts)
    if exposed and exposed[0] == "no":
        return exposed
    if facts.text("risk.level") == "unlikely":
        who = facts.text("risk.decided_by") or "nobody named"
        return "no", f"risk decided as unlikely by {who}; document under Art. 33(5)"
    if exposed:
        return exposed
    if gdpr == "unknown":
        return gdpr, why
    if facts.has("risk.level"):
        return "yes", f"{why}; risk decided as {facts.text('risk.level')}"
    return "yes", f"{why}; confirmed exposure and no decision that a risk is unlikely"


def gdpr_people(facts: Facts) -> Answer:
    """Art. 34: a breach likely to result in a high risk, unless an exemption of 34(3) holds."""
    gdpr, why = _gdpr(facts)
    if gdpr == "no":
        return gdpr, why
    if facts.text("controller.role") == "processor":
        return "no", "role is processor: the controller communicates"
    exposed = _exposed(facts)
    if exposed and exposed[0] == "no":
        return exposed
    level = facts.text("risk.level")
    if level in ("unlikely", "risk"):
        return "no", f"risk decided as {level}, below high"
    exemption = facts.text("communication.exemption", "none")
    if level == "high":
        if exemption != "none":
            return "no", f"exemption relied on: Art. {exemption}"
        return "yes", "risk decided as high"
    proposed = facts.proposals.get("risk.level")
    return "unknown", f"risk not decided yet (irkit suggests: {proposed or 'nothing'})"


def gdpr_processor(facts: Facts) -> Answer:
    """Art. 33(2): only where the organisation is the processor."""
    role = facts.text("controller.role")
    if role == "processor":
        return "yes", "role is processor"
    if not role:
        return "unknown", "not answered: controller.role"
    return "no", f"role is {role}"


def gdpr_register(facts: Facts) -> Answer:
    """Art. 33(5): every breach of a controller under the GDPR."""
    gdpr, why = _gdpr(facts)
    if gdpr == "no":
        return gdpr, why
    exposed = _exposed(facts)
    if exposed:
        return exposed[0], exposed[1]
    return gdpr, f"{why}; every breach is documented, notified or not"


def _stated_or_country(key: str, country: str) -> Callable[[Facts], Answer]:
    def test(facts: Facts) -> Answer:
        stated = facts.tri(key)
        if stated != "unknown":
            return stated, f"stated in the facts: {key} = {stated}"
        if facts.text("controller.country").upper() == country:
            return "yes", f"main establishment in {country}"
        number = facts.countries("subjects.by_country").get(country, 0)
        if number:
            return "unknown", f"{number} people in {country}; check whether the law reaches you"
        return "unknown", f"not answered: {key}; no person in {country} found so far"

    return test


def _hipaa(facts: Facts) -> Answer:
    return _fact(facts, "regimes.hipaa", "stated in the facts")


def _hipaa_count(least: int, *, below: bool = False) -> Callable[[Facts], Answer]:
    def test(facts: Facts) -> Answer:
        applies, why = _hipaa(facts)
        if applies != "yes":
            return applies, why
        people = _people(facts)
        if people is None:
            return "unknown", "the number of people is not known yet"
        reach = (people.max < least) if below else (people.min >= least)
        miss = (people.min >= least) if below else (people.max < least)
        words = f"{people.min} to {people.max} people against the limit of {least}"
        return ("yes" if reach else "no" if miss else "unknown"), words

    return test


def _hipaa_media(facts: Facts) -> Answer:
    applies, why = _hipaa(facts)
    if applies != "yes":
        return applies, why
    states = facts.countries("subjects.by_us_state")
    over = sorted(state for state, number in states.items() if number > 500)
    if over:
        return "yes", f"more than 500 residents of {', '.join(over)}"
    people = _people(facts)
    if people is not None and people.max <= 500:
        return "no", f"at most {people.max} people in all"
    return "unknown", "residents by State are not known"


def _hipaa_associate(facts: Facts) -> Answer:
    applies, why = _hipaa(facts)
    if applies != "yes":
        return applies, why
    role = facts.text("controller.role")
    if not role:
        return "unknown", "not answered: controller.role"
    return ("yes" if role == "processor" else "no"), f"role is {role}"


def _california(facts: Facts) -> Answer:
    number = facts.countries("subjects.by_us_state").get("CA", 0)
    if number:
        return "yes", f"{number} residents of California"
    if facts.countries("subjects.by_us_state"):
        return "no", "no resident of California found"
    if not facts.countries("subjects.by_country").get("US"):
        return "unknown", "no person in the US found so far; States are not known"
    return "unknown", "people in the US; their States are not known"


def _california_ag(facts: Facts) -> Answer:
    applies, why = _california(facts)
    if applies != "yes":
        return applies, why
    number = facts.countries("subjects.by_us_state").get("CA", 0)
    return ("yes" if number > 500 else "no"), f"{number} residents of California, limit over 500"


def _us_states(facts: Facts) -> Answer:
    states = facts.countries("subjects.by_us_state")
    if states:
        return "yes", f"residents of {', '.join(states)}: look up each statute"
    number = facts.countries("subjects.by_country").get("US", 0)
    if number:
        return "yes", f"{number} people in the US, States not known: look up each statute"
    return "unknown", "no person in the US found so far; residence is not known for everybody"


def _ai_act(facts: Facts) -> Answer:
    answer, why = _fact(facts, "regimes.ai_act_high_risk", "stated in the facts")
    if answer == "yes":
        return "unknown", (
            "high-risk system: check applicability - most Annex III duties start on 2 December "
            "2027, and whether the leak infringes obligations that protect fundamental rights "
            "(Art. 3(49)(c))"
        )
    return answer, why


_TESTS: dict[str, Callable[[Facts], Answer]] = {
    "gdpr_authority": gdpr_authority,
    "gdpr_people": gdpr_people,
    "gdpr_processor": gdpr_processor,
    "gdpr_register": gdpr_register,
    "uk_gdpr": _stated_or_country("regimes.uk_gdpr", "GB"),
    "swiss": _stated_or_country("regimes.swiss", "CH"),
    "hipaa": _hipaa,
    "hipaa_media": _hipaa_media,
    "hipaa_hhs_large": _hipaa_count(500),
    "hipaa_hhs_small": _hipaa_count(500, below=True),
    "hipaa_associate": _hipaa_associate,
    "california": _california,
    "california_ag": _california_ag,
    "us_states": _us_states,
    "nis2": lambda facts: _fact(facts, "regimes.nis2", "stated in the facts"),
    "dora": lambda facts: _fact(facts, "regimes.dora", "stated in the facts"),
    "ai_act_73": _ai_act,
}
