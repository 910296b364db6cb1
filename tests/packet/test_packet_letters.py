"""Letters in other languages, and the words of the summary."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from importlib import resources

import pytest
from made_incident import FACTS, make_incident

from irkit.model import Count, Phase
from irkit.packet import build_packet, closing
from irkit.packet.words import about, reading, shown
from irkit.playbook import load_facts
from irkit.playbook.facts import Unknown

LANGUAGES = ("de", "es", "fr", "it", "nl", "pl")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    base = tmp_path_factory.mktemp("letters")
    (base / "facts.toml").write_text(FACTS, "utf-8")
    with make_incident(base / "case.irkit") as case:
        known = load_facts(base / "facts.toml", case)
        build_packet(case, phase=Phase.PRELIMINARY, facts=known, out=base / "out")
    return base / "out"


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_letter_has_the_same_parts_and_asks_for_a_check(out, code):
    text = (out / f"letter_art34.{code}.md").read_text("utf-8")
    table = tomllib.loads((resources.files("irkit.packet") / "letters.toml").read_text("utf-8"))
    assert set(table) == set(LANGUAGES)
    assert f"> {table[code]['check']}" in text
    assert text.count("\n## ") == 6
    assert "{" not in text
    assert "SYNTHETIC SAMPLE" in text
    # Kinds of data, consequences, measures and advice are for people to fill.
    assert text.count("[") == 5
    english = (out / "letter_art34.md").read_text("utf-8")
    contact = english.split("## Whom to ask")[1].split(".", 1)[0].strip().split(", ")[0]
    assert contact in text


def test_times_and_counts_read_as_sentences():
    at = datetime(2026, 10, 5, 10, 43, 56, tzinfo=UTC)
    assert reading(at, "Europe/Berlin") == "5 Oct 2026, 12:43 CEST"
    assert reading(None, "UTC") == "not yet known"
    assert about(Count(155, 180, 1190, "x"), "person", "people") == (
        "about 180 people (at least 155, at most 1,190)"
    )
    assert about(Count(1, 1, 1, "x"), "person", "people") == "1 person"
    assert about(None, "person", "people") == "number of people not yet known"
    open_point = (Unknown("system.weights_hash", None, "asked the host"), Unknown("own words"))
    assert shown(open_point, "UTC") == (
        "hash of the weights active at the time, asked the host; own words"
    )


def test_duties_with_one_question_share_a_row_and_name_it():
    def duty(rule, applies, reason, regime="HIPAA"):
        return {"rule": rule, "applies": applies, "reason": reason, "regime": regime,
                "certainty": "verified", "instants": [], "clock": "no clock",
                "provision": rule}  # fmt: skip

    rows = closing._grouped(
        [
            duty("a", "unknown", "not answered: regimes.hipaa"),
            duty("b", "yes", "same", "GDPR"),
            duty("c", "unknown", "not answered: regimes.hipaa"),
            duty("d", "yes", "same", "GDPR"),
            duty("e", "no", "not answered: regimes.hipaa"),
        ]
    )
    assert [[d["rule"] for d in row] for row in rows] == [["b"], ["d"], ["a", "c"], ["e"]]
    assert closing._asked("not answered: regimes.hipaa") == (
        "nobody has answered: HIPAA applies (regimes.hipaa)"
    )
    assert closing._asked("role is controller") == "role is controller"
    assert closing._limits(rows[2][1], named=True) == "c: no clock"


def test_the_addressed_authority_gets_a_sheet_in_its_own_order(out):
    sheets = sorted(path.name for path in out.glob("form_??.md"))
    assert sheets == ["form_DE.md"]
    text = (out / "form_DE.md").read_text("utf-8")
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles[:3] == [
        "## 1 Reporter, processor, contact person", "## 2 Course of time", "## 3 The incident"
    ]  # fmt: skip
    assert "(`subjects.count`)" in text
    assert "not yet known" in text
    assert "certainty: verified" in text


def test_under_hipaa_people_get_a_notice_with_the_five_parts(tmp_path):
    assert "[regimes]" not in FACTS
    facts = FACTS + '\n[regimes]\nhipaa = "yes"\n'
    (tmp_path / "facts.toml").write_text(facts, "utf-8")
    with make_incident(tmp_path / "case.irkit") as case:
        known = load_facts(tmp_path / "facts.toml", case)
        build_packet(case, phase=Phase.PRELIMINARY, facts=known, out=tmp_path / "out")
    text = (tmp_path / "out" / "letter_hipaa.md").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## What happened",
        "## What information was involved",
        "## What you can do",
        "## What we are doing",
        "## For more information",
    ]
    assert "We discovered this on" in text


def test_the_notice_under_hipaa_is_left_out_elsewhere_and_indicators_are_there(out):
    assert not (out / "letter_hipaa.md").exists()
    bundle = json.loads((out / "indicators.stix.json").read_text("utf-8"))
    assert bundle["type"] == "bundle"
    assert {"identity", "report"} & {item["type"] for item in bundle["objects"]}
