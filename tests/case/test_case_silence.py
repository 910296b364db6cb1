"""Silences: found against the log's own rhythm, not against a fixed number of hours."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from irkit.case import Case
from irkit.case.views.silence import HOUR_RULE, PAUSE_RULE, silences

START = datetime(2026, 9, 7)  # noqa: DTZ001  (the case keeps UTC without a zone)


@pytest.fixture
def case(tmp_path, clock):
    with Case.create(tmp_path / "c.irkit", clock=clock) as opened:
        yield opened


def traffic(days: int, seed: int, busy: float = 40, night: float = 0.4) -> np.ndarray:
    """Hours since the start of Poisson traffic: many calls by day, few by night."""
    rng = np.random.default_rng(seed)
    hours = np.arange(days * 24)
    rate = np.where((hours % 24 >= 7) & (hours % 24 < 20), busy, night)
    calls = [h + rng.random(rng.poisson(r)) for h, r in zip(hours, rate, strict=True)]
    return np.sort(np.concatenate(calls))


def fill(case: Case, hours: np.ndarray, source: int = 1) -> None:
    times = [START + timedelta(hours=float(h)) for h in hours]
    size = len(times)
    case.append(
        "query_record",
        pa.table(
            {
                "record_id": [f"{source}-{n}" for n in range(size)],
                "source_id": pa.array([source] * size, pa.int32()),
                "source_format": ["f"] * size,
                "entry_no": pa.array(range(size), pa.int64()),
                "sub_no": pa.array([0] * size, pa.int32()),
                "event_time": pa.array(times, pa.timestamp("us")),
                "content_state": ["full"] * size,
                "record_kind": ["call"] * size,
            }
        ),
    )


def outage(hours: np.ndarray, since: float, until: float) -> np.ndarray:
    return hours[(hours < since) | (hours > until)]


def test_quiet_nights_are_no_silence(case):
    for seed in range(5):
        fill(case, traffic(12, seed), source=seed)
    assert silences(case.con, (0, 5)) == ()
    assert silences(case.con) == ()


@pytest.mark.parametrize(("since", "until"), [(105.5, 109.0), (96 + 24, 96 + 48)])
def test_a_break_by_day_is_found_though_nights_are_longer(case, since, until):
    fill(case, outage(traffic(12, 3), since, until))
    found = silences(case.con)
    assert [gap.rule for gap in found] == [HOUR_RULE]
    middle = START + timedelta(hours=(since + until) / 2)
    assert found[0].since < middle < found[0].until


def test_sources_are_judged_by_their_own_rhythm(case):
    fill(case, outage(traffic(12, 1), 60, 65), source=1)
    fill(case, traffic(12, 2, busy=0.7, night=0.2), source=2)
    assert {gap.source_id for gap in silences(case.con, (1, 2))} == {1}
    assert silences(case.con, (2, 2)) == ()


def test_a_log_of_one_day_is_judged_by_its_usual_pause(case):
    fill(case, np.concatenate([np.arange(60) / 60, [22.0]]))
    assert [gap.rule for gap in silences(case.con)] == [PAUSE_RULE]


def test_few_events_say_nothing(case):
    fill(case, np.array([0.0, 1.0, 200.0]))
    assert silences(case.con) == ()
