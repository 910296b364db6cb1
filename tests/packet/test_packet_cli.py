"""The packet's options on the command line: paper, schedule for recipients, signature."""

from __future__ import annotations

import json

import pypdf
import pytest
from click.testing import CliRunner
from made_incident import FACTS, NOW, PEOPLE, make_incident
from test_packet_build import make_key

from irkit.cli import cli
from irkit.packet import verify_packet


@pytest.fixture
def case_path(tmp_path):
    register = tmp_path / "people.csv"
    rows = "".join(f"S{i},{n},{m},{p}\n" for i, (n, m, p, _) in enumerate(PEOPLE))
    register.write_text("subject_id,name,email,phone\n" + rows, "utf-8")
    with make_incident(tmp_path / "case.irkit") as case:
        case.set_meta("scope_inputs", json.dumps({"subjects": str(register)}))
        # The made-up evidence row has no file behind it; a packet needs evidence that verifies.
        case.con.execute("DELETE FROM evidence_source")
    (tmp_path / "facts.toml").write_text(FACTS, "utf-8")
    return tmp_path / "case.irkit"


def run(*args):
    return CliRunner().invoke(cli, ["--now", NOW, *map(str, args)])


def notify(case_path, out, *extra):
    return run("notify", case_path, "--facts", case_path.with_name("facts.toml"), "--out", out,
               *extra)  # fmt: skip


def test_paper_schedule_and_signature_in_one_go(case_path, tmp_path):
    pytest.importorskip("pyhanko")
    pyrage = pytest.importorskip("pyrage")
    identity = pyrage.x25519.Identity.generate()
    key = make_key(tmp_path / "key.p12", b"open sesame")
    (tmp_path / "pass").write_bytes(b"open sesame\r\nsecond line\n")
    done = notify(case_path, tmp_path / "out", "--paper", "letter", "--schedule-recipient",
                  identity.to_public(), "--sign", key, "--password-file", tmp_path / "pass",
                  "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    box = pypdf.PdfReader(tmp_path / "out" / "packet.pdf").pages[0].mediabox
    assert (float(box.width), float(box.height)) == (612.0, 792.0)
    sealed = (tmp_path / "out" / "subject_schedule.csv.age").read_bytes()
    assert PEOPLE[0][0] in pyrage.decrypt(sealed, [identity]).decode()
    signed = tmp_path / "out" / "packet.signed.pdf"
    checks = {c.name: c for c in verify_packet(signed).checks}
    assert checks["signature"].ok is True
    assert str(signed) in done.output
    assert "open sesame" not in done.output


def test_sign_checks_packet_key_and_password(case_path, tmp_path):
    pytest.importorskip("pyhanko")
    assert notify(case_path, tmp_path / "out").exit_code == 0
    key = make_key(tmp_path / "key.p12", b"right")
    (tmp_path / "pass").write_text("right\n", "utf-8")
    (tmp_path / "wrong").write_text("left\n", "utf-8")
    (tmp_path / "huge").write_bytes(b"x" * 5000)
    args = ["sign", tmp_path / "out", "--key", key, "--password-file"]
    assert "cannot be opened" in str(run(*args, tmp_path / "wrong").exception)
    assert "no password file" in str(run(*args, tmp_path / "huge").exception)
    assert "cannot be read" in str(run(*args, tmp_path / "absent").exception)
    # Without a terminal nothing can be asked for.
    assert "without a terminal" in str(run(*args[:-1]).exception)
    done = run(*args, tmp_path / "pass", "--case", case_path, "--reason", "sent to the authority")
    assert done.exit_code == 0, done.output
    assert verify_packet(tmp_path / "out" / "packet.signed.pdf").ok
    entries = (case_path / "custody.jsonl").read_text("utf-8").splitlines()
    assert json.loads(entries[-1])["action"] == "sign"
    # A packet that was changed after it was built is not signed.
    pdf = tmp_path / "out" / "packet.pdf"
    pdf.write_bytes(pdf.read_bytes() + b"%")
    assert "is not the packet that irkit built" in str(run(*args, tmp_path / "pass").exception)


def test_help_names_the_options_and_passwords_have_none_on_the_command_line():
    text = run("notify", "--help").output
    for option in ("--paper", "--schedule-recipient", "--sign", "--password-file", "withdrawn"):
        assert option in text
    for verb in ("notify", "sign"):
        assert "--password " not in run(verb, "--help").output
