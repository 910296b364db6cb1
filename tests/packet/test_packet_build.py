"""The finished packet, parsed back: text, fonts, attachments, chain, gates, hostile evidence."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from datetime import UTC, datetime

import jsonschema
import pikepdf
import pypdf
import pytest
from made_incident import FACTS, PEOPLE, make_incident, record_text

from irkit.case import Case, fixed_clock
from irkit.errors import UsageError
from irkit.model import Count, Phase
from irkit.packet import PacketError, build_packet, verify_packet
from irkit.packet.verify import conforms, schema
from irkit.playbook import load_facts
from irkit.playbook.facts import Measure, Notice, Signature, Unknown, facts_from_case
from irkit.playbook.fields import FIELDS, Kind

HOSTILE = "\x1b[31m<b>&amp;</i>\u202e\u2066=cmd|'/C calc'!A1 ]]> \\ `x` \U0001f4a3 \ud800 中文"


def facts(case, text, tmp_path):
    path = tmp_path / "given.toml"
    path.write_text(text, "utf-8")
    return load_facts(path, case)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """One preliminary packet, shared by the tests that only read it."""
    base = tmp_path_factory.mktemp("packet")
    with make_incident(base / "case.irkit") as case:
        result = build_packet(
            case, phase=Phase.PRELIMINARY, facts=facts(case, FACTS, base), out=base / "out"
        )
        yield result
    assert verify_packet(base / "out").ok


@pytest.fixture(scope="module")
def pages(built):
    return [page.extract_text() for page in pypdf.PdfReader(built.pdf).pages]


def test_pages_stand_in_the_agreed_order(pages):
    text = "\n".join(pages)
    headings = [
        "Personal data breach notification", "1  Summary", "2  What Article 33 asks",
        "3  Timeline", "4  How the data was taken", "5  Scope", "6  Risk", "7  Measures",
        "8  Communication", "9  Method and limits", "10  Open questions", "11  Evidence",
        "12  Obligations matrix", "13  Sign-off", "14  Glossary",
    ]  # fmt: skip
    found = [re.sub(r"\s+", " ", text).find(re.sub(r"\s+", " ", h)) for h in headings]
    assert -1 not in found, dict(zip(headings, found, strict=True))
    assert found == sorted(found)


def test_every_page_carries_marking_hash_number_and_watermark(built, pages):
    total = len(pages)
    for number, text in enumerate(pages, 1):
        flat = " ".join(text.split())
        assert f"page {number} of {total}" in flat
        assert "CONFIDENTIAL - contains no exposed values" in flat
        assert built.sha256[:16] in flat
        assert "SYNTHETIC SAMPLE" in flat
        assert "DRAFT – not signed off" in flat


def test_summary_gives_counts_risk_and_limit(pages):
    summary = " ".join(pages[1].split())
    assert "about 8 people (at least 6, at most 11)" in summary
    assert "very high" in summary
    # 72 h after 15 October 10:30 Berlin; the clock shows 2026-10-16 09:00.
    assert "18 Oct 2026, 10:30 CEST (49 h 30 min left)" in summary


def test_only_embedded_fonts_and_a_bookmark_per_section(built):
    with pikepdf.open(built.pdf) as pdf:
        for page in pdf.pages:
            for font in page.Resources.Font.values():
                assert "/FontFile2" in font.FontDescriptor, font.BaseFont
        assert pdf.Root.Lang == "en-GB"
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        assert "Assistant incident" in str(pdf.docinfo.Title)
    outline = [item.title for item in pypdf.PdfReader(built.pdf).outline]
    assert len(outline) == 15
    assert outline[1].split()[-1] == "Summary"


def test_bookmarks_lead_to_their_pages(built, pages):
    reader = pypdf.PdfReader(built.pdf)
    for item in reader.outline:
        page = reader.get_destination_page_number(item)
        assert " ".join(item.title.split()) in " ".join(pages[page].split())


def test_embedded_json_is_the_json_beside_it_and_fits_the_schema(built):
    with pikepdf.open(built.pdf) as pdf:
        inside = pdf.attachments["packet.json"].get_file().read_bytes()
        assert pdf.Root.AF[0].AFRelationship == "/Data"
    assert inside == built.json.read_bytes()
    assert hashlib.sha256(inside).hexdigest() == built.sha256
    data = json.loads(inside)
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(data, schema())
    assert conforms(data, schema()) == []


def test_golden_facts_of_the_sample(built):
    data = json.loads(built.json.read_bytes())
    assert data["head"]["zone"] == "Europe/Berlin"
    assert data["summary"]["people"]["min"] == 6
    assert [r["best"] for r in data["funnel"]] == [320, 32, 16, 16, 8]
    assert sum(data["activity"]["all"]) == 320
    assert sum(data["activity"]["exposing"]) == 16
    assert {f["actor"] for f in data["findings"]} == {
        "credential key-extract-01", "credential key-extract-02",
    }  # fmt: skip
    assert data["risk"]["suggestion"]["level"] == "high"
    assert data["risk"]["se"] == [4.75, 5.0]
    assert data["method"]["spread"]["proposal"] == "structural"
    gdpr = next(o for o in data["obligations"] if o["rule"] == "gdpr-33-1")
    assert gdpr["applies"] == "yes"
    assert gdpr["instants"][0]["at_utc"] == "2026-10-18T08:30:00+00:00"
    assert data["addressees"][0]["country"] == "DE"
    assert data["evidence"]["files"][0]["sha256"] == "ab" * 32


def test_the_same_case_gives_the_same_bytes(tmp_path):
    digests = []
    for name, outs in (("a", ("one", "two")), ("b", ("one",))):
        with make_incident(tmp_path / name / "case.irkit") as case:
            for out in outs:
                result = build_packet(
                    case,
                    phase=Phase.PRELIMINARY,
                    facts=facts(case, FACTS, tmp_path),
                    out=tmp_path / name / out,
                )
                digests.append({p.name: p.read_bytes() for p in result.files})
            assert result.number == 1
    assert digests[0] == digests[1] == digests[2]


def test_no_exposed_value_in_any_file(built):
    texts = [p.read_text("utf-8") for p in built.files if p.suffix != ".pdf"]
    texts += [page.extract_text() for page in pypdf.PdfReader(built.pdf).pages]
    for text in texts:
        for name, mail, phone, _ in PEOPLE:
            assert name not in text
            assert mail not in text
            assert not phone or phone not in text
    assert built.scan.values >= 8
    assert built.scan.passages == 16


@pytest.mark.parametrize(
    "leak",
    [
        PEOPLE[0][0],
        PEOPLE[1][1].upper(),
        f"({PEOPLE[0][2].replace(' ', '-')})",
        PEOPLE[2][0].replace(" ", "\n"),
        "They saw: " + record_text(3)[60:95],
    ],
)
def test_the_gate_stops_a_value_that_people_typed_in(tmp_path, leak):
    with make_incident(tmp_path / "case.irkit") as case:
        given = facts(case, FACTS, tmp_path).with_value("breach.narrative", f"Leaked: {leak}.")
        with pytest.raises(PacketError) as error:
            build_packet(case, phase=Phase.PRELIMINARY, facts=given, out=tmp_path / "out")
        words = error.value.message + error.value.hint
        assert "breach.narrative" in words
        assert leak not in words
        assert PEOPLE[0][0] not in words
        assert not (tmp_path / "out" / "packet.pdf").exists()
        assert not list((tmp_path / "case.irkit" / "packets").glob("*/packet.pdf"))


def test_the_gate_sees_a_value_in_a_file_name(tmp_path):
    named = make_incident(tmp_path / "case.irkit", hostile=f" {PEOPLE[0][1]}")
    with named as case, pytest.raises(PacketError, match="exposed value"):
        build_packet(
            case, phase=Phase.PRELIMINARY, facts=facts_from_case(case), out=tmp_path / "out"
        )


def test_the_controllers_own_contact_may_be_among_the_exposed(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        given = facts(case, FACTS, tmp_path).with_value("dpo.email", PEOPLE[0][1])
        result = build_packet(case, phase=Phase.PRELIMINARY, facts=given, out=tmp_path / "out")
        assert result.scan.excused >= 1


#: As HOSTILE, but as a facts file can hold it: TOML knows no lone surrogates.
TEXT_OF_FILES = HOSTILE.replace("\ud800", "")


def hostile_value(field):
    """A value of the field's own kind that carries hostile text wherever text is allowed."""
    at = datetime(2026, 10, 15, 9, tzinfo=UTC)
    return {
        Kind.TEXT: TEXT_OF_FILES,
        Kind.TEXTS: (TEXT_OF_FILES, "=1+1", "\n" * 400, "x" * 5000),
        Kind.COUNT: Count(1, 2, 3, TEXT_OF_FILES),
        Kind.COUNTRIES: {TEXT_OF_FILES: 3, "DE": 1},
        Kind.MEASURES: (Measure(TEXT_OF_FILES, "done", at, TEXT_OF_FILES, TEXT_OF_FILES),),
        Kind.UNKNOWNS: (Unknown(TEXT_OF_FILES, at, TEXT_OF_FILES),),
        Kind.NOTICES: (Notice(TEXT_OF_FILES, at, TEXT_OF_FILES),),
        Kind.SIGNATURES: (Signature(TEXT_OF_FILES, TEXT_OF_FILES, at, TEXT_OF_FILES),),
        Kind.INSTANT: at,
        Kind.TRI: "unknown",
        Kind.FLAG: True,
        Kind.CHOICE: field.choices[-1] if field.choices else "",
    }[field.kind]


