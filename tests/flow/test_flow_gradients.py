"""Gradient artefacts from the command line to exposures, people, findings and packet."""

from __future__ import annotations

import csv
import io
import json
import pickle
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parents[1] / "analyzers"))
from gradient_making import Mlp, batch, imprint_model

from irkit import flow
from irkit.analyzers import gradient_files
from irkit.analyzers.d14_gradient_artifact_leakage import lines as artefact_lines
from irkit.case import Case
from irkit.cli import cli
from irkit.errors import UsageError
from irkit.packet.export import export, summary

INPUTS, CLASSES = 24, 6
NOW = "2026-10-16T09:00:00+02:00"


@pytest.fixture
def federated(tmp_path):
    """Four updates of one round, and the table of records they were trained on."""
    folder = tmp_path / "round"
    folder.mkdir()
    x, y = batch(60, INPUTS, CLASSES, 1)
    model = Mlp.random([INPUTS, 48, CLASSES], 2)
    np.savez(
        folder / "c1.npz",
        **model.gradient(x[:1], y[:1]),
        **{"meta.round": np.array(3), "meta.client": np.array("c1"), "meta.batch": np.array(1)},
    )
    delta = {k: v.astype(np.float32) for k, v in model.train(x[5:6], y[5:6], 0.1, 1).items()}
    stated = {"round": "3", "client": "c2", "kind": "delta", "lr": "0.1", "steps": "1"}
    save_file(delta, folder / "c2.safetensors", metadata=stated)
    rng = np.random.default_rng(4)
    noisy = {k: v + rng.normal(0, 0.5, v.shape) for k, v in model.gradient(x[:8], y[:8]).items()}
    np.savez(folder / "c3.npz", **noisy)
    (folder / "c3.npz.json").write_text(json.dumps({"round": 3, "client": "c3", "batch": 8}))
    malicious = imprint_model(INPUTS, 300, CLASSES, 5)
    np.savez(folder / "c4.npz", **malicious.gradient(x[10:16], y[10:16]), **malicious.params(),
             **{"meta.client": np.array("c4"), "meta.batch": np.array(6)})  # fmt: skip
    table = tmp_path / "records.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["doc_id", "subject_id", "kind", *(f"v{i}" for i in range(INPUTS))])
        for i, row in enumerate(x):
            writer.writerow([f"R-{i}", f"S-{i // 2}", "clinic_note", *map(repr, row.tolist())])
    return folder, table, malicious, x


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_updates_to_exposures_people_and_findings(case, federated, tmp_path):
    folder, table, malicious, x = federated
    flow.scope(case, gradients=[folder], corpus=[table])
    found = {row["client"]: row for row in artefact_lines(case)}
    assert {c: r["outcome"] for c, r in found.items()} == {
        "c1": "exact", "c2": "exact", "c3": "protected", "c4": "exact",
    }  # fmt: skip
    assert found["c4"]["tampered"]
    assert found["c2"]["stated"]["lr"] == 0.1
    bins = np.searchsorted(np.sort(-malicious.biases[0]), x[10:16] @ malicious.weights[0][0])
    alone = {10 + i for i, b in enumerate(bins) if (bins == b).sum() == 1}
    disclosed = {f"R-{i}" for i in alone | {0, 5}}
    out = tmp_path / "out"
    export(case, out)
    exposures = rows(out / "exposures.jsonl")
    sure = {row["doc_id"] for row in exposures if row["level"] == "record"}
    assert sure == disclosed
    assert all(row["channel"] == "gradient" and row["request_id"] is None for row in exposures)
    assert {row["provenance"] for row in exposures} == {"memorised"}
    people = {row["subject_id"]: row for row in rows(out / "subjects.jsonl")}
    assert set(people) == {f"S-{int(doc[2:]) // 2}" for doc in disclosed}
    assert {row["status"] for row in people.values()} == {"confirmed"}
    assert all(row["special_category"] for row in people.values())
    findings = rows(out / "findings.jsonl")
    assert len(findings) == 3
    for row in findings:
        assert row["technique"] == "data_reconstruction"
        assert row["profile"] == "Cross-Channel Reconstruction"
        assert row["atlas"] == ["AML.T0024.001", "AML.T0025"]
        assert row["nist_aml"] == ["NISTAML.032"]
        assert row["tier"] == "A"
        assert row["detectors"][0]["name"] == "gradient_artifact_leakage"
    facts = json.loads((out / "summary.json").read_text())
    assert facts["gradients"]["by_class"] == {"exact": 3, "protected": 1}
    assert facts["gradients"]["records_identified"] == len(disclosed)
    assert facts["counts"]["records"]["min"] == len(disclosed)
    assert facts["counts"]["responses"]["best"] == 0
    assert facts["evidence"] == {"files": 5, "verified": 5}
    # No value of any record stands in what leaves the case.
    texts = [path.read_text() for path in out.iterdir()]
    for value in x[[0, 5, *sorted(alone)]].ravel()[::7]:
        assert not any(f"{value:.6g}"[:7] in text for text in texts)
    actions = [entry.action for entry in case.custody.entries()]
    assert actions.count("preserve") == 5
    assert "gradients" in actions


