"""Containment: rules back-tested on the preserved records, revocations, and indicators.

Each proposed rule is replayed over the same records on which the findings rest: how many queries
of flagged actors it would have stopped, how many exposing responses, and how many ordinary calls
it would have hit.  In-sample numbers: a rule that fits these logs may fit others less well.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irkit.errors import StorageError
from irkit.playbook import exposed
from irkit.playbook.plain import csv_safe, one_line
from irkit.playbook.stix import bundle

if TYPE_CHECKING:
    from irkit.case import Case

#: Winnowing (Schleimer et al. 2003): grams of K tokens, minimum of every WINDOW grams; any shared
#: run of at least K + WINDOW - 1 = 25 tokens is caught, irkit's V25 level.
K, WINDOW = 18, 8

_TOKEN = re.compile(r"\w+|[^\w\s]")

#: Who is attack, who is ordinary: flagged in tiers A or B; ordinary actors have no finding at all.
_LABELS = """
WITH flagged AS (
  SELECT unit_kind, unit, coalesce(onset_low, onset, first_seen) AS since
  FROM finding WHERE tier IN ('A', 'B')
), suspicious AS (SELECT DISTINCT unit_kind, unit FROM finding),
base AS (
  SELECT r.record_id, r.event_time, r.credential_id, r.client_ip, r.logprobs_requested, r.echo,
         r.logit_bias_size, r.scalars_returned, r.response_text_id, r.prompt_text_id,
         s.session_key
  FROM query_record r LEFT JOIN record_session s USING (record_id)
  WHERE r.duplicate_of IS NULL
), leak AS (SELECT DISTINCT record_id FROM ({counted} SELECT record_id FROM counted)),
label AS (
  SELECT b.*, b.record_id IN (SELECT record_id FROM leak) AS exposing,
    EXISTS (SELECT 1 FROM flagged f WHERE (f.since IS NULL OR b.event_time >= f.since) AND (
      (f.unit_kind = 'credential' AND f.unit = b.credential_id) OR
      (f.unit_kind = 'source_ip' AND f.unit = b.client_ip) OR
      (f.unit_kind = 'session' AND f.unit = b.session_key))) AS attack,
    EXISTS (SELECT 1 FROM suspicious f WHERE
      (f.unit_kind = 'credential' AND f.unit = b.credential_id) OR
      (f.unit_kind = 'source_ip' AND f.unit = b.client_ip) OR
      (f.unit_kind = 'session' AND f.unit = b.session_key)) AS touched
  FROM base b
)
SELECT *, NOT attack AND NOT exposing AND NOT touched AS ordinary FROM label
"""


@dataclass(frozen=True, slots=True)
class RuleTest:
    """One rule with what it would have done on the preserved records."""

    rule: str
    setting: str
    attack_stopped: int
    attack_total: int
    exposing_stopped: int
    exposing_total: int
    ordinary_hit: int
    ordinary_total: int
    advice: str
    limits: str

    @property
    def attack_share(self) -> float:
        """Share of flagged actors' queries that the rule stops."""
        return self.attack_stopped / self.attack_total if self.attack_total else 0.0

    @property
    def ordinary_share(self) -> float:
        """Share of ordinary calls that the rule hits."""
        return self.ordinary_hit / self.ordinary_total if self.ordinary_total else 0.0


def back_test(case: Case) -> list[RuleTest]:
    """Replay every proposed rule over the preserved records, in one labelled temporary table."""
    con = case.con
    con.execute(
        "CREATE OR REPLACE TEMP TABLE rule_label AS "
        + _LABELS.replace("{counted}", exposed.COUNTED)
    )
    con.execute(_REPETITION)
    con.execute(_FILTER)
    try:
        limit = _rate_limit(case)
        con.execute(
            "CREATE OR REPLACE TEMP TABLE rule_hour AS SELECT record_id, row_number() OVER"
            " (PARTITION BY coalesce(credential_id, client_ip), date_trunc('hour', event_time)"
            " ORDER BY event_time, record_id) AS nth FROM rule_label"
        )
        tests = [
            _measure(case, name, setting, where, limits)
            for name, setting, where, limits in _rules(limit)
        ]
        chosen = [
            (t, where)
            for t, (_, _, where, _) in zip(tests, _rules(limit), strict=True)
            if t.advice == "recommended"
        ]
        if len(chosen) > 1:
            tests.append(
                _measure(
                    case,
                    "all recommended rules together",
                    ", ".join(t.rule for t, _ in chosen),
                    " OR ".join(f"({where})" for _, where in chosen),
                    "in-sample, as every row above",
                )
            )
        return tests
    finally:
        for table in ("rule_label", "rule_hour", "rule_repetition", "rule_filter"):
            con.execute(f"DROP TABLE IF EXISTS {table}")