def test_hostile_text_under_every_key_is_harmless_in_every_file(tmp_path):
    with make_incident(tmp_path / "case.irkit") as case:
        given = facts(case, FACTS, tmp_path)
        for field in FIELDS:
            # A zone must be one; everything else takes any text.
            if field.key not in ("controller.zone", "timeline.awareness_at"):
                given = given.with_value(field.key, hostile_value(field))
        given = given.with_value("controller.role", "processor")
        result = build_packet(case, phase=Phase.PRELIMINARY, facts=given, out=tmp_path / "out")
    text = "\n".join(p.extract_text() for p in pypdf.PdfReader(result.pdf).pages)
    for bad in ("\x1b", "\u202e", "\u2066", "\ud800"):
        assert bad not in text
    for path in result.files:
        if path.suffix == ".pdf":
            continue
        raw = path.read_bytes()
        for bad in ("\x1b", "\u202e", "\u2066", "\ud800"):
            assert bad.encode("utf-8", "surrogatepass") not in raw, path.name
        if path.suffix == ".csv":
            for row in csv.reader(io.StringIO(raw.decode())):
                assert all(cell == "-" or not cell.startswith(("=", "+", "@", "-", "\t"))
                           for cell in row), path.name  # fmt: skip
        if path.suffix == ".json":
            json.loads(raw)
    assert (tmp_path / "out" / "notice_processor.md").is_file()
    assert verify_packet(tmp_path / "out").ok