def test_again_gives_the_same_bytes_and_skips_what_is_done(case, federated, tmp_path):
    folder, table, *_ = federated
    flow.scope(case, gradients=[folder], corpus=[table])
    export(case, tmp_path / "a")
    again = flow.scope(case)
    assert {"replay", "gradients", "scope"} <= {stage.value for stage in again.skipped}
    flow.scope(case, gradients=[folder])
    export(case, tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_logs_and_gradients_in_one_case(incident_case, federated):
    """Artefacts are evidence of the same case, and no reader of logs touches them."""
    case, log = incident_case
    folder, table, *_ = federated
    flow.preserve(case, [log])
    flow.scope(case, gradients=[folder], corpus=[table])
    before = case.rows("SELECT count(*) FROM query_record")[0][0]
    assert before == 12
    report = flow.preserve(case, [log])
    assert report.ingest.read == 0
    assert not case.rows("SELECT 1 FROM quarantine")
    flow.scope(case)
    assert summary(case)["gradients"]["by_class"]["exact"] == 3
    found = case.rows("SELECT count(*) FROM finding WHERE starts_with(unit, 'gradient:')")
    assert found == [(3,)]


@pytest.fixture
def incident_case(case, tmp_path):
    log = tmp_path / "calls.ndjson"
    lines = []
    for i in range(12):
        request = {"model": "m", "messages": [{"role": "user", "content": f"What is {i} + 1?"}]}
        answer = {"role": "assistant", "content": str(i + 1)}
        lines.append(json.dumps({
            "timestamp": f"2026-10-01T10:{i:02d}:00Z", "api_key_id": "key-1", "request": request,
            "response": {"id": f"chatcmpl-{i}", "object": "chat.completion", "model": "m",
                         "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]},
        }))  # fmt: skip
    log.write_text("\n".join(lines))
    return case, log


def test_ambiguous_records_are_possible_not_certain(case, federated, tmp_path):
    """Two people with the same values: the reconstruction is one of them."""
    folder, table, _, x = federated
    for name in ("c2.safetensors", "c3.npz", "c4.npz"):
        (folder / name).unlink()
    with table.open("a", newline="") as stream:
        csv.writer(stream).writerow(["R-twin", "S-twin", "note", *map(repr, x[0].tolist())])
    flow.scope(case, gradients=[folder / "c1.npz"], corpus=[table])
    levels = dict(case.rows("SELECT doc_id, level FROM exposure ORDER BY doc_id"))
    assert levels == {"R-0": "typed", "R-twin": "typed"}
    assert {row[0] for row in case.rows("SELECT status FROM subject")} == {"probable"}
    assert summary(case)["counts"]["subjects"]["min"] == 0


def test_screens_can_show_an_artefact_that_has_no_calls(case, federated):
    """The read models behind the screens: an actor without queries, an exposure without answer."""
    from irkit.case import views

    folder, table, *_ = federated
    flow.scope(case, gradients=[folder / "c1.npz"], corpus=[table])
    key = views.actors(case.con).rows[0].key
    assert key.unit == "gradient:round 3/client c1/E001"
    assert views.sequence_summary(case.con, key).total == 0
    assert not views.sequence(case.con, key)
    assert "Training records identified: 1" in views.actor_findings(case.con, key)[0].summary
    shown = views.exposures(case.con).rows[0]
    detail = views.exposure_detail(case.con, shown.exposure_id)
    assert detail is not None
    assert detail.method.startswith("reconstructed from a gradient")


def test_without_records_the_finding_stays_unmatched(case, federated):
    folder, *_ = federated
    flow.scope(case, gradients=[folder / "c1.npz"])
    assert case.rows("SELECT tier, p_kind FROM finding") == [("B", "none")]
    assert not case.rows("SELECT 1 FROM exposure")


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("scaling", ["stored", "standardised", "pixels"])
def test_records_are_found_in_every_kind_of_table(case, tmp_path, kind, scaling):
    rng = np.random.default_rng(6)
    raw = rng.integers(0, 256, (40, INPUTS)).astype(float)
    x = {"stored": raw, "standardised": (raw - raw.mean(0)) / raw.std(0), "pixels": raw / 255}
    model = Mlp.random([INPUTS, 30, CLASSES], 7)
    np.savez(tmp_path / "g.npz", **model.gradient(x[scaling][9:10], np.array([1])))
    table = tmp_path / f"records.{kind}"
    ids = [f"R-{i}" for i in range(40)]
    if kind == "npz":
        np.savez(table, features=raw.astype(np.uint8), doc_id=np.array(ids))
    else:
        import polars as pl

        frame = pl.DataFrame(
            {"doc_id": ids, "label": [1] * 40, **{f"v{i}": raw[:, i] for i in range(INPUTS)}}
        )
        frame.write_csv(table) if kind == "csv" else frame.write_parquet(table)
    flow.scope(case, gradients=[tmp_path / "g.npz"], corpus=[table])
    assert case.rows("SELECT doc_id, sure FROM gradient_match") == [("R-9", True)]
    assert case.rows("SELECT status FROM subject") == [("probable",)]


def test_command_line_explains_and_packet_has_its_section(federated, tmp_path):
    folder, table, *_ = federated
    path = tmp_path / "cli.irkit"

    def run(verb, *args):
        done = CliRunner().invoke(cli, [verb, str(path), *map(str, args), "--now", NOW])
        assert done.exit_code == 0, done.output
        return done.stdout

    run("new")
    shown = run("scope", "--gradients", folder, "--corpus", table)
    assert "Gradients   4 files: 3 exact, 1 protected;" in shown
    with Case.open(path) as case:
        finding = case.rows(
            "SELECT finding_id FROM finding f JOIN gradient_artifact a USING (unit)"
            " WHERE a.client = 'c4'"
        )[0][0]
    words = run("explain", finding)
    assert "imprint layer" in words
    assert "Not computed: DLG" in words
    assert "who holds the file" in words
    for verb in ("assess", "status", "actors", "exposures", "people", "verify"):
        run(verb)
    run("notify", "--out", tmp_path / "packet")
    packet = json.loads((tmp_path / "packet" / "packet.json").read_text())
    assert [row["outcome"] for row in packet["gradients"]].count("exact") == 3
    from pypdf import PdfReader

    text = " ".join(page.extract_text() for page in PdfReader(tmp_path / "packet/packet.pdf").pages)
    assert "Gradient artefacts" in text
    run("contain", "--out", tmp_path / "rules")
    run("remediate", "--out", tmp_path / "repair")
    assert "R-5" in (tmp_path / "repair" / "unlearning_manifest.jsonl").read_text()


# -- hostile files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "x.pkl", "weights.bin"])
def test_pickles_are_refused_before_anything_is_taken_in(case, tmp_path, name):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UsageError, match="never opened") as caught:
        flow.scope(case, gradients=[tmp_path / name])
    assert "safetensors" in caught.value.hint
    assert not case.rows("SELECT 1 FROM evidence_source")
    (tmp_path / name).rename(tmp_path / "renamed.npz")
    flow.scope(case, gradients=[tmp_path / "renamed.npz"])
    assert case.rows("SELECT error_code FROM quarantine") == [("pickle",)]
    assert not (tmp_path / "executed").exists()


def npy(array: np.ndarray, *, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=allow_pickle)
    return out.getvalue()


def hostile(path: Path) -> None:
    """One good array among damaged, pickled, endless and lying ones."""
    good = npy(np.ones((4, 3)))
    lying = good.replace(b"(4, 3)", b"(9, 9)")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fc1.weight.npy", good)
        archive.writestr("object.npy", npy(np.array([{}], object), allow_pickle=True))
        archive.writestr("lying.npy", lying)
        archive.writestr("text.npy", npy(np.array(["a"])))
        archive.writestr("complex.npy", npy(np.ones(3, complex)))
        archive.writestr("data.pkl", b"\x80\x04.")
        archive.writestr("\x1b[31mred.npy", b"no header")
        archive.writestr("nan.weight.npy", npy(np.full((3, 3), np.nan)))
        archive.writestr("zeros.npy", npy(np.zeros(40_000_000, np.int8)))


def test_every_bad_array_is_a_quarantine_row(case, tmp_path):
    hostile(tmp_path / "h.npz")
    with gradient_files.opened(tmp_path / "h.npz", most=1 << 20) as file:
        codes = [(r.index, r.code) for r in file.rejects]
        assert [s.name for s in file.specs] == ["fc1.weight", "nan.weight"]
    assert codes == [(1, "refused"), (2, "damaged"), (3, "refused"), (4, "refused"),
                     (5, "pickle"), (6, "damaged"), (8, "too_large")]  # fmt: skip
    flow.scope(case, gradients=[tmp_path / "h.npz"])
    kept = dict(case.rows("SELECT entry_no, error_code FROM quarantine ORDER BY entry_no"))
    assert kept[8] == "not_finite"
    assert len(kept) == 7
    assert case.rows("SELECT entries, quarantined FROM evidence_source") == [(9, 7)]


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"PK\x03\x04garbage", b"\x80\x04\x95", b"\xff" * 40, b"{}",
     (8).to_bytes(8, "little") + b'{"a":{}}', (1 << 40).to_bytes(8, "little") + b"{}"],
)  # fmt: skip
@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_damaged_files_are_said_to_be_unreadable(case, tmp_path, content, suffix):
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(content)
    flow.scope(case, gradients=[path])
    row = artefact_lines(case)[0]
    assert row["outcome"] == "unreadable"
    assert case.rows("SELECT count(*) FROM quarantine") == [(1,)]
    assert not case.rows("SELECT 1 FROM finding")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), cut=st.integers(0, 400))
