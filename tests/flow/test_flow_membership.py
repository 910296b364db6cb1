"""What the sample's membership-inference attackers learned, against its own logs and truth."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from irkit import flow
from irkit.case import Case, fixed_clock
from irkit.cli import cli
from irkit.packet.export import summary

NOW = flow.SAMPLE_NOW
LOSS, PAIRED = "loss_membership", "paired_membership"


@pytest.fixture(scope="module")
def truth():
    expected = json.loads((flow.sample_dir() / "expected.json").read_text("utf-8"))
    return {a["role"]: a for a in expected["attack_actors"] if a.get("role") in (LOSS, PAIRED)}


@pytest.fixture(scope="module")
def corpus() -> set[str]:
    with gzip.open(flow.sample_dir() / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {json.loads(line)["text"] for line in lines}


@pytest.fixture(scope="module")
def calls(truth) -> dict[str, list[dict]]:
    """Gateway entries of the two attackers, read without irkit."""
    units = {truth[role]["unit"]: role for role in truth}
    found: dict[str, list[dict]] = {LOSS: [], PAIRED: []}
    for file in sorted((flow.sample_dir() / "logs").glob("gateway-*.ndjson.gz")):
        with gzip.open(file, "rt", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                role = next((r for unit, r in units.items() if unit in line), None)
                if role:
                    entry = json.loads(line)
                    if entry["request"].get("echo"):
                        found[role].append(entry)
    return found


@pytest.fixture(scope="module")
def logs(truth, tmp_path_factory) -> Path:
    """The attackers' gateway files with everything else that is in them, cut to one actor each."""
    folder = tmp_path_factory.mktemp("logs")
    units = [truth[role]["unit"] for role in truth]
    out = folder / "attackers.ndjson"
    with out.open("w", encoding="utf-8") as target:
        for file in sorted((flow.sample_dir() / "logs").glob("gateway-*.ndjson.gz")):
            with gzip.open(file, "rt", encoding="utf-8", errors="replace") as lines:
                target.writelines(line for line in lines if any(unit in line for unit in units))
    return out


@pytest.fixture(scope="module")
def scoped(logs, tmp_path_factory):
    path = tmp_path_factory.mktemp("case") / "m.irkit"
    with Case.create(path, clock=fixed_clock(NOW)) as case:
        flow.preserve(case, [logs])
        flow.scope(case, corpus=[flow.sample_dir() / "corpus.jsonl.gz"])
    return path


def mean_logprob(entry: dict) -> float:
    values = entry["response"]["choices"][0]["logprobs"]["token_logprobs"]
    known = [v for v in values if v is not None]
    return sum(known) / len(known)


def learned(path: Path, unit: str) -> dict:
    with Case.open(path, clock=fixed_clock(NOW)) as case:
        found = case.rows(
            "SELECT h.detail FROM membership_harm h JOIN finding f USING (finding_id)"
            " WHERE f.unit = ? AND f.unit_kind = 'credential'",
            [unit],
        )
    return json.loads(found[0][0])


def test_loss_attack_equals_the_sample_truth_and_the_raw_logs(scoped, truth, calls, corpus):
    detail = learned(scoped, truth[LOSS]["unit"])
    outcome = truth[LOSS]["outcome"]
    assert detail["form"] == "loss"
    assert (detail["members"], detail["non_members"]) == (
        outcome["members"], outcome["non_members"],
    )  # fmt: skip
    assert detail["statistics"]["loss"]["auc"][0] == outcome["auc"]
    score = np.array([mean_logprob(e) for e in calls[LOSS]])
    member = np.array([e["request"]["prompt"] in corpus for e in calls[LOSS]])
    above = (score[member] > score[~member].max()).sum()
    at = detail["statistics"]["loss"]["tpr_at_fpr_0.01"]
    assert at["tpr"][0] == round(above / member.sum(), 4)
    assert not at["resolved"]  # 64 others cannot show one false positive in a hundred
    assert detail["members_told"]["count"] == above
    best = max(((score[member] >= c).mean() + (score[~member] < c).mean()) / 2 for c in score)
    value, low, high = detail["statistics"]["loss"]["balanced_accuracy"]
    assert low <= value <= best + 1e-9
    assert low <= best <= high
    assert detail["policy"]["verdict"] == "exceeded"


