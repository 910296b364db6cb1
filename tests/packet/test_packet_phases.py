"""Phases of a notification: gates, frozen packets, their chain, and what changed."""

from __future__ import annotations

import json
from datetime import timedelta

import pypdf
import pytest
from made_incident import FACTS, SIGNED, make_incident

from irkit.errors import ExitCode, PacketIncomplete, StorageError, UsageError
from irkit.model import Phase
from irkit.packet import build_packet, verify_packet
from irkit.playbook import decide, load_facts
from irkit.playbook.facts import facts_from_case
from irkit.playbook.facts_toml import read_facts


def facts(case, text, tmp_path):
    path = tmp_path / "given.toml"
    path.write_text(text, "utf-8")
    return load_facts(path, case)


# -- phases -------------------------------------------------------------------------------------


def test_a_complete_packet_needs_its_facts_and_lists_what_lacks(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        with pytest.raises(PacketIncomplete) as error:
            build_packet(
                case, phase=Phase.COMPLETE, facts=facts_from_case(case), out=tmp_path / "out"
            )
        assert error.value.code is ExitCode.INCOMPLETE
        assert set(error.value.missing) == {
            "controller.name", "controller.country", "dpo.name", "dpo.email", "timeline.ongoing",
            "timeline.awareness_at", "risk.level", "risk.decided_by", "sign_off",
        }  # fmt: skip
        template = tmp_path / "out" / "facts.toml"
        assert read_facts(template).values == {}
        assert "# timeline.awareness_at = 2026-10-15T08:30:00+00:00" in template.read_text()
        assert not (tmp_path / "out" / "packet.pdf").exists()


def test_a_late_packet_must_say_why(tmp_path):
    with make_incident(tmp_path / "case.irkit", now="2026-10-20T09:00:00+02:00") as case:
        given = facts(case, FACTS, tmp_path)
        with pytest.raises(PacketIncomplete, match="reasons for the delay") as error:
            build_packet(case, phase=Phase.PRELIMINARY, facts=given, out=tmp_path / "out")
        assert error.value.missing == ("notification.delay_reasons",)
        late = given.with_value("notification.delay_reasons", ("the corpus arrived late",))
        result = build_packet(case, phase=Phase.PRELIMINARY, facts=late, out=tmp_path / "out")
        text = " ".join(pypdf.PdfReader(result.pdf).pages[1].extract_text().split())
        assert "(46 h 30 min late)" in text


def test_phases_are_frozen_chained_and_compared(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        first = build_packet(
            case, phase=Phase.PRELIMINARY, facts=facts(case, FACTS, tmp_path), out=tmp_path / "a"
        )
        decide(case, "contain.revoke", "done", "both revoked", "they received data", "IAM")
        second = build_packet(
            case, phase=Phase.COMPLETE, facts=facts(case, SIGNED, tmp_path), out=tmp_path / "b"
        )
        assert (first.number, second.number) == (1, 2)
        assert not second.draft
        data = json.loads(second.json.read_bytes())
        assert data["head"]["previous"] == {"number": 1, "sha256": first.sha256}
        changed = {c["key"]: (c["before"], c["now"]) for c in data["changes"]}
        assert changed["risk.level"] == ("not yet known", "high")
        assert changed["measures.containment"][1].startswith("both revoked (done")
        assert "controller.name" not in changed
        room = tmp_path / "case.irkit" / "packets"
        assert sorted(p.name for p in room.iterdir()) == ["001-preliminary", "002-complete"]
        assert verify_packet(room / "002-complete").ok
        text = "".join(p.extract_text() for p in pypdf.PdfReader(second.pdf).pages[1:3])
        assert "What changed since the previous packet" in text
        assert "DRAFT" not in pypdf.PdfReader(second.pdf).pages[0].extract_text()
        # A signed packet is built again under its own number only with the same facts.
        again = build_packet(
            case, phase=Phase.COMPLETE, facts=facts(case, SIGNED, tmp_path), out=tmp_path / "c"
        )
        assert again.number == 2
        third = build_packet(
            case,
            phase=Phase.SUPPLEMENTARY,
            facts=facts(case, SIGNED + 'system.dpia_ref = "DPIA-7"\n', tmp_path),
            out=tmp_path / "d",
        )
        assert third.number == 3
        with pytest.raises(UsageError, match="already has a signed supplementary packet"):
            build_packet(
                case,
                phase=Phase.PRELIMINARY,
                facts=facts(case, SIGNED, tmp_path),
                out=tmp_path / "e",
            )
        (room / "001-preliminary" / "packet.json").write_text("{}", "utf-8")
        chain = {c.name: c.ok for c in verify_packet(room / "002-complete").checks}
        assert chain["chain"] is False


def test_a_draft_gives_way_to_the_next_build(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        for text in (FACTS, FACTS + 'system.dpia_ref = "DPIA-7"\n'):
            result = build_packet(
                case, phase=Phase.PRELIMINARY, facts=facts(case, text, tmp_path),
                out=tmp_path / "out",
            )  # fmt: skip
        assert result.number == 1
        rooms = list((tmp_path / "case.irkit" / "packets").iterdir())
        assert [p.name for p in rooms] == ["001-preliminary"]
        built = [e for e in case.custody.entries() if e.action == "packet"]
        assert len(built) == 2
        assert built[0].detail["packet_json_sha256"] != built[1].detail["packet_json_sha256"]


def test_a_damaged_chain_is_said_not_ignored(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        build_packet(case, phase=Phase.PRELIMINARY, facts=facts_from_case(case), out=tmp_path / "a")
        (tmp_path / "case.irkit/packets/001-preliminary/packet.json").write_text("{", "utf-8")
        with pytest.raises(StorageError, match="damaged"):
            build_packet(
                case, phase=Phase.PRELIMINARY, facts=facts_from_case(case), out=tmp_path / "b"
            )


def test_a_notification_is_withdrawn_with_reasons_and_only_after_it_was_made(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        unsigned = facts(case, FACTS, tmp_path)
        why = unsigned.with_value("notification.withdrawal_reasons", "the corpus was invented")
        with pytest.raises(UsageError, match="nothing to withdraw"):
            build_packet(case, phase=Phase.WITHDRAWN, facts=why, out=tmp_path / "x")
        signed = facts(case, SIGNED, tmp_path)
        build_packet(case, phase=Phase.PRELIMINARY, facts=signed, out=tmp_path / "a")
        with pytest.raises(PacketIncomplete) as error:
            build_packet(case, phase=Phase.WITHDRAWN, facts=signed, out=tmp_path / "b")
        assert error.value.missing == ("notification.withdrawal_reasons",)
        why = signed.with_value("notification.withdrawal_reasons", "the corpus was invented")
        done = build_packet(case, phase=Phase.WITHDRAWN, facts=why, out=tmp_path / "b")
        assert (done.number, done.phase) == (2, "withdrawn")
        text = " ".join(p.extract_text() for p in pypdf.PdfReader(done.pdf).pages[:4])
        assert "withdrawal of the notification" in text
        assert "the corpus was invented" in text
        assert verify_packet(tmp_path / "b").ok
        with pytest.raises(UsageError, match="was withdrawn by packet 002"):
            build_packet(case, phase=Phase.SUPPLEMENTARY, facts=signed, out=tmp_path / "c")
        anew = build_packet(case, phase=Phase.PRELIMINARY, facts=signed, out=tmp_path / "d")
        assert anew.number == 3


def test_later_phases_of_a_timely_notification_are_not_late(tmp_path):
    with make_incident(tmp_path / "case.irkit", now="2026-10-20T09:00:00+02:00") as case:
        given = facts(case, FACTS, tmp_path)
        target = given.instant("timeline.awareness_at") + timedelta(hours=72)
        in_time = given.with_value("notification.first_submitted_at", target)
        out = build_packet(case, phase=Phase.SUPPLEMENTARY, facts=in_time, out=tmp_path / "a")
        assert out.phase == "supplementary"
        late = given.with_value("notification.first_submitted_at", target + timedelta(minutes=1))
        with pytest.raises(PacketIncomplete, match="reasons for the delay"):
            build_packet(case, phase=Phase.SUPPLEMENTARY, facts=late, out=tmp_path / "b")
