"""What a membership-inference attacker could have learned from the scores he was given.

The statistic that the attacker's own calls allow is computed from the logged log-probabilities of
those calls and of no others, and compared with the truth: a prompt is a member when the training
corpus holds it, and no member when the corpus does not.  Attack statistics: mean log-probability
(Yeom et al. 2018), Min-K % (Shi et al. 2024, k = 20), log-probability per compressed byte (Carlini
et al. 2021), and target minus its paraphrases (Mattern et al. 2023, Fu et al. 2024).
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

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
#: Share of a prompt that a training record must cover for the prompt to be that record.
_COVER = 0.8
#: Share of candidates in groups of paraphrases from which the attack is a paired one.
_PAIRED = 0.6
#: Distinct texts read for compression and for the middle of a group.
_TEXTS = 20_000
#: Members named in a report.
_NAMED = 500
_GROUP = 64

_PROBES = """
SELECT r.record_id, r.prompt_text_id AS text_id,
  list_avg(l.token_logprobs) AS mean, list_sum(l.token_logprobs) AS total,
  list_avg(list_sort(list_filter(l.token_logprobs, x -> x IS NOT NULL))[
    1:greatest(1, CAST(ceil(0.2 * len(list_filter(l.token_logprobs, x -> x IS NOT NULL)))
    AS BIGINT))]) AS lowest
FROM query_record r JOIN query_logprob l USING (record_id)
WHERE r.duplicate_of IS NULL AND r.prompt_text_id IS NOT NULL AND {who}
ORDER BY r.event_time NULLS LAST, r.source_id, r.entry_no, r.sub_no
"""
_WHO = {
    UnitKind.CREDENTIAL: "list_contains(?, r.credential_id)",
    UnitKind.SOURCE_IP: "list_contains(?, r.client_ip)",
    UnitKind.SESSION: "r.record_id IN (SELECT record_id FROM record_session"
    " WHERE list_contains(?, session_key))",
    UnitKind.CAMPAIGN: "EXISTS (SELECT 1 FROM (SELECT unnest(?) AS name) m WHERE name ="
    " coalesce(r.credential_id, 'source_ip:' || r.client_ip))",
}
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


@dataclass(slots=True)
class Probes:
    """Candidates of one actor: scores per statistic, and whether each is a member.

    Attributes:
        records: record id of each candidate (of a group: of its middle).
        texts: its text.
        member: 1 member, 0 not, -1 cannot be told.
        scores: per statistic, one score per candidate; higher means more member-like.
        form: statistic that the calls were made for.
    """

    records: list[str]
    texts: list[str]
    member: NDArray[np.int8]
    scores: dict[str, F64]
    form: str


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
    for row in findings.iter_rows(named=True):
        if row["technique"] != Technique.MEMBERSHIP_INFERENCE.value:
            continue
        probes = _probes(case, log, UnitKind(row["unit_kind"]), row["unit"], row["members"] or [])
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


# -- candidates ---------------------------------------------------------------------------------


def _probes(case: Case, log: Features, kind: UnitKind, unit: str, members: list[str]) -> Probes:
    names = members or [unit]
    frame = case.frame(_PROBES.format(who=_WHO[kind]), [names])
    place = _places(log, frame)
    usable = np.isfinite(frame["mean"].fill_null(np.nan).to_numpy()) & (place >= 0)
    usable[usable] &= log.score_only[place[usable]] >= 0.5
    frame = frame.filter(usable).with_columns(place=place[usable])
    # The answer to a repeated question teaches nothing new.
    frame = frame.unique("text_id", keep="first", maintain_order=True)
    place = frame["place"].to_numpy()
    label = _labels(log, place)
    scores = {
        "loss": frame["mean"].to_numpy().astype(np.float64),
        "min_k": frame["lowest"].to_numpy().astype(np.float64),
    }
    texts = frame["text_id"].to_list()
    records = frame["record_id"].to_list()
    bodies = _bodies(case, texts)
    if bodies:
        size = [len(zlib.compress(bodies[t].encode("utf-8", "surrogatepass"))) for t in texts]
        scores["zlib"] = frame["total"].to_numpy() / np.maximum(np.asarray(size, np.float64), 1.0)
    group = log.prompt("variants")[place] if len(place) else np.zeros(0, np.uint64)
    inside = _in_groups(group)
    if len(place) and inside.mean() >= _PAIRED and bodies:
        return _paired(records, texts, label, scores, group, inside, bodies)
    return Probes(records, texts, label, scores, "loss")


def _places(log: Features, frame: pl.DataFrame) -> I64:
    """Position of each record in the features; -1 for records left out of them."""
    import polars as pl

    known = pl.DataFrame({"record_id": log.log.record_id}).with_row_index("place")
    found = frame.select("record_id").join(
        known.with_columns(pl.col("place").cast(pl.Int64)),
        on="record_id", how="left", maintain_order="left",
    )  # fmt: skip
    return found["place"].fill_null(-1).to_numpy().astype(np.int64)


def _labels(log: Features, place: I64) -> NDArray[np.int8]:
    if not log.has_corpus or not len(place):
        return np.full(len(place), -1, np.int8)
    found = log.membership
    tokens, cover = found["tokens"][place], found["cover"][place]
    whole = found["whole"][place].astype(np.bool_)
    hit = whole | (tokens >= 25)
    label = np.where(whole | (hit & (cover >= _COVER)), 1, np.where(hit, -1, 0))
    return label.astype(np.int8)


def _bodies(case: Case, texts: list[str]) -> dict[str, str]:
    if not texts or len(texts) > _TEXTS:
        return {}
    rows = case.rows("SELECT text_id, body FROM text WHERE text_id IN (SELECT unnest(?))", [texts])
    return {str(key): str(body) for key, body in rows}


def _in_groups(group: NDArray[Any]) -> NDArray[np.bool_]:
    values, inverse, size = np.unique(group, return_inverse=True, return_counts=True)
    large: NDArray[np.bool_] = (size[inverse] >= 3) & (values[inverse] != 0)
    return large


def _paired(
    records: list[str],
    texts: list[str],
    label: NDArray[np.int8],
    scores: dict[str, F64],
    group: NDArray[Any],
    inside: NDArray[np.bool_],
    bodies: dict[str, str],
) -> Probes:
    """One candidate per group: its middle text against the others.

    A paraphrase differs from the original in some words and from another paraphrase in about twice
    as many, so the original is the text that is most like all others; whether it is a member plays
    no part in choosing it.
    """
    middles: list[int] = []
    gaps: list[float] = []
    for name in np.unique(group[inside]):
        rows = np.flatnonzero(group == name)[:_GROUP]
        words = [set(bodies[texts[i]].split()) for i in rows.tolist()]
        alike = [sum(len(a & b) / max(1, len(a | b)) for b in words if b is not a) for a in words]
        middle = int(rows[int(np.argmax(alike))])
        rest = rows[rows != middle]
        middles.append(middle)
        gaps.append(float(scores["loss"][middle] - scores["loss"][rest].mean()))
    index = np.asarray(middles, np.int64)
    every = {"paired": np.asarray(gaps), **{k: v[index] for k, v in scores.items()}}
    return Probes(
        [records[i] for i in middles], [texts[i] for i in middles], label[index], every, "paired"
    )


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
        f" by {_COVER:.0%} or more, no member one that shares no 25 tokens with the corpus",
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