def test_paired_attack_finds_the_targets_and_their_gaps(scoped, truth, calls, corpus):
    detail = learned(scoped, truth[PAIRED]["unit"])
    outcome = truth[PAIRED]["outcome"]
    assert detail["form"] == "paired"
    assert detail["candidates"] == outcome["targets"]
    assert detail["members"] == outcome["members"]
    # The client sends the target first and its five neighbours after it.
    gaps, member = [], []
    for i in range(0, len(calls[PAIRED]), 6):
        six = calls[PAIRED][i : i + 6]
        values = [mean_logprob(e) for e in six]
        gaps.append(values[0] - sum(values[1:]) / 5)
        member.append(six[0]["request"]["prompt"] in corpus)
    gap, inside = np.array(gaps), np.array(member)
    pairs = [(a > b) + 0.5 * (a == b) for a in gap[inside] for b in gap[~inside]]
    assert detail["statistics"]["paired"]["auc"][0] == round(float(np.mean(pairs)), 4)


def test_finding_explanation_and_status_cite_it(scoped, truth):
    with Case.open(scoped, clock=fixed_clock(NOW)) as case:
        finding, words = case.rows(
            "SELECT finding_id, summary FROM finding WHERE unit = ? AND unit_kind = 'credential'",
            [truth[LOSS]["unit"]],
        )[0]
        facts = summary(case)
    assert "AUC 0.958" in words
    assert facts["membership_inference"][finding]["status"] == "measured"
    assert "differential_privacy" not in facts["membership_inference"][finding]
    told = "\n".join(flow_explain(scoped, finding))
    assert "How much it could learn" in told
    assert "fewer than 100 others" in told
    shown = CliRunner().invoke(cli, ["status", str(scoped), "--now", NOW]).stdout
    who = truth[LOSS]["unit"]
    assert f"Membership  The scores given to credential {who} tell 64 members" in shown
    assert "56 of these members scored above every other" in shown


def flow_explain(path: Path, finding: str) -> list[str]:
    with Case.open(path, clock=fixed_clock(NOW)) as case:
        return flow.explain(case, finding)


def test_stated_privacy_is_contradicted_by_what_was_measured(scoped, truth, tmp_path):
    """The sample's model was trained without noise: a claim of epsilon 1 cannot hold."""
    import shutil

    path = tmp_path / "dp.irkit"
    shutil.copytree(scoped, path)
    args = ["scope", str(path), "--dp-epsilon", "1", "--dp-delta", "1e-5", "--now", NOW]
    done = CliRunner().invoke(cli, args)
    assert done.exit_code == 0, done.output
    detail = learned(path, truth[LOSS]["unit"])
    privacy = detail["differential_privacy"]
    assert privacy["advantage_bound"] == pytest.approx(np.tanh(0.5), abs=1e-4)
    assert privacy["advantage"][1] > privacy["advantage_bound"]
    assert not privacy["claim_holds"]
    assert privacy["epsilon_at_least"] > 1
    assert "contradicts the stated differential privacy" in detail["sentence"]
    with Case.open(path, clock=fixed_clock(NOW), write=True) as case:
        packet = flow.notify(case, tmp_path / "packet")
    data = json.loads(packet.json.read_text("utf-8"))
    rows = {row["members"]: row for row in data["membership"]}
    assert "The claim does not hold" in rows[64]["differential_privacy"]
    from pypdf import PdfReader

    text = " ".join(page.extract_text() for page in PdfReader(packet.pdf).pages)
    assert "What membership inference could learn" in text


def test_without_corpus_it_says_what_is_needed(logs, tmp_path):
    with Case.create(tmp_path / "n.irkit", clock=fixed_clock(NOW)) as case:
        flow.preserve(case, [logs])
        flow.scope(case)
        details = [json.loads(d) for (d,) in case.rows("SELECT detail FROM membership_harm")]
    assert details  # the paired attack is seen without a corpus
    assert {d["status"] for d in details} == {"not_measurable"}
    assert all("--corpus" in d["needs"] for d in details)


@pytest.mark.parametrize("args", [("--dp-delta", "1e-5"), ("--dp-epsilon", "-1")])
def test_senseless_claims_are_refused(scoped, args):
    done = CliRunner().invoke(cli, ["scope", str(scoped), *args, "--now", NOW])
    assert done.exit_code != 0
