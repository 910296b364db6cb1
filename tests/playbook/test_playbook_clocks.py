"""Deadlines: published examples, both edges of daylight saving, and laws that hold everywhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import UsageError
from irkit.playbook.clocks import (
    Events,
    add_months,
    deadline,
    holiday_list,
    is_working_day,
    parse_rules,
    rule,
    rules,
)

KINDS = (
    "target",
    "hour rule",
    "two working days, begun days count",
    "two working days, whole days only",
)

# Awareness (local), zone, country, then the four readings in local time.
VECTORS = [
    (
        "2020-12-22T12:17", "Europe/Berlin", "DE",
        "2020-12-25T12:17", "2020-12-25T13:00", "2020-12-25T13:00", "2020-12-25T13:00",
    ),
    (
        "2026-11-20T16:30", "Europe/Paris", "FR",
        "2026-11-23T16:30", "2026-11-23T17:00", "2026-11-23T17:00", "2026-11-25T00:00",
    ),
    (
        "2026-11-19T23:59", "Europe/Rome", "IT",
        "2026-11-22T23:59", "2026-11-23T00:00", "2026-11-24T00:00", "2026-11-24T00:00",
    ),
    (
        "2026-04-02T17:10", "Europe/Berlin", "DE",
        "2026-04-05T17:10", "2026-04-05T18:00", "2026-04-08T00:00", "2026-04-09T00:00",
    ),
    (
        "2026-10-23T10:05", "Europe/Berlin", "DE",
        "2026-10-26T09:05", "2026-10-26T10:00", "2026-10-26T10:00", "2026-10-28T00:00",
    ),
    (
        "2026-03-27T12:00", "Europe/Madrid", "ES",
        "2026-03-30T13:00", "2026-03-30T14:00", "2026-03-30T14:00", "2026-04-01T00:00",
    ),
    (
        "2026-11-21T11:10", "Europe/Amsterdam", "NL",
        "2026-11-24T11:10", "2026-11-24T12:00", "2026-11-24T12:00", "2026-11-25T00:00",
    ),
    (
        "2026-11-23T09:00:00", "Europe/Dublin", "IE",
        "2026-11-26T09:00", "2026-11-26T10:00", "2026-11-26T10:00", "2026-11-26T10:00",
    ),
]  # fmt: skip


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def read(rule_id: str, zone: str = "UTC", country: str | None = None, **at: datetime):
    events = Events(at, zone=zone, country=country)
    return {i.kind: i for i in deadline(rule(rule_id), events)}


@pytest.mark.parametrize(("aware", "zone", "country", "target", "reg", "part", "whole"), VECTORS)
def test_seventy_two_hours_in_all_readings(aware, zone, country, target, reg, part, whole):
    found = read("gdpr-33-1", zone, country, awareness=local(aware, zone))
    assert tuple(found) == KINDS or set(found) == set(KINDS)
    for kind, expected in zip(KINDS, (target, reg, part, whole), strict=True):
        assert found[kind].at_utc == local(expected, zone).astimezone(UTC), kind
    assert found["target"].certainty == "safest"
    assert found["hour rule"].certainty == "law"
    assert found[KINDS[2]].certainty == found[KINDS[3]].certainty == "contested"


ZONES = st.sampled_from(
    [
        "Europe/Berlin", "Europe/Dublin", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu",
        "America/St_Johns", "Pacific/Apia", "America/New_York", "Africa/Casablanca", "UTC",
    ]
)  # fmt: skip
FROM, TO = datetime(2019, 1, 1), datetime(2030, 1, 1)  # noqa: DTZ001
MOMENTS = st.datetimes(FROM, TO, timezones=st.just(UTC))


@given(MOMENTS, ZONES, st.sampled_from(["DE", "FR", "PL", None]))
def test_the_earliest_reading_is_72_elapsed_hours_and_the_rest_follow(aware, zone, country):
    found = deadline(rule("gdpr-33-1"), Events({"awareness": aware}, zone=zone, country=country))
    by_kind = {i.kind: i.at_utc for i in found}
    target, reg, part, whole = (by_kind[k] for k in KINDS)
    assert target - aware == timedelta(hours=72)
    assert timedelta(0) < reg - target <= timedelta(hours=1)
    assert reg <= part <= whole
    assert whole - reg < timedelta(days=14)
    assert [i.at_utc for i in found] == sorted(i.at_utc for i in found)
    for instant in found:
        assert instant.at_utc.utcoffset() == timedelta(0)


@given(MOMENTS, ZONES, st.integers(1, 400))
def test_day_periods_end_at_a_local_midnight(aware, zone, _days):
    ends = [
        i
        for name in ("hipaa-404", "ai-act-73")
        for i in deadline(
            rule(name), Events({"discovery": aware, "awareness": aware}, zone=zone, country="DE")
        )
    ]
    assert ends
    for end in ends:
        just_before = (end.at_utc - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        at = end.at_utc.astimezone(ZoneInfo(zone))
        assert at.date() > just_before.date()
        assert end.whole_day


@given(st.datetimes(FROM, TO))
def test_naive_instants_are_refused(naive):
    with pytest.raises(UsageError, match="names no time zone"):
        Events({"awareness": naive})


def test_an_event_that_has_not_happened_gives_no_instant():
    assert read("gdpr-33-1") == {}
    assert read("dora-intermediate", awareness=local("2026-01-05T10:00", "UTC")) == {}


def test_unknown_zone_is_refused():
    with pytest.raises(UsageError, match="no IANA time zone"):
        Events({}, zone="Europe/Atlantis")


def test_hipaa_outer_limit_and_annual_log():
    found = local("2026-10-05T18:00", "America/Chicago")
    sixty = read("hipaa-404", "America/Chicago", discovery=found)["target"].at_utc
    assert sixty == local("2026-12-05T00:00", "America/Chicago")  # end of 4 December
    log = read("hipaa-408-log", "America/Chicago", discovery=found)["target"].at_utc
    assert log == local("2027-03-02T00:00", "America/Chicago")  # end of 1 March 2027


def test_california_thirty_then_fifteen_days():
    zone = "America/Los_Angeles"
    found = read("us-ca-1798-82", zone, discovery=local("2026-02-10T09:00", zone))["target"]
    assert found.at_utc == local("2026-03-13T00:00", zone)
    notice = read("us-ca-ag", zone, individual_notice=local("2026-03-01T09:00", zone))["target"]
    assert notice.at_utc == local("2026-03-17T00:00", zone)


def test_dora_counts_from_classification_capped_by_awareness():
    aware = local("2026-06-01T08:00", "UTC")
    early = read("dora-initial", awareness=aware, dora_classified=aware + timedelta(hours=2))
    assert early["target"].at_utc == aware + timedelta(hours=6)
    capped = read("dora-initial", awareness=aware, dora_classified=aware + timedelta(hours=22))
    assert capped["target"].at_utc == aware + timedelta(hours=24)
    late = read("dora-initial", awareness=aware, dora_classified=aware + timedelta(hours=50))
    assert late["target"].at_utc == aware + timedelta(hours=54)


def test_dora_weekend_reading_is_noon_of_the_next_working_day():
    sent = local("2026-11-19T15:00", "Europe/Berlin")  # Thursday; 72 h end on Sunday
    found = read("dora-intermediate", "Europe/Berlin", "DE", dora_initial_sent=sent)
    assert found["weekend or holiday"].at_utc == local("2026-11-23T12:00", "Europe/Berlin")
    assert found["weekend or holiday"].certainty == "conditional"
    weekday = local("2026-11-16T15:00", "Europe/Berlin")
    found = read("dora-intermediate", "Europe/Berlin", "DE", dora_initial_sent=weekday)
    assert set(found) == {"target"}


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 31), 1, date(2027, 1, 31)),
        (date(2026, 3, 15), 1, date(2026, 4, 15)),
    ],
)
def test_months_are_clamped_to_the_last_day(day, months, expected):
    assert add_months(day, months) == expected


def test_nis2_final_report_one_month_after_the_notification():
    sent = local("2026-01-31T10:00", "Europe/Vienna")
    found = read("nis2-23-final", "Europe/Vienna", "AT", nis2_notification=sent)["target"]
    assert found.at_utc == local("2026-03-01T00:00", "Europe/Vienna")


def test_ai_act_readings_with_roll_over_only_for_day_periods():
    # 15 days after Friday 6 November end on Saturday 21 November.
    aware = local("2026-11-06T10:00", "Europe/Paris")
    found = read("ai-act-73", "Europe/Paris", "FR", awareness=aware)
    assert found["target"].at_utc == local("2026-11-22T00:00", "Europe/Paris")
    assert found["roll-over"].at_utc == local("2026-11-24T00:00", "Europe/Paris")
    assert found["widespread infringement"].at_utc == local("2026-11-09T00:00", "Europe/Paris")
    for name in ("gdpr-33-1", "uk-gdpr-33", "nis2-23-early"):
        assert all("rollover" not in limit.method for limit in rule(name).limits)


def test_working_days_know_weekends_holidays_and_own_lists():
    german = Events({}, country="DE")
    assert not is_working_day(date(2026, 4, 3), german)  # Good Friday
    assert is_working_day(date(2026, 4, 2), german)
    assert not is_working_day(date(2026, 4, 4), german)
    assert is_working_day(date(2026, 4, 3), Events({}))
    own = Events({}, extra_holidays=frozenset({date(2026, 4, 2)}))
    assert not is_working_day(date(2026, 4, 2), own)
    assert "DE" in holiday_list(german)
    assert "only Saturdays and Sundays" in holiday_list(Events({}, country="XX"))


def test_rules_are_dated_and_sourced():
    assert len({r.id for r in rules()}) == len(rules())
    for found in rules():
        assert found.source
        assert found.certainty in {"verified", "secondary", "memory"}
        assert found.status in {"in_force", "proposal", "repealed"}
    assert not rule("us-ca-1798-82").in_force(date(2025, 12, 31))
    assert rule("us-ca-1798-82").in_force(date(2026, 1, 1))
    assert not rule("gdpr-omnibus-96").in_force(date(2026, 11, 24))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"colour": "red"}, "unknown key"),
        ({"effective_from": "2018-05-25"}, "dates"),
        ({"title": None}, "title"),
    ],
)
def test_a_bad_row_names_itself(change, word):
    row = {
        "id": "x", "regime": "R", "title": "t", "provision": "p", "recipient": "r",
        "applies": "fact:x", "trigger": "awareness", "effective_from": date(2020, 1, 1),
        "status": "in_force", "source": "s", "certainty": "memory",
    }  # fmt: skip
    for key, value in change.items():
        if value is None:
            del row[key]
        else:
            row[key] = value
    with pytest.raises(UsageError, match=word) as error:
        parse_rules({"rule": [row]}, "own.toml")
    assert "own.toml: rule x" in error.value.message


def test_an_unknown_way_of_counting_is_an_error_not_a_silence():
    row = {
        "id": "x", "regime": "R", "title": "t", "provision": "p", "recipient": "r",
        "applies": "fact:x", "trigger": "awareness", "effective_from": date(2020, 1, 1),
        "status": "in_force", "source": "s", "certainty": "memory",
        "limit": [{"kind": "target", "method": "lunar", "amount": 1, "basis": "b"}],
    }  # fmt: skip
    own = parse_rules({"rule": [row]}, "own.toml")[0]
    with pytest.raises(UsageError, match="lunar"):
        deadline(own, Events({"awareness": datetime(2026, 1, 1, tzinfo=UTC)}))