def test_mangled_files_never_crash_the_reader(tmp_path, data, cut):
    path = tmp_path / "m.npz"
    np.savez(path, a=np.ones((3, 2)), **{"meta.round": np.array(2)})
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] + data + whole[cut + len(data) :])
    with gradient_files.opened(path, most=1 << 20) as file:
        for spec in file.specs:
            file.load(spec)
        assert file.specs or file.rejects or file.total == 0


def test_half_precision_and_bfloat16_are_read(tmp_path):
    values = np.array([[1.5, -2.0], [0.25, 3.0]], np.float32)
    header = json.dumps(
        {"w.weight": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]}}
    ).encode()
    raw = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    (tmp_path / "b.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + raw)
    with gradient_files.opened(tmp_path / "b.safetensors", most=1 << 20) as file:
        assert file.load(file.specs[0]).tolist() == values.tolist()
    np.savez(tmp_path / "h.npz", w=values.astype(np.float16))
    with gradient_files.opened(tmp_path / "h.npz", most=1 << 20) as file:
        loaded = file.load(file.specs[0])
        assert loaded.dtype == np.float32
        assert loaded.tolist() == values.tolist()


def test_wrong_metadata_is_noted_and_not_used(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.ones(2), **{"meta.kind": np.array("magic")})
    side = json.dumps({"batch": -3, "lr": "nan", "client": "\x1b[31mc\u202e9", "steps": 2}).encode()
    with gradient_files.opened(tmp_path / "a.npz", most=1 << 20, sidecar=side) as file:
        assert file.meta == gradient_files.Meta(client="c9", steps=2)
        assert len(file.notes) == 3
    with gradient_files.opened(tmp_path / "a.npz", most=1 << 20, sidecar=b"[" * 90_000) as file:
        assert "no JSON object" in file.notes[0]
