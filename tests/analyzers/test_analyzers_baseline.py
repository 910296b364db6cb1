"""Calibration files: no text, no identifier, the same bytes twice, and nothing taken on trust."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import zstandard
from analyzers_sim import ATTACKS, FAMILY, NOUNS, Sim, give_corpus, new_case, population

from irkit.analyzers import replay
from irkit.analyzers.baseline import (
    ANY,
    FORMAT,
    UNION,
    build_baseline,
    comparable,
    load_baseline,
    round_up,
    write,
)
from irkit.analyzers.registry import load_detectors
from irkit.case import Case
from irkit.errors import UsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline")
    with new_case(folder / "b.irkit") as case:
        sim = Sim(case)
        kinds = population(sim, 60, seed=5)
        sim.flush()
        give_corpus(case, folder)
        described = build_baseline(case, folder / "one.zst")
        again = build_baseline(case, folder / "two.zst")
    assert described == again
    return folder, described, kinds


def _content(path):
    return json.loads(zstandard.ZstdDecompressor().decompress(path.read_bytes()))


def test_same_evidence_gives_the_same_bytes(made):
    folder, described, _ = made
    assert (folder / "one.zst").read_bytes() == (folder / "two.zst").read_bytes()
    assert described["actors"] == 60
    assert described["actors_by_bucket"]["5"] == 60


def test_it_holds_no_text_and_no_identifier(made):
    folder, _, kinds = made
    raw = zstandard.ZstdDecompressor().decompress((folder / "one.zst").read_bytes()).decode()
    content = json.loads(raw)

    def strings(value, found):
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, list):
            for item in value:
                strings(item, found)
        elif isinstance(value, dict):
            for key, item in value.items():
                found.add(key)
                strings(item, found)
        return found

    for name in kinds:
        assert name not in raw
    for word in (*NOUNS, *FAMILY, "192.0.2", "mail.example", "key-"):
        assert not any(word in text for text in strings(content, set())), word
    assert len(strings(content, set())) < 90


def test_no_text_credential_address_session_or_request_of_the_source_is_in_it(made):
    folder, _, _ = made
    raw = zstandard.ZstdDecompressor().decompress((folder / "one.zst").read_bytes()).decode()
    with Case.open(folder / "b.irkit") as case:
        held = [
            value
            for sql in (
                "SELECT body FROM text WHERE length(body) >= 8",
                "SELECT DISTINCT credential_id FROM query_record",
                "SELECT DISTINCT client_ip FROM query_record",
                "SELECT DISTINCT session_key FROM record_session",
                "SELECT DISTINCT record_id FROM query_record",
                "SELECT text_id FROM text",
            )
            for (value,) in case.rows(sql)
        ]
    assert len(held) > 3000
    assert not [value for value in held if value in raw]


def test_rows_are_sorted_so_that_no_order_of_actors_remains(made):
    folder, _, _ = made
    for table in _content(folder / "one.zst")["tables"]:
        rows = [
            tuple(-1.0 if v is None else v for v in row)
            for row in zip(*table["columns"], strict=True)
        ]
        assert rows == sorted(rows)


def test_loading_gives_back_what_was_written(made):
    folder, described, _ = made
    baseline = load_baseline(folder / "one.zst")
    assert baseline.described == described
    assert not baseline.generic
    total = sum(
        len(table)
        for (stratum, bucket), table in baseline.tables.items()
        if bucket == 25 and stratum not in (ANY, UNION)
    )
    assert baseline.size(25) == total == described["actors_by_bucket"]["25"]
    assert baseline.size(25, UNION) > 0
    unknown = baseline.columns(["D5.members", "D99.none"], 25, ANY)
    assert not np.isnan(unknown[:, 0]).all()
    assert np.isnan(unknown[:, 1]).all()
    p = baseline.query_p("D10.divergence", np.array([0.0, 1e6], np.float32))
    assert p.tolist() == pytest.approx([1.0, 1 / 61])


def test_scores_are_never_rounded_down():
    values = np.array([0.0, 0.12345, 1.0, 99.95, 123456.7, np.nan])
    up = round_up(values)
    assert (up[:5] >= values[:5]).all()
    assert up[:5].tolist() == pytest.approx([0.0, 0.124, 1.0, 100.0, 124000.0])
    assert np.isnan(up[5])


def test_changed_damaged_and_foreign_files_are_refused(made, tmp_path):
    folder, _, _ = made
    content = _content(folder / "one.zst")
    content["actors"] += 1
    write(content, tmp_path / "changed.zst")
    with pytest.raises(UsageError, match="changed after"):
        load_baseline(tmp_path / "changed.zst")
    (tmp_path / "noise.zst").write_bytes(b"\x00\x01 not a calibration")
    with pytest.raises(UsageError, match="not an irkit calibration file"):
        load_baseline(tmp_path / "noise.zst")
    write({"format": "irkit-baseline/99", "sha256": ""}, tmp_path / "newer.zst")
    with pytest.raises(UsageError, match="format"):
        load_baseline(tmp_path / "newer.zst")
    with pytest.raises(UsageError, match="cannot be read"):
        load_baseline(tmp_path / "absent.zst")


def test_scores_of_another_detector_version_are_not_used(made):
    folder, _, _ = made
    baseline = load_baseline(folder / "one.zst")
    registry = load_detectors(entry_points=[])
    assert len(comparable(baseline, registry)) == len(registry.statistics())
    baseline.described["detectors"]["D5"] = "0"
    assert "D5.members" not in comparable(baseline, registry)
    baseline.described["features"] = "0"
    assert comparable(baseline, registry) == []


def test_an_empty_case_makes_no_baseline(tmp_path):
    with (
        new_case(tmp_path / "e.irkit") as case,
        pytest.raises(UsageError, match="no query records"),
    ):
        build_baseline(case, tmp_path / "e.zst")


def test_a_statistic_that_was_silent_in_the_baseline_accuses_nobody(tmp_path):
    with new_case(tmp_path / "b.irkit") as case:
        sim = Sim(case)
        population(sim, 60, seed=7)
        sim.flush()
        build_baseline(case, tmp_path / "b.zst")  # no corpus was given
    baseline = load_baseline(tmp_path / "b.zst")
    assert baseline.query_p("D5.members", np.array([50.0], np.float32)).tolist() == [1.0]
    with new_case(tmp_path / "c.irkit", fpr=0.05) as case:
        sim = Sim(case)
        population(sim, 10, seed=8)
        sim.actor("bad", ATTACKS["loss_membership"][0](random.Random(1), 40))
        sim.flush()
        give_corpus(case, tmp_path)
        replay(case, baseline=tmp_path / "b.zst")
        row = case.rows(
            "SELECT status, summary FROM detector_result WHERE unit = 'bad'"
            " AND unit_kind = 'credential' AND detector = 'member_probe_set'"
        )[0]
    assert row == (
        "NOT_APPLICABLE",
        "the calibration holds no ordinary scores of this detector",
    )


def test_the_format_is_named():
    assert FORMAT.startswith("irkit-baseline/")
