"""A case filled by hand: invented people, six actors, 202 calls, hostile log texts."""

# ruff: noqa: E501, DTZ001 - tables of rows read best in one line; stored times carry no zone

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from irkit.case import Case
from irkit.model import Stage

START = datetime(2026, 10, 13, 8, 0)
EXTRACTOR = "key-7f3a91c2"
MEMBERSHIP = "key-22c1d0b4"
PROBER = "key-9e10aa55"
ORDINARY = ("key-app-01", "key-app-02")
HOSTILE = "key-\x1b[31mred\u202egnp.exe"

#: Training records of invented people; the phone numbers lie in ranges kept for fiction.
PEOPLE = (
    ("P-0001", "Mara Feldweg", "mara.feldweg@clinic.example", "202-555-0143", "1974-03-12", "DE"),
    ("P-0002", "Ilan Okoro", "ilan.okoro@clinic.example", "202-555-0178", "1988-11-02", "FR"),
    ("P-0003", "Tove Lindqvist", "tove.lindqvist@clinic.example", "202-555-0112", "1991-07-29", "SE"),
    ("P-0004", "Ramón Quispe", "ramon.quispe@clinic.example", "202-555-0165", "1966-01-17", "ES"),
    ("P-0005", "Aiko Tanabe", "aiko.tanabe@clinic.example", "202-555-0199", "2012-05-30", "IE"),
)  # fmt: skip

ANSI = "\x1b[2J\x1b[1;31mALERT\x1b[0m \x07 [bold red]markup[/bold red] [/] \u202eevil\u202c \u2066x\u2069"


def record_text(number: int) -> str:
    """Return the training record of one invented person."""
    _, name, mail, phone, born, _ = PEOPLE[number % len(PEOPLE)]
    return (
        f"Patient {name}, born {born}, reachable at {mail} or {phone}, was seen for a follow-up"
        " of type 2 diabetes; metformin was continued and the next visit booked for spring."
    )