#: Responses in which one word makes up at least half of at least 20 words: runaway repetition.
_REPETITION = """
CREATE OR REPLACE TEMP TABLE rule_repetition AS
WITH words AS (
  SELECT text_id, list_slice(string_split_regex(lower(left(body, 4000)), '\\s+'), 1, 200) AS w
  FROM text WHERE text_id IN (SELECT response_text_id FROM rule_label)
), top AS (
  SELECT text_id, len(w) AS n, list_aggregate(w, 'mode') AS m, w FROM words WHERE len(w) >= 20
)
SELECT text_id FROM top WHERE len(list_filter(w, lambda x: x = m)) * 2 >= n
"""


#: Responses that share a run of 25 tokens with the exposed part of an exposed record: what the
#: hashed filter catches, read from the verified matches instead of hashing every response again.
_FILTER = f"""
CREATE OR REPLACE TEMP TABLE rule_filter AS
{exposed.COUNTED}
SELECT DISTINCT m.text_id FROM corpus_match m
JOIN (SELECT DISTINCT doc_id, coalesce(doc_start, 0) AS a, coalesce(doc_end, 2147483647) AS b
      FROM counted WHERE doc_id IS NOT NULL) e USING (doc_id)
WHERE m.role = 'response' AND m.tokens >= {K + WINDOW - 1} AND m.d_start < e.b AND m.d_end > e.a
  AND (least(m.d_end, e.b) - greatest(m.d_start, e.a)) * m.tokens
      >= {K + WINDOW - 1} * (m.d_end - m.d_start)
"""