def test_hostile_strings_in_every_field_neither_break_nor_hide(tmp_path):
    with make_incident(tmp_path / "case.irkit", hostile=HOSTILE.replace("\ud800", "")) as case:
        given = facts(case, FACTS, tmp_path)
        for key, value in given.values.items():
            if isinstance(value, str) and key not in (
                "controller.country", "controller.zone", "timeline.ongoing", "controller.role",
                "subjects.children", "recipients.known", "notification.language",
            ):  # fmt: skip
                given = given.with_value(key, value + HOSTILE + "W" * 300)
        given = given.with_value("limits", (HOSTILE, "\n" * 500, "x" * 5000))
        given = given.with_value("system.dpia_ref", "中" * 4000)
        result = build_packet(case, phase=Phase.PRELIMINARY, facts=given, out=tmp_path / "out")
        text = "\n".join(p.extract_text() for p in pypdf.PdfReader(result.pdf).pages)
        raw = b"".join(p.read_bytes() for p in result.files if p.suffix != ".pdf")
        for bad in ("\x1b", "\u202e", "\u2066", "\ud800"):
            assert bad not in text
            assert bad.encode("utf-8", "surrogatepass") not in raw
        assert "<b>&amp;</i>" in "".join(text.split())
        assert "[U+4E2D]" in text
        assert verify_packet(tmp_path / "out").ok
        rows = list(csv.reader(io.StringIO((tmp_path / "out" / "form_fill.csv").read_text())))
        assert all(not cell.startswith(("=", "+", "@", "-", "\t")) or cell == "-"
                   for row in rows for cell in row)  # fmt: skip


def test_an_empty_case_gives_a_packet_that_says_so(tmp_path):
    with Case.create(tmp_path / "c", title="Nothing", clock=fixed_clock("2026-10-16T09:00Z")) as c:
        result = build_packet(
            c, phase=Phase.PRELIMINARY, facts=facts_from_case(c), out=tmp_path / "out"
        )
    text = " ".join(" ".join(p.extract_text() for p in pypdf.PdfReader(result.pdf).pages).split())
    assert "No evidence is preserved" in text
    assert "not yet known" in text
    assert "SYNTHETIC" not in text
    assert len(result.missing) > 8


# -- verification -------------------------------------------------------------------------------


def copy_of(built, tmp_path):
    out = tmp_path / "copy"
    out.mkdir()
    for path in built.files:
        (out / path.name).write_bytes(path.read_bytes())
    return out


def test_verification_finds_a_changed_page_a_changed_json_and_a_lost_file(built, tmp_path):
    out = copy_of(built, tmp_path)
    assert verify_packet(out).ok
    pdf = out / "packet.pdf"
    original = pdf.read_bytes()
    pdf.write_bytes(original + b"\n% changed")
    assert {c.name for c in verify_packet(pdf).checks if c.ok is False} >= {"PDF hash", "manifest"}
    pdf.write_bytes(original)
    (out / "packet.json").write_text("{}", "utf-8")
    assert {c.name for c in verify_packet(out).checks if c.ok is False} == {
        "embedded data", "manifest",
    }  # fmt: skip
    (out / "packet.json").write_bytes(built.json.read_bytes())
    (out / "letter_art34.md").unlink()
    assert not verify_packet(out).ok