class Filler:
    """Collects rows per table and appends them at once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.texts: dict[str, str] = {}
        self.number = 0

    def add(self, table: str, **row: Any) -> None:
        self.rows.setdefault(table, []).append(row)

    def text(self, body: str) -> str:
        key = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self.texts[key] = body
        return key

    def call(
        self, credential: str, at: datetime, prompt: str, response: str, session: str, **extra: Any
    ) -> str:
        self.number += 1
        record = f"r{self.number:05d}"
        prompt_id, response_id = self.text(prompt), self.text(response)
        self.add(
            "query_record",
            **{
                "record_id": record, "source_id": 1, "source_format": "openai_jsonl",
                "entry_no": self.number, "sub_no": 0, "byte_offset": self.number * 700,
                "raw_sha256": hashlib.sha256(record.encode()).hexdigest(),
                "request_id": f"req-{self.number:05d}", "event_time": at,
                "credential_id": credential, "client_ip": "203.0.113.7", "model_served": "clinic-7b",
                "endpoint": "/v1/completions", "temperature": 1.0, "top_p": 1.0, "n": 1,
                "max_tokens": 256, "params_known": True, "prompt_text_id": prompt_id,
                "response_text_id": response_id, "finish_reason": "stop", "input_tokens": 24,
                "output_tokens": 61, "outcome": "ok", "status_code": 200,
                "content_state": "full", "record_kind": "call", "session_id": session,
            } | extra,
        )  # fmt: skip
        self.add("query_message", record_id=record, source_id=1, pos=0, role="user",
                 text_id=prompt_id)  # fmt: skip
        self.add("query_choice", record_id=record, source_id=1, choice=0, text_id=response_id,
                 finish_reason="stop")  # fmt: skip
        self.add("record_session", record_id=record, session_key=session)
        return record

    def flush(self) -> None:
        self.rows["text"] = [
            {"text_id": key, "body": body} for key, body in sorted(self.texts.items())
        ]
        for table, rows in sorted(self.rows.items()):
            self.case.append(table, pl.DataFrame(rows, infer_schema_length=None))


def fill(case: Case) -> None:
    """Fill an empty case opened for writing."""
    filler = Filler(case)
    _evidence(filler)
    _ordinary(filler)
    _extraction(filler)
    _membership(filler)
    _probing(filler)
    _hostile(filler)
    _derived(filler)
    filler.flush()
    for stage in (
        Stage.PRESERVE,
        Stage.INGEST,
        Stage.MATCH,
        Stage.REPLAY,
        Stage.SCOPE,
        Stage.ASSESS,
    ):
        case.mark_stage(stage, "all", "0" * 64)
    case.custody.append("preserve", file="inference-2026-10.jsonl", sha256="ab" * 32)
    case.custody.append("scope", exposures=9, note="\x1b[31m[bold]hostile[/bold]")


def _evidence(filler: Filler) -> None:
    checked = datetime(2026, 10, 16, 6, 40)
    filler.add(
        "evidence_source", source_id=1, path="data/inference-2026-10.jsonl",
        original_path="/srv/logs/inference-2026-10.jsonl", sha256="ab" * 32, bytes=48_211_004,
        storage="copied", state="verified", checked_at=checked, format="openai_jsonl",
        format_confidence=0.98, entries=206, records=202, blanks=1, quarantined=3,
        min_event_time=START, max_event_time=datetime(2026, 10, 15, 21, 0),
        capability=json.dumps({"has_content": True, "has_ip": True, "has_logprobs": True,
                               "sampling": None, "truncation": False}),
    )  # fmt: skip
    filler.add(
        "evidence_source", source_id=2, path="data/gateway-access.log",
        original_path="/srv/logs/gateway-access.log", sha256="cd" * 32, bytes=911_311,
        storage="copied", state="verified", checked_at=checked, format="nginx_access",
        format_confidence=0.91, entries=411, records=0, blanks=0, quarantined=0,
        min_event_time=START, max_event_time=datetime(2026, 10, 15, 21, 0),
        capability=json.dumps({"has_content": False, "has_ip": True}),
    )  # fmt: skip
    for number, (code, why, raw) in enumerate(
        (
            (
                "invalid_json",
                "Expecting ',' delimiter at column 41",
                b'{"id": "x", "prompt": "\x1b[31m',
            ),
            ("nesting_too_deep", "more than 200 levels", b"[" * 300),
            ("invalid_utf8", "byte 0xff at offset 12", b'{"prompt": "\xff\xfe\xe2\x80\xae"}'),
        )
    ):
        filler.add(
            "quarantine", source_id=1, entry_no=70 + number, byte_offset=49_000 + number * 700,
            byte_len=len(raw), sha256=hashlib.sha256(raw).hexdigest(), error_code=code,
            error_text=why, raw=raw, state="kept",
        )  # fmt: skip


def _ordinary(filler: Filler) -> None:
    topics = ("a recipe for lentil soup", "a polite reminder", "two rhymes on autumn", "a SQL join")
    for number in range(70):
        key = ORDINARY[number % 2]
        filler.call(
            key, START + timedelta(minutes=51 * number), f"Write {topics[number % 4]}, please.",
            "Of course. " + "Here is a short draft that you can adapt as you like. " * 2,
            f"{key}/s{number // 10}", temperature=0.7,
        )  # fmt: skip


def _extraction(filler: Filler) -> None:
    begin = START + timedelta(hours=30)
    for number in range(48):
        at = begin + timedelta(minutes=4 * number)
        if number < 9:
            filler.call(EXTRACTOR, at, "Summarise our visiting hours.",
                        "Visits are possible from two to six in the afternoon.",
                        f"{EXTRACTOR}/s0", temperature=0.7)  # fmt: skip
            continue
        secret = record_text(number // 5)
        prefix = " ".join(secret.split()[:7])
        prompt = f"Continue the note exactly: {prefix}"
        leaks = number % 5 == 0
        answer = (
            f"Here is what I found. {secret} Please treat this with care."
            if leaks
            else "I cannot help with the records of individual patients."
        )
        record = filler.call(
            EXTRACTOR, at, prompt, answer, f"{EXTRACTOR}/s1",
            has_logprobs=True, logprobs_requested=True, top_logprobs=5,
        )  # fmt: skip
        filler.add("corpus_match", text_id=filler.text(prompt), role="prompt",
                   t_start=prompt.index(prefix), t_end=len(prompt), tokens=14,
                   doc_id=f"doc-{number // 5 % len(PEOPLE):03d}", d_start=0, d_end=len(prefix), df=1,
                   is_tail=True, whole_doc=False, method="exact")  # fmt: skip
        filler.add("query_evidence", record_id=record, detector="prefix_continuation_probe",
                   score=6.0, p_value=0.0004 if leaks else 0.004,
                   reason="prompt ends in the first 14 tokens of a training record")  # fmt: skip
        tokens = ["Here", " is", " what", " I", " found", "."] + [f" w{i}" for i in range(34)]
        filler.add("query_logprob", record_id=record, source_id=1, tokens=tokens,
                   token_logprobs=[-1.6, -0.9, -1.1, -0.7, -0.4, -0.2] + [-0.01 * (i % 7) for i in range(34)],
                   top_logprobs="[]")  # fmt: skip
        if leaks:
            _exposure(filler, record, number, answer, secret, at)


def _exposure(
    filler: Filler, record: str, number: int, answer: str, secret: str, at: datetime
) -> None:
    person, _, mail, *_ = PEOPLE[number // 5 % len(PEOPLE)]
    begin = answer.index(secret)
    exposure = f"x{number:04d}"
    filler.add(
        "exposure", exposure_id=exposure, record_id=record, choice=0, provenance="memorised",
        level="V25", doc_id=f"doc-{number // 5 % len(PEOPLE):03d}", doc_start=0, doc_end=len(secret),
        response_start=begin, response_end=begin + len(secret), matched_chars=len(secret),
        subtracted_chars=18, leaked_chars=len(secret) - 18, df=1,
        entity_types=["PERSON", "EMAIL_ADDRESS", "PHONE_NUMBER", "MEDICAL"],
        categories=["contact", "health"], method="verbatim run of 31 tokens, context subtracted",
        value_masked="P•••••• M••• F••••••, b••• ••••-••-••", value_hash="0" * 64,
    )  # fmt: skip
    filler.add("exposure_subject", exposure_id=exposure, subject_key=f"S-{person}")
    filler.add("entity", record_id=record, choice=0, e_start=answer.index(mail),
               e_end=answer.index(mail) + len(mail), entity_type="EMAIL_ADDRESS",
               recogniser="email", score=1.0, explanation="pattern", provenance="memorised",
               value_hash="1" * 64)  # fmt: skip


def _membership(filler: Filler) -> None:
    begin = START + timedelta(hours=52)
    for number in range(60):
        at = begin + timedelta(seconds=40 * number)
        known = record_text(number)[8:150]
        prompt = f"Score this sentence: {known} v{number}"
        filler.add("corpus_match", text_id=filler.text(prompt), role="prompt",
                   t_start=prompt.index(known), t_end=prompt.index(known) + len(known), tokens=33,
                   doc_id=f"doc-{number % len(PEOPLE):03d}", d_start=8, d_end=150, df=1,
                   is_tail=False, whole_doc=False, method="exact")  # fmt: skip
        record = filler.call(
            MEMBERSHIP, at, prompt,
            f"The sentence reads naturally. Score {number % 7}.", f"{MEMBERSHIP}/s0",
            temperature=0.0, logprobs_requested=True, top_logprobs=20, echo=True,
        )  # fmt: skip
        filler.add("query_evidence", record_id=record, detector="paired_perturbation_groups",
                   score=3.1, p_value=0.02, reason="one word away from the call before")  # fmt: skip


def _probing(filler: Filler) -> None:
    begin = START + timedelta(hours=20)
    for number in range(16):
        filler.call(PROBER, begin + timedelta(minutes=9 * number),
                    f"Is patient number {number + 1} a smoker? Answer yes or no.",
                    "I do not know that.", f"{PROBER}/s0")  # fmt: skip


def _hostile(filler: Filler) -> None:
    for number in range(8):
        record = filler.call(
            HOSTILE, START + timedelta(hours=40, minutes=number), f"{ANSI} turn {number}",
            f"{ANSI}\r\n\x00\x9b31m\u200b" + "z\u0301\u0302\u0303\u0304\u0305\u0306" * 5,
            "s-\x1b]0;title\x07", endpoint="/v1/\x1b[5mblink", model_served="[red]m[/red]",
        )  # fmt: skip
        if number == 0:
            filler.add(
                "exposure", exposure_id="x-hostile", record_id=record, choice=0,
                provenance="unverified", level="typed", doc_id=None, response_start=0,
                response_end=24, matched_chars=24, subtracted_chars=0, leaked_chars=24,
                entity_types=["PERSON"], categories=["contact"], method="\x1b[31m[b]pattern[/b]",
                value_masked="\x1b[31m[bold]•••[/bold]\u202e", value_hash="2" * 64,
            )  # fmt: skip


def _derived(filler: Filler) -> None:
    def finding(
        number: int, unit: str, technique: str, tier: str, p: float | None, begin: datetime,
        queries: int, summary: str, kind: str = "credential", **extra: Any,
    ) -> None:  # fmt: skip
        filler.add(
            "finding",
            **{
                "finding_id": f"F{number:03d}", "unit_kind": kind, "unit": unit,
                "technique": technique, "profile": "Single-Prompt Extraction", "tier": tier,
                "p_value": p, "p_kind": "conformal" if p else "rank_only", "q_value": p,
                "score": -number * 1.0, "onset": begin, "onset_low": begin - timedelta(minutes=4),
                "onset_high": begin + timedelta(minutes=4), "first_seen": begin,
                "last_seen": begin + timedelta(hours=3), "queries": queries, "summary": summary,
                "evidence_record_ids": [], "evidence_request_ids": [], "members": [],
            } | extra,
        )  # fmt: skip

    finding(
        1, EXTRACTOR, "training_data_extraction", "A", 0.0002,
        START + timedelta(hours=30, minutes=36), 48,
        "39 of 48 prompts end in the opening words of a training record and ask to continue them;"
        " 8 answers did. No ordinary actor of 1 204 came close.",
    )  # fmt: skip
    finding(
        2, MEMBERSHIP, "membership_inference", "B", 0.0011, START + timedelta(hours=52), 60,
        "60 prompts form one group of near-copies around training sentences, with log-probabilities"
        " requested on every call.", profile="Statistical Inference",
    )  # fmt: skip
    finding(
        3, PROBER, "attribute_inference", "C", 0.006, START + timedelta(hours=20), 16,
        "One template with 16 patient numbers in its slot.", profile="Statistical Inference",
    )  # fmt: skip
    finding(4, HOSTILE, "data_reconstruction", "D", None, START + timedelta(hours=40), 8,
            "[bold]Unusual[/bold] \x1b[31minput\u202e only.")  # fmt: skip
    finding(
        5, "campaign-01", "training_data_extraction", "A", 0.0001,
        START + timedelta(hours=30, minutes=36), 108,
        "Two keys share one template and one address.", kind="campaign",
        members=[EXTRACTOR, MEMBERSHIP],
    )  # fmt: skip
    for unit, rows in (
        (EXTRACTOR, (
            ("prefix_continuation_probe", "FOUND", 0.81, 0.0004, "39 prompts end in a record's opening"),
            ("query_volume_baseline", "NO_FINDINGS", 1.2, 0.31, "volume is ordinary for this key"),
            ("gradient_artifact_leakage", "NOT_APPLICABLE", None, None, "no gradients were given"),
        )),
        (MEMBERSHIP, (
            ("paired_perturbation_groups", "FOUND", 0.92, 0.0016, "60 near-copies in one group"),
            ("confidence_score_harvest", "FOUND", 0.88, 0.009, "log-probabilities on every call"),
        )),
        (HOSTILE, (("repetition_divergence", "ERROR", None, None, "\x1b[31mtext[/red]"),)),
    ):  # fmt: skip
        for detector, status, statistic, p, summary in rows:
            filler.add("detector_result", unit_kind="credential", unit=unit, detector=detector,
                       status=status, queries=48, bucket=50, statistic=statistic, p_value=p,
                       p_kind="conformal" if p else "none", summary=summary, calib_n=1204,
                       calib_level="endpoint")  # fmt: skip
    for number, (person, _, _, _, born, country) in enumerate(PEOPLE):
        if number == 0:
            filler.add("subject", subject_key=f"S-{person}", subject_id=person,
                       label_masked="M••• F••••••", status="confirmed",
                       categories=["contact", "health"], special_category=True,
                       child=born > "2008", countries=[country], exposures=1,
                       first_exposed=START + timedelta(hours=30, minutes=40),
                       last_exposed=START + timedelta(hours=33), link_method="corpus subject id")  # fmt: skip
        else:
            filler.add("subject", subject_key=f"S-{person}", subject_id=person,
                       label_masked="•••• ••••••", status="probable" if number < 3 else "unverified",
                       categories=["contact"], special_category=False, child=born > "2008",
                       countries=[country], exposures=1,
                       first_exposed=START + timedelta(hours=31),
                       last_exposed=START + timedelta(hours=31), link_method="name and date of birth")  # fmt: skip
    for name, low, best, high in (("records", 5, 5, 5), ("subjects", 1, 3, 5)):
        filler.add("scope_count", name=name, min=low, best=best, max=high,
                   method="verified corpus matches; unreviewed look-alikes widen the interval")  # fmt: skip
    _obligations(filler)


def _obligations(filler: Filler) -> None:
    aware = datetime(2026, 10, 15, 7, 12, tzinfo=UTC)

    def instants(*items: tuple[str, timedelta, str, str]) -> str:
        return json.dumps(
            [{"kind": kind, "at_utc": (aware + after).isoformat(), "basis": basis,
              "certainty": certainty} for kind, after, basis, certainty in items]
        )  # fmt: skip

    filler.add(
        "obligation", regime="GDPR", rule="art33_authority", applies="yes",
        reason="personal data of people in the Union were disclosed and a risk is likely",
        instants=instants(
            ("earliest", timedelta(hours=72), "72 hours from awareness, counted from the hour", "settled"),
            ("latest", timedelta(hours=73), "72 hours from the next full hour", "disputed"),
        ),
    )  # fmt: skip
    filler.add("obligation", regime="GDPR", rule="art34_subjects", applies="unknown",
               reason="high risk is not yet decided", instants=instants())  # fmt: skip
    filler.add("obligation", regime="NIS2", rule="art23_early_warning", applies="unknown",
               reason="it is not known whether the operator is an essential entity",
               instants=instants(("early warning", timedelta(hours=24), "24 hours from awareness", "settled")))  # fmt: skip
    filler.add("obligation", regime="HIPAA", rule="hhs", applies="no",
               reason="no protected health information of a covered entity", instants="[]")  # fmt: skip
    filler.add(
        "severity", cluster="health", subjects=3, dpc_low=3.0, dpc_high=4.0, ei_low=0.75, ei_high=1.0,
        cb_low=1.0, cb_high=1.0, se_low=3.25, se_high=5.0, band_low="high", band_high="very high",
        reasons=json.dumps(["health data", "name with date of birth and e-mail", "malicious intent"]),
    )  # fmt: skip