def _rate_limit(case: Case) -> int:
    """Requests per credential and hour that 99.9 % of ordinary actor-hours stay within."""
    row = case.rows(
        "SELECT quantile_cont(n, 0.999) FROM (SELECT count(*) AS n FROM rule_label WHERE ordinary"
        " GROUP BY coalesce(credential_id, client_ip), date_trunc('hour', event_time))"
    )
    value = row[0][0] if row else None
    return max(1, int(-(-float(value) // 1))) if value is not None else 0


def _rules(limit: int) -> list[tuple[str, str, str, str]]:
    """Name, setting, SQL condition over ``rule_label`` and limits of each rule."""
    flagged = (
        "SELECT unit FROM finding WHERE tier IN ('A', 'B') AND unit_kind = '{kind}' UNION SELECT"
        " DISTINCT {column} FROM rule_label WHERE attack AND exposing"
    )
    rules = [
        (
            "revoke credentials",
            "the list in revocation.csv",
            f"credential_id IN ({flagged.format(kind='credential', column='credential_id')})",
            "a new credential evades it; tell legal before cutting off a customer",
        ),
        (
            "block addresses",
            "addresses that flagged actors used and no ordinary actor did",
            "client_ip IN (SELECT client_ip FROM rule_label GROUP BY client_ip HAVING"
            " bool_or(attack) AND NOT bool_or(ordinary))",
            "addresses change hands; review after 30 days",
        ),
        (
            "no token probabilities",
            "logprobs and top_logprobs off for outside callers",
            "coalesce(logprobs_requested, false) OR coalesce(scalars_returned, 0) > 0",
            "stops the side channel, not the answer; membership inference also works on text",
        ),
        (
            "no echo",
            "echo off",
            "coalesce(echo, false)",
            "stops scoring of given texts by echo",
        ),
        (
            "no logit bias",
            "logit_bias off",
            "coalesce(logit_bias_size, 0) > 0",
            "stops reading the distribution token by token",
        ),
        (
            "stop runaway repetition",
            "end generation when one word makes half of 20 or more words",
            "response_text_id IN (SELECT text_id FROM rule_repetition)",
            "stops divergence attacks only",
        ),
        (
            "output filter on exposed passages",
            f"hashed passages in output_filter.json, runs of {K + WINDOW - 1} tokens",
            "response_text_id IN (SELECT text_id FROM rule_filter)",
            "stops only passages already known, and never shorter runs; rephrasing or encoding"
            " evades it",
        ),
    ]
    if limit:
        rules.insert(
            2,
            (
                "rate limit",
                f"{limit} requests per credential and hour",
                f"record_id IN (SELECT record_id FROM rule_hour WHERE nth > {limit})",
                "slow attackers and many accounts stay below it",
            ),
        )
    return rules


def _measure(case: Case, name: str, setting: str, where: str, limits: str) -> RuleTest:
    row = case.rows(
        "SELECT count(*) FILTER (WHERE attack AND hit), count(*) FILTER (WHERE attack),"
        " count(*) FILTER (WHERE exposing AND hit), count(*) FILTER (WHERE exposing),"
        " count(*) FILTER (WHERE ordinary AND hit), count(*) FILTER (WHERE ordinary)"
        f" FROM (SELECT *, coalesce({where}, false) AS hit FROM rule_label)"
    )[0]
    numbers = [int(value) for value in row]
    stops = numbers[0] / numbers[1] if numbers[1] else numbers[2] / max(numbers[3], 1)
    hits = numbers[4] / numbers[5] if numbers[5] else 0.0
    if not numbers[0] and not numbers[2]:
        advice = "no effect on these records"
    elif hits > 0.01:
        advice = "weigh: hits more than 1 % of ordinary calls"
    elif stops >= 0.05 or numbers[2]:
        advice = "recommended"
    else:
        advice = "little effect on these records"
    return RuleTest(
        rule=name,
        setting=setting,
        attack_stopped=numbers[0],
        attack_total=numbers[1],
        exposing_stopped=numbers[2],
        exposing_total=numbers[3],
        ordinary_hit=numbers[4],
        ordinary_total=numbers[5],
        advice=advice,
        limits=limits,
    )


# -- files --------------------------------------------------------------------------------------


def contain(case: Case, out: Path) -> list[Path]:
    """Write rules, revocation list, output filter and indicators.

    Returns:
        Paths of ``containment.md``, ``rules.json``, ``revocation.csv``, ``output_filter.json`` and
        ``indicators.stix.json``.

    Raises:
        StorageError: a file cannot be written.
    """
    tests = back_test(case)
    revoke = revocations(case)
    grams, spans = filter_grams(case)
    files = {
        "containment.md": _report(case, tests, revoke, len(grams), spans),
        "rules.json": json.dumps(
            {
                "method": "in-sample replay over the preserved records",
                "rules": [
                    {
                        **asdict(t),
                        "attack_share": round(t.attack_share, 4),
                        "ordinary_share": round(t.ordinary_share, 6),
                    }
                    for t in tests
                ],
            },
            indent=1,
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n",
        "revocation.csv": _csv(revoke),
        "output_filter.json": json.dumps(
            {
                "algorithm": "blake2b-64 keyed with key_hex over lower-cased tokens joined by one"
                " space; winnowing: keep the minimum hash of every window of grams",
                "grams": sorted(grams),
                "k_tokens": K,
                "key_hex": _key(case).hex(),
                "note": "holds no plain text, but a guessed passage can be tested against it:"
                " keep it confidential",
                "run_tokens_caught": K + WINDOW - 1,
                "token_pattern": _TOKEN.pattern,
                "window": WINDOW,
            },
            indent=0,
            sort_keys=True,
        )
        + "\n",
        "indicators.stix.json": json.dumps(
            bundle(case), indent=1, sort_keys=True, ensure_ascii=False
        )
        + "\n",
    }
    paths = write_files(out, files)
    if case.writable:
        case.custody.append(
            "contain",
            files={p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths},
            recommended=[t.rule for t in tests if t.advice == "recommended"],
        )
    return paths


def write_files(out: Path, files: dict[str, str]) -> list[Path]:
    """Write text files into a directory, creating it.

    Raises:
        StorageError: the directory or a file cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, text in files.items():
            path = out / name
            path.write_bytes(text.encode("utf-8", "backslashreplace"))
            paths.append(path)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written: {error.strerror}") from error
    return paths


def revocations(case: Case) -> list[dict[str, Any]]:
    """Credentials to revoke, why, and what to preserve first."""
    rows = case.rows(
        exposed.COUNTED + ", hit AS (SELECT credential_id, count(DISTINCT record_id) AS n,"
        " max(event_time) AS last FROM counted WHERE credential_id IS NOT NULL GROUP BY 1),"
        " flag AS (SELECT unit AS credential_id, min(tier) AS tier, string_agg(DISTINCT technique,"
        " ', ' ORDER BY technique) AS techniques FROM finding WHERE unit_kind = 'credential'"
        " AND tier IN ('A', 'B') GROUP BY unit)"
        " SELECT credential_id, coalesce(tier, ''), coalesce(techniques, ''), coalesce(n, 0), last"
        " FROM flag FULL JOIN hit USING (credential_id)"
        " ORDER BY coalesce(tier, 'Z'), coalesce(n, 0) DESC, credential_id"
    )
    return [
        {
            "credential": str(who),
            "tier": str(tier),
            "techniques": str(techniques),
            "exposing_requests": int(number),
            "last_exposing": at.isoformat() if (at := exposed.utc(last)) else "",
            "advice": "revoke now"
            if tier
            else "received exposed data without a finding: review before revoking",
        }
        for who, tier, techniques, number, last in rows
    ]


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    names = ("credential", "tier", "techniques", "exposing_requests", "last_exposing", "advice")
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([csv_safe(str(row[name])) for name in names] for row in rows)
    return stream.getvalue()


def _key(case: Case) -> bytes:
    """Key of the gram hashes: made from the case's own first custody entry."""
    first = next(iter(case.custody.entries()), None)
    seed = first.hash if first else case.title
    return hashlib.sha256(f"irkit output filter {seed}".encode()).digest()


def filter_grams(case: Case) -> tuple[set[str], int]:
    """Winnowed hashes of the exposed passages, and the number of distinct passages."""
    key, grams, spans = _key(case), set[str](), 0
    cursor = case.con.execute(
        exposed.COUNTED + "SELECT DISTINCT substring(t.body, c.response_start + 1,"
        " c.response_end - c.response_start) AS span FROM counted c JOIN query_choice q ON"
        " q.record_id = c.record_id AND q.choice = c.choice JOIN text t ON t.text_id = q.text_id"
        " ORDER BY span"
    )
    while batch := cursor.fetchmany(1000):
        for (span,) in batch:
            spans += 1
            grams.update(winnow(str(span), key))
    return grams, spans


def winnow(text: str, key: bytes) -> Iterator[str]:
    """Yield the winnowed, keyed hashes of a text's token grams, as 16 hex digits."""
    tokens = _TOKEN.findall(text.lower())
    hashes = [
        hashlib.blake2b(
            " ".join(tokens[i : i + K]).encode("utf-8", "replace"), digest_size=8, key=key
        ).hexdigest()
        for i in range(len(tokens) - K + 1)
    ]
    for i in range(max(len(hashes) - WINDOW + 1, min(len(hashes), 1))):
        yield min(hashes[i : i + WINDOW])


def _report(
    case: Case,
    tests: Sequence[RuleTest],
    revoke: Sequence[dict[str, Any]],
    grams: int,
    spans: int,
) -> str:
    lines = [
        f"# Containment: {one_line(case.title)}",
        "",
        "SYNTHETIC SAMPLE\n" if case.synthetic else "",
        "Each rule was replayed over the preserved records. *Attack*: queries of actors flagged in",
        "tiers A and B since their onset; *exposing*: responses with confirmed exposed passages;",
        "*ordinary*: calls of actors without any finding. The numbers are in-sample.",
        "",
        "| Rule | Setting | Attack stopped | Exposing stopped | Ordinary hit | Advice |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.rule} | {t.setting} | {t.attack_stopped} of {t.attack_total} "
        f"({t.attack_share:.0%}) | {t.exposing_stopped} of {t.exposing_total} | "
        f"{t.ordinary_hit} of {t.ordinary_total} ({t.ordinary_share:.2%}) | {t.advice} |"
        for t in tests
    ]
    lines += ["", "## Limits", ""]
    lines += [f"- **{t.rule}**: {t.limits}" for t in tests]
    lines += [
        "",
        "## Files",
        "",
        f"- `revocation.csv`: {len(revoke)} credentials",
        f"- `output_filter.json`: {grams} hashes of {spans} distinct passages, no plain text",
        "- `indicators.stix.json`: STIX 2.1 bundle, TLP:AMBER, no personal data of the people"
        " concerned; addresses and account ids of flagged actors are in it",
        "- `rules.json`: the table above as data",
        "",
        "## Not done here",
        "",
        "- irkit changes no gateway and revokes nothing: the organisation deploys and records it",
        "  (`contain.revoke`, `contain.channels`, `contain.filter` in the playbook).",
        "- No rule is tested against an adapting attacker; verify with `contain.verify`.",
        "- The filter knows only passages that came out; records that have not leaked yet are not",
        "  in it.",
        "",
    ]
    return "\n".join(lines)
