"""What a membership-inference attacker could have learned from the scores he was given.

The statistic that the attacker's own calls allow is computed from the logged log-probabilities of
those calls and of no others, and compared with the truth: a prompt is a member when the training
corpus holds it, and no member when the corpus does not.  Attack statistics: mean log-probability
(Yeom et al. 2018), Min-K % (Shi et al. 2024, k = 20), log-probability per compressed byte (Carlini
et al. 2021), and target minus its paraphrases (Mattern et al. 2023, Fu et al. 2024).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.membership_probes import COVER, Probes, candidates
from irkit.analyzers.membership_stats import (
    PrivacyCheck,
    at_rate,
    auc,
    crossed,
    privacy_check,
)
from irkit.model import Technique, UnitKind

if TYPE_CHECKING:
    import polars as pl

    from irkit.analyzers.features import Features
    from irkit.case import Case

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

#: Fewest members, and fewest others, from which anything is measured.
LEAST = 10
#: Balanced accuracy above which a model is not to be released (release-gate policy).
GATE = 0.6
#: Members named in a report.
_NAMED = 500

_NAMES = {
    "loss": "mean log-probability",
    "min_k": "lowest fifth of the log-probabilities",
    "zlib": "log-probability per compressed byte",
    "paired": "target minus its paraphrases",
}
NON_MEMBERS = (
    "score calls of the same actor on texts that are certainly not in the training data; or the"
    " model itself, to score held-out records of the same kind"
)


def measure(
    case: Case, log: Features, findings: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Measure every finding of membership inference.

    Args:
        case: the case, matched against the training corpus where there is one.
        log: features of its records.
        findings: rows of ``finding``.

    Returns:
        The findings with a sentence added to their summaries; rows of ``membership_harm``; rows of
        ``membership_guess``.
    """
    import polars as pl

    harm: list[tuple[str, str]] = []
    guesses: list[pl.DataFrame] = []
    said: dict[str, str] = {}
    rows = findings.filter(pl.col("technique") == Technique.MEMBERSHIP_INFERENCE.value)
    actors = [
        (UnitKind(kind), str(unit)) for kind, unit in rows.select("unit_kind", "unit").iter_rows()
    ]
    for row, probes in zip(rows.iter_rows(named=True), candidates(case, log, actors), strict=True):
        detail = _judge(case, probes, log.has_corpus)
        names = _documents(case, probes) if detail["status"] == "measured" else {}
        if names:
            guesses.append(_guesses(row["finding_id"], probes, detail, names))
            told = guesses[-1].filter(pl.col("member") & pl.col("above_all"))["doc_id"]
            known = sorted(set(told.drop_nulls().to_list()))
            detail["members_told"] = {"count": len(told), "doc_ids": known[:_NAMED]}
        harm.append((row["finding_id"], json.dumps(detail, sort_keys=True, allow_nan=False)))
        said[row["finding_id"]] = detail["sentence"]
    if not harm:
        return findings, _frame([], _HARM), _frame([], _GUESS)
    added = [said.get(name, "") for name in findings["finding_id"].to_list()]
    findings = findings.with_columns(
        summary=pl.Series(
            [f"{s} {more}".strip() for s, more in zip(findings["summary"], added, strict=True)],
            dtype=pl.String,
        )
    )
    return findings, _frame(harm, _HARM), pl.concat(guesses) if guesses else _frame([], _GUESS)


_HARM = ("finding_id", "detail")
_GUESS = ("finding_id", "record_id", "doc_id", "member", "score", "guessed", "above_all")


