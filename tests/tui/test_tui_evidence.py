"""Evidence says in words what the custody log and the reading account hold."""

from __future__ import annotations

import json
from datetime import UTC
from zoneinfo import ZoneInfo

from tui_driving import press, settle, shown

from irkit.case import views
from irkit.tui.screens.evidence import fact_line, in_zone
from irkit.tui.widgets.dialogs import ChooseDialog

HASH = "13c51c2ecbd43aafc3471ad39455238398424673bc5ef9bcb77aa1d8a468070a"


def test_times_are_written_in_the_zone_of_the_case() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    text = in_zone("from 2026-10-16T07:00:00Z to 2026-10-16T23:30:00.5+00:00", berlin)
    assert text == "from Fri 2026-10-16 09:00:00 CEST to Sat 2026-10-17 01:30:00 CEST"
    assert in_zone("at 2026-13-40T07:00:00Z", berlin) == "at 2026-13-40T07:00:00Z"


def test_a_hash_stands_on_a_line_of_its_own() -> None:
    assert fact_line(views.Fact(1, "a.md", HASH), UTC).plain == f"  a.md:\n{HASH}"
    assert fact_line(views.Fact(0, "files", "8"), UTC).plain == "files: 8"


async def test_custody_details_are_words_and_every_hash_can_be_copied(filled, make_app) -> None:
    filled.custody.append(
        "remediate",
        files={"remediation.md": HASH, "plan.json": "ab" * 32},
        inputs={"corpus": [], "subjects": ["cd" * 32]},
        not_verified=[],
        settings_hash="ef" * 32,
        started="2026-10-16T07:00:00Z",
        reveal=False,
    )
    app = make_app(filled)
    async with app.run_test(size=(160, 48)) as pilot:
        await settle(pilot)
        await press(pilot, "8", "l")
        text = shown(app)
        assert not set('{}"[]') & set(app.screen.query_one("#detail-text").content.plain)
        for words in (
            "files:", "remediation.md:", HASH, "not verified: none", "reveal: no",
            "started: Fri 2026-10-16 07:00:00 UTC", "settings hash:", "subjects:",
        ):  # fmt: skip
            assert words in text, words
        assert "files: plan.json, remediation.md · " in text, "the table names, the detail proves"
        await press(pilot, "y")
        assert isinstance(app.screen, ChooseDialog)
        await press(pilot, "j", "j", "enter")
        assert app.clipboard == HASH


async def test_file_details_are_words(filled, make_app) -> None:
    capability = {
        "has_content": True,
        "has_ip": False,
        "rows": 202,
        "failed_calls": 0,
        "gaps": [["2026-10-14T03:00:00Z", "2026-10-14T09:00:00Z"]],
        "content_states": {"full": 200, "external_missing": 2},
        "client_ip_kinds": {"none": 202},
        "declared": ["has_content"],
        "truncated": False,
    }
    filled.con.execute(
        "UPDATE evidence_source SET capability = ? WHERE source_id = 1", [json.dumps(capability)]
    )
    app = make_app(filled)
    async with app.run_test(size=(100, 46)) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        told = app.screen.query_one("#detail-text").content.plain
    assert not set('{}"[]') & set(told) and "has_" not in told and "_" not in told
    for words in (
        "logged: texts\n", "not logged: addresses", "failed calls: none recorded",
        "silences: Wed 2026-10-14 03:00:00 UTC to Wed 2026-10-14 09:00:00 UTC",
        "texts: full 200, external missing 2", "read as: openai jsonl, 98% sure",
        f"sha256:\n{'ab' * 32}", "202 queries",
    ):  # fmt: skip
        assert words in told, words