def test_verification_of_other_pdfs_and_of_nothing(tmp_path):
    broken = tmp_path / "packet.pdf"
    broken.write_bytes(b"%PDF-1.7\nnothing here")
    result = verify_packet(broken)
    assert not result.ok
    assert any("MISMATCH" in line for line in result.lines())
    with pytest.raises(UsageError, match="no packet"):
        verify_packet(tmp_path / "absent")


def test_a_lone_pdf_is_checked_as_far_as_possible(built, tmp_path):
    lone = tmp_path / "sent.pdf"
    lone.write_bytes(built.pdf.read_bytes())
    result = verify_packet(lone)
    assert result.ok
    states = {c.name: c.ok for c in result.checks}
    assert states["PDF hash"] is None
    assert states["printed hash"] is True


def test_a_manifest_cannot_point_outside_its_directory(built, tmp_path):
    out = copy_of(built, tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("x", "utf-8")
    digest = hashlib.sha256(b"x").hexdigest()
    (out / "manifest-sha256.txt").write_text(f"{digest}  ../secret\n", "utf-8")
    assert not verify_packet(out).ok


def test_contact_routes_leave_only_encrypted(tmp_path):
    pyrage = pytest.importorskip("pyrage")
    key = pyrage.x25519.Identity.generate()
    register = tmp_path / "people.csv"
    register.write_text(
        "subject_id,name,email,phone\n"
        + "".join(f"S{i},{n},{m},{p}\n" for i, (n, m, p, _) in enumerate(PEOPLE)),
        "utf-8",
    )
    with make_incident(tmp_path / "case.irkit") as case:
        case.set_meta("scope_inputs", json.dumps({"subjects": str(register)}))
        result = build_packet(
            case,
            phase=Phase.PRELIMINARY,
            facts=facts(case, FACTS, tmp_path),
            out=tmp_path / "out",
            schedule_recipients=[str(key.to_public())],
        )
        sealed = next(p for p in result.files if p.name.endswith(".age")).read_bytes()
        assert PEOPLE[0][1].encode() not in sealed
        rows = list(csv.DictReader(io.StringIO(pyrage.decrypt(sealed, [key]).decode())))
        assert [r["name"] for r in rows] == [p[0] for p in PEOPLE]
        assert rows[0]["email"] == PEOPLE[0][1]
        assert not list(result.frozen.glob("*.age"))
        assert [e.action for e in case.custody.entries()][-2:] == ["schedule", "packet"]
        with pytest.raises(UsageError, match="age public key"):
            build_packet(
                case,
                phase=Phase.PRELIMINARY,
                facts=facts(case, FACTS, tmp_path),
                out=tmp_path / "bad",
                schedule_recipients=["age1nonsense"],
            )


def make_key(path, passphrase):
    """A throw-away certificate of an invented controller."""
    from datetime import UTC, datetime, timedelta

    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Helpdesk Example GmbH")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(start).not_valid_after(start + timedelta(days=3650))
        .add_extension(x509.KeyUsage(True, True, False, False, False, False, False, False, False),
                       critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(
            b"k", key, cert, None, BestAvailableEncryption(passphrase)
        )
    )
    return path


def test_a_packet_can_be_signed_last_and_a_broken_signature_is_seen(built, tmp_path):
    pytest.importorskip("pyhanko")
    from irkit.packet.sign import sign_packet

    out = copy_of(built, tmp_path)
    key = make_key(tmp_path / "key.p12", b"secret")
    signed = sign_packet(out / "packet.pdf", key, b"secret", reason="Art. 33 notification")
    body = signed.read_bytes()
    assert body.startswith((out / "packet.pdf").read_bytes())
    checks = {c.name: c for c in verify_packet(signed).checks}
    assert checks["signature"].ok is True
    assert "Helpdesk Example GmbH" in checks["signature"].detail
    assert checks["PDF hash"].ok is True
    assert verify_packet(signed).ok
    # One changed byte inside the signed range.
    at = body.index(b"/Producer") + 2
    signed.write_bytes(body[:at] + b"X" + body[at + 1 :])
    assert not verify_packet(signed).ok
    with pytest.raises(UsageError, match="cannot be opened"):
        sign_packet(out / "packet.pdf", key, b"wrong")
    with pytest.raises(UsageError, match="no such key"):
        sign_packet(out / "packet.pdf", tmp_path / "absent.p12", b"x")