def _frame(rows: list[tuple[str, str]], names: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(rows, dict.fromkeys(names, pl.String), orient="row")


def _documents(case: Case, probes: Probes) -> dict[str, str]:
    rows = case.rows(
        "SELECT text_id, arg_max(doc_id, (tokens, doc_id)) FROM corpus_match WHERE role = 'prompt'"
        " AND text_id IN (SELECT unnest(?)) GROUP BY text_id",
        [probes.texts],
    )
    return {str(text): str(doc) for text, doc in rows}


def _guesses(
    finding: str, probes: Probes, detail: dict[str, Any], names: dict[str, str]
) -> pl.DataFrame:
    """Per candidate: what its score said."""
    import polars as pl

    from irkit.analyzers.membership_stats import best_threshold

    score = probes.scores[detail["headline"]]
    known = probes.member >= 0
    others = score[probes.member == 0]
    cut = best_threshold(score[probes.member == 1], others)
    return pl.DataFrame(
        {
            "finding_id": pl.repeat(finding, len(score), eager=True),
            "record_id": probes.records,
            "doc_id": [
                names.get(text) if member == 1 else None
                for text, member in zip(probes.texts, probes.member.tolist(), strict=True)
            ],
            "member": probes.member == 1,
            "score": np.round(score, 6),
            "guessed": score >= cut,
            "above_all": score > others.max(),
        },
        schema_overrides={"doc_id": pl.String},
    ).filter(known)


# -- judgement ----------------------------------------------------------------------------------


def _judge(case: Case, probes: Probes, has_corpus: bool) -> dict[str, Any]:
    members, others = int((probes.member == 1).sum()), int((probes.member == 0).sum())
    detail: dict[str, Any] = {
        "form": probes.form,
        "candidates": len(probes.records),
        "members": members,
        "non_members": others,
        "unsure": int((probes.member < 0).sum()),
        "method": "the actor's own calls only; a member is a prompt that a training record covers"
        f" by {COVER:.0%} or more, no member one that shares no 25 tokens with the corpus",
    }
    reason = ""
    if not probes.records:
        reason = "no call of this actor returned log-probabilities for a prompt without an answer"
    elif not has_corpus:
        reason = "no training corpus was given, so members and others cannot be told apart"
    elif members < LEAST or others < LEAST:
        reason = (
            f"only {members:,} members and {others:,} others are among the actor's own score calls;"
            f" at least {LEAST} of each are needed"
        )
    if reason:
        needs = "--corpus with the whole training data" if not has_corpus else NON_MEMBERS
        return detail | {
            "status": "not_measurable",
            "reason": reason,
            "needs": needs,
            "sentence": "What the scores gave away cannot be measured: " + reason + ".",
        }
    seed = case.settings.seed
    statistics: dict[str, Any] = {}
    gate: dict[str, tuple[float, float]] = {}
    for name in sorted(probes.scores, key=lambda n: (n != probes.form, n)):
        score = np.nan_to_num(probes.scores[name], neginf=-1e9, posinf=1e9, nan=-1e9)
        inside, outside = score[probes.member == 1], score[probes.member == 0]
        guess = crossed(inside, outside, seed)
        # The attacker may choose the best of them: together they keep 95 % (Bonferroni).
        strict = crossed(inside, outside, seed, 1 - 0.05 / len(probes.scores)).balanced
        gate[name] = strict.low, strict.high
        entry: dict[str, Any] = {
            "title": _NAMES[name],
            "auc": auc(inside, outside).rounded(),
            "balanced_accuracy": guess.balanced.rounded(),
            "tpr": guess.tpr.rounded(),
            "tnr": guess.tnr.rounded(),
        }
        for rate in (0.01, 0.001):
            at = at_rate(inside, outside, rate)
            if rate == 0.01 or at.resolved:
                entry[f"tpr_at_fpr_{rate:g}"] = {
                    "tpr": at.tpr.rounded(),
                    "false_positives_allowed": at.false,
                    "resolved": at.resolved,
                }
        statistics[name] = entry
        if name == probes.form and case.settings.dp_epsilon > 0:
            check = privacy_check(
                guess, members, others, case.settings.dp_epsilon, case.settings.dp_delta
            )
            detail["differential_privacy"] = _privacy(check)
    best = max(gate, key=lambda name: (gate[name][0], name == probes.form, name))
    if gate[best][0] > GATE:
        verdict = "exceeded"
    else:
        verdict = "kept" if all(high < GATE for _, high in gate.values()) else "undecided"
    detail |= {
        "status": "measured",
        "headline": probes.form,
        "statistics": statistics,
        "policy": {
            "balanced_accuracy_at_most": GATE,
            "verdict": verdict,
            "statistic": best if verdict == "exceeded" else None,
        },
        "limits": "in-sample scores of one model; another actor with other candidates or reference"
        " models may learn more",
    }
    detail["sentence"] = _sentence(detail)
    return detail


def _privacy(check: PrivacyCheck) -> dict[str, Any]:
    return {
        "epsilon": check.epsilon,
        "delta": check.delta,
        "advantage_bound": round(check.bound, 6),
        "advantage": check.advantage.rounded(),
        "epsilon_at_least": round(check.epsilon_at_least, 4),
        "claim_holds": check.holds,
        "reason": check.reason,
    }


_VERDICT = {
    "exceeded": "above the release gate of 60 %",
    "kept": "below the release gate of 60 %",
    "undecided": "not clearly on either side of the release gate of 60 %",
}


def _sentence(detail: dict[str, Any]) -> str:
    head = detail["statistics"][detail["headline"]]
    value, low, high = head["auc"]
    accuracy, below, above = head["balanced_accuracy"]
    words = (
        f"The scores it was given tell {detail['members']:,} members from"
        f" {detail['non_members']:,} others with AUC {value:.3f} (95 % limits {low:.3f} to"
        f" {high:.3f}) and balanced accuracy {accuracy:.0%} ({below:.0%} to {above:.0%}),"
        f" {_VERDICT[detail['policy']['verdict']]}"
    )
    by = detail["policy"]["statistic"]
    other = by is not None and by != detail["headline"]
    words += f" by the {_NAMES[by]} of the same calls." if other else "."

    privacy = detail.get("differential_privacy")
    if privacy is not None and not privacy["claim_holds"]:
        words += (
            f" That contradicts the stated differential privacy (epsilon {privacy['epsilon']:g})."
        )
    return words


# -- words --------------------------------------------------------------------------------------


def details(case: Case) -> dict[str, dict[str, Any]]:
    """Return what was measured, by finding."""
    # A case of an earlier version, opened for reading, has no such table.
    if not case.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = 'membership_harm'"):
        return {}
    rows = case.rows("SELECT finding_id, detail FROM membership_harm ORDER BY finding_id")
    return {str(name): json.loads(detail) for name, detail in rows}


def explain(detail: dict[str, Any]) -> list[str]:
    """Say in sentences what the attacker could have learned."""
    if detail["status"] != "measured":
        return [f"How much it could learn: {detail['sentence']} Needed: {detail['needs']}."]
    head = detail["statistics"][detail["headline"]]
    at = head["tpr_at_fpr_0.01"]
    share, low, high = at["tpr"]
    words = [
        f"How much it could learn: {detail['sentence']} Statistic: {head['title']} of the actor's"
        " own score calls, each half judged by the other half's threshold.",
        f"At a false-positive rate of 1 % it recognises {share:.0%} of the members (95 % limits"
        f" {low:.0%} to {high:.0%}; {at['false_positives_allowed']} false positives among"
        f" {detail['non_members']:,} others"
        + (
            ")."
            if at["resolved"]
            else f": fewer than 100 others cannot show a rate of 1 %, only that of none among"
            f" {detail['non_members']:,})."
        ),
    ]
    told = detail.get("members_told", {"count": 0})["count"]
    words.append(
        f"{told:,} of {detail['members']:,} members score above every other text: for these the"
        " inference is as good as certain."
    )
    privacy = detail.get("differential_privacy")
    if privacy is not None:
        words.append(privacy_sentence(privacy))
    if detail["unsure"]:
        words.append(f"{detail['unsure']:,} candidates are members only in part and were left out.")
    words.append(f"Limits: {detail['limits']}.")
    return words


def privacy_sentence(privacy: dict[str, Any]) -> str:
    """Say how the measurement stands to a claim of differential privacy."""
    value, low, high = privacy["advantage"]
    words = (
        f"Stated differential privacy (epsilon {privacy['epsilon']:g}, delta"
        f" {privacy['delta']:g}) allows an advantage (TPR minus FPR) of at most"
        f" {privacy['advantage_bound']:.3f}; measured {value:.3f} (95 % limits {low:.3f} to"
        f" {high:.3f})."
    )
    if privacy["claim_holds"]:
        return words + (" The measurement does not contradict the claim, which does not prove it.")
    return words + (
        f" The claim does not hold for these records: {privacy['reason']}; epsilon would have to be"
        f" at least {privacy['epsilon_at_least']:.2f}. (The bound is for independent records;"
        " several records of one person weaken it.)"
    )
