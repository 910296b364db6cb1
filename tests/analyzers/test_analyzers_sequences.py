"""Retries, actors, windows: what is compared with what."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from analyzers_sim import START, Sim, chat, chatter, new_case

from irkit.analyzers.d09_input_distribution_shift import _exact_means, _means
from irkit.analyzers.sequences import (
    BUCKETS,
    Units,
    Windows,
    baseline_windows,
    load_log,
    tiled_windows,
    union_windows,
    units_of,
    whole_units,
)
from irkit.model import UnitKind


def _units(sizes):
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Units(UnitKind.CREDENTIAL, np.arange(len(sizes)), bounds, np.arange(bounds[-1]))


def test_tiles_cover_every_query_and_never_leave_the_actor():
    units = _units([3, 7, 10, 49, 50, 51, 137, 640])
    windows = tiled_windows(units, BUCKETS)
    assert windows.bucket.tolist() == windows.sizes.tolist()
    for unit, size in enumerate(units.sizes.tolist()):
        mine = np.flatnonzero(windows.unit == unit)
        rows = np.concatenate(
            [windows.rows[windows.bounds[w] : windows.bounds[w + 1]] for w in mine]
        )
        assert set(rows.tolist()) == set(units.rows[units.bounds[unit] : units.bounds[unit + 1]])
        assert set(windows.bucket[mine].tolist()) == {max(b for b in BUCKETS if b <= size)}


def test_actors_below_the_smallest_bucket_are_left_out():
    assert set(tiled_windows(_units([4, 30]), [25, 50]).unit.tolist()) == {1}


def test_baseline_takes_one_window_per_actor_and_bucket():
    units = _units([4, 30, 260])
    windows = baseline_windows(units, BUCKETS, seed=3)
    counted = {(int(u), int(b)) for u, b in zip(windows.unit, windows.bucket, strict=True)}
    assert len(counted) == len(windows)
    assert counted == {(u, b) for u, n in enumerate((4, 30, 260)) for b in BUCKETS if b <= n}
    again = baseline_windows(units, BUCKETS, seed=3)
    assert np.array_equal(windows.rows, again.rows)
    assert not np.array_equal(windows.rows, baseline_windows(units, BUCKETS, seed=4).rows)


def test_unions_draw_from_several_actors_in_time_order():
    units = _units([40] * 60)
    time = np.random.default_rng(1).permutation(2400).astype(np.int64)
    unions = union_windows(units, time, 25, seed=1)
    assert len(unions) == 60
    assert set(unions.sizes.tolist()) == {25}
    for w in range(len(unions)):
        rows = unions.rows[unions.bounds[w] : unions.bounds[w + 1]]
        assert (np.diff(time[rows]) >= 0).all()
    actors = {len(set((unions.rows[w * 25 : w * 25 + 25] // 40).tolist())) for w in range(60)}
    assert min(actors) >= 3
    assert len(union_windows(_units([40] * 5), time, 25, seed=1)) == 0


def test_window_arithmetic_against_plain_python():
    rng = np.random.default_rng(7)
    units = _units([9, 23, 61])
    windows = tiled_windows(units, (5, 10, 50))
    key = rng.integers(0, 6, 93).astype(np.uint64)
    value = rng.uniform(size=93)
    mask = rng.uniform(size=93) < 0.6
    total, peak = windows.total(value), windows.peak(value)
    distinct, best = windows.distinct(key, mask), windows.best_per_key(key, value, mask)
    for w in range(len(windows)):
        rows = windows.rows[windows.bounds[w] : windows.bounds[w + 1]]
        assert total[w] == pytest.approx(value[rows].sum())
        assert peak[w] == pytest.approx(value[rows].max())
        inside = rows[mask[rows]]
        assert distinct[w] == len(set(key[inside].tolist()))
        wanted = sum(value[inside[key[inside] == k]].max() for k in set(key[inside].tolist()))
        assert best[w] == pytest.approx(wanted)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    with new_case(tmp_path_factory.mktemp("seq") / "s.irkit") as case:
        sim = Sim(case)
        same = [chat("Do it.", f"answer {i}", gap=20) for i in range(4)]
        late = [chat("Do it.", "later", gap=400)]
        hot = [chat("Do it.", "hot", gap=10, temperature=1.0)]
        sim.actor("key-retry", iter(same + late + hot), ip="192.0.2.1")
        sim.actor("key-plain", chatter(__import__("random").Random(1), 12), ip="192.0.2.1")
        sim.records[0]["duplicate_of"] = None
        extra = sim.actor("key-dup", iter([chat("x y z", "a"), chat("x y z w", "b")]))
        sim.records[-1]["duplicate_of"] = extra[0]
        anonymous = sim.actor("ignored", iter([chat("no credential here", "c")]), ip="192.0.2.9")
        sim.records[-1]["credential_id"] = None
        assert anonymous
        sim.flush()
        return load_log(case)


def test_retries_count_once_within_a_minute_and_equal_parameters(log):
    names = log.names[UnitKind.CREDENTIAL].values.to_list()
    mine = log.codes[UnitKind.CREDENTIAL] == names.index("key-retry")
    assert mine.sum() == 6
    assert log.kept[mine].tolist() == [True, False, False, False, True, True]
    assert len(set(log.leader[mine][:4].tolist())) == 1


def test_second_sightings_are_not_read(log):
    names = log.names[UnitKind.CREDENTIAL].values.to_list()
    assert (log.codes[UnitKind.CREDENTIAL] == names.index("key-dup")).sum() == 1


def test_actors_without_credential_fall_back_to_their_address(log):
    assert (log.codes[UnitKind.CREDENTIAL] == -1).sum() == 1
    lonely = np.flatnonzero(log.codes[UnitKind.CREDENTIAL] == -1)
    assert (log.part[lonely] != log.part[(lonely + 1) % len(log)]).all()


def test_units_hold_kept_records_in_time_order(log):
    units = units_of(log, UnitKind.SOURCE_IP)
    assert whole_units(units).sizes.tolist() == units.sizes.tolist()
    for u in range(len(units)):
        rows = units.rows[units.bounds[u] : units.bounds[u + 1]]
        assert (np.diff(log.time[rows]) >= 0).all()
        assert log.kept[rows].all()
    shared = log.names[UnitKind.SOURCE_IP].values.to_list().index("192.0.2.1")
    assert units.sizes[units.code.tolist().index(shared)] == 3 + 12


def test_order_is_by_time_inside_a_partition(log):
    assert isinstance(log.record_id, pl.Series)
    assert (np.diff(log.part) >= 0).all()
    assert START + timedelta(seconds=1)
    inside = log.part[1:] == log.part[:-1]
    assert (np.diff(log.time)[inside] >= 0).all()


def test_sums_of_half_precision_values_are_the_same_in_any_order():
    rng = np.random.default_rng(11)
    values = rng.uniform(-1, 1, (9000, 4)).astype(np.float16)
    sizes = np.concatenate([[0, 1, 3, 4, 5000], rng.integers(2, 90, 200), [0]])
    rows = np.concatenate([np.sort(rng.permutation(9000)[:size]) for size in sizes])
    bounds = np.append(0, np.cumsum(sizes))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    windows = Windows(np.arange(len(sizes)), sizes, bounds, rows.astype(np.int64), owner)
    mean, count = _exact_means(values, windows, 4)
    expected, parts = _means(values, windows, 4)
    assert np.array_equal(mean, expected)
    assert np.array_equal(count, parts)
    assert count.sum() == sizes.sum()
    nothing = Windows(np.arange(2), sizes[:0], np.zeros(3, np.int64), rows[:0], owner[:0])
    assert not _exact_means(values, nothing, 4)[0].any()
