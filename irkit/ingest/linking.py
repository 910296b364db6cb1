"""Tie together what several systems logged about the same call.

A model server logs texts, a gateway in front of it logs who called from where; neither is enough
alone.  Entries of different logs are tied by an id that both carry, else by time and token counts
(:mod:`irkit.ingest.timelinks`).  One entry stands for the call (the one with the most content); it
gets what only the others tell (address, credential, status), the others point to it
(``duplicate_of``), and ``record_link`` says for each tie how it was made, how sure it is, and which
columns it filled.  Nothing is guessed: where several entries could be meant, none is tied.

Ties are made anew from all evidence whenever more is preserved, so the order of preserving does
not matter.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from irkit.case import Case
from irkit.case.views.linking import COUNTS, Linkage, linkage
from irkit.ingest import timelinks, traces
from irkit.ingest.duplicates import mark_duplicates
from irkit.ingest.externals import bring_in
from irkit.ingest.halves import join_halves, part_halves
from irkit.ingest.registry import Registry
from irkit.ingest.reread import LINK_STATE
from irkit.ingest.retries import mark_retries
from irkit.ingest.splits import put_together, tie_parts

#: Raise it when the same evidence would be tied differently.
_VERSION = "4"
#: Begins the parse warning of a record that was filled from another log.
MARK = "filled_by_"

#: What one log can lend another: column, and the column that describes it with its empty value.
LENT: dict[str, tuple[str, str] | None] = {
    "client_ip": ("client_ip_kind", "'none'"),
    "credential_id": ("credential_kind", "'none'"),
    "event_time": ("event_time_kind", "'missing'"),
    "status_code": None,
    "user_agent": None,
    "principal_id": None,
    "end_user_id": None,
    "tenant_id": None,
    "session_id": None,
    "endpoint": None,
    "latency_ms": None,
    "input_tokens": None,
    "output_tokens": None,
    # Telemetry may hold the messages apart from the span that names model and parameters.
    "model_requested": None,
    "model_served": None,
    "temperature": ("params_known", "false"),
    "top_p": None,
    "n": None,
    "seed": None,
    "max_tokens": None,
}

#: Ids that name a call, best first, and how sure a tie by them is.
_IDS = ("request_id", "provider_response_id", "correlation_id", "trace_id")
#: An id this long is no counter that starts anew with every log.
_LONG_ID = 16
#: Shorter ids tie only entries that lie this close in time, seconds.
_SHORT_ID_SECONDS = 600

_CONTENT = "(prompt_text_id IS NOT NULL OR response_text_id IS NOT NULL)"

#: Tells the calls of one entry apart: an audit file or an export request wraps many calls, while
#: the prompts of one call share its id.
_CALL = "coalesce(request_id, provider_response_id, correlation_id, sub_no::VARCHAR)"


def facts(where: str) -> str:
    """Return the SELECT of one row per call with what linking looks at and what it can lend.

    Args:
        where: SQL condition over ``query_record`` columns.
    """
    lent = ", ".join(
        f"arg_min({name}, sub_no) AS {name}" + (f", arg_min({kind[0]}, sub_no) AS {kind[0]}"
                                                if kind else "")
        for name, kind in LENT.items()
    )  # fmt: skip
    return f"""
SELECT source_id, entry_no, {_CALL} AS call_id, any_value(source_format) AS source_format,
  arg_min(record_id, sub_no) AS head, bool_or({_CONTENT}) AS content,
  arg_min(prompt_text_id, sub_no) AS prompt, arg_min(response_text_id, sub_no) AS answer,
  bool_or(content_state IN ('truncated', 'redacted')) AS partial,
  min(event_time) AS began, max(coalesce(event_time_end,
    event_time + to_microseconds((latency_ms * 1000)::BIGINT))) AS ended,
  arg_min(lower(coalesce(model_requested, model_served)), sub_no) AS model,
  arg_min(outcome, sub_no) AS outcome, {lent}
FROM query_record WHERE {where} GROUP BY source_id, entry_no, call_id"""


def link(case: Case, registry: Registry) -> Linkage:
    """Tie all entries of the case that belong to one call; safe to repeat.

    Args:
        case: case open for writing, with all sources read.
        registry: known formats.
    """
    known = registry.formats
    if case.meta(LINK_STATE) == _state(case):
        return linkage(case.con)
    with case.transaction():
        part_halves(case)
        _undo(case)
    put_together(case, registry)
    bodies = bring_in(case, registry)
    mark_duplicates(case, [fmt.id for fmt in known if fmt.revised])
    joined = join_halves(case, known)
    with case.transaction():
        tie_parts(case)
        traces.set_aside(case, known)
        ambiguous = _by_id(case, [fmt.id for fmt in known if fmt.answers_of])
        traces.tie(case)
        ambiguous += timelinks.tie(case, facts)
        _fill(case)
        mark_retries(case)
        told = {"ambiguous": ambiguous, "joined": joined, "bodies": asdict(bodies)}
        case.set_meta(COUNTS, json.dumps(told))
        case.set_meta(LINK_STATE, _state(case))
    return linkage(case.con)


def _state(case: Case) -> str:
    """Name the evidence as it is read now: what ties were made on."""
    digest = hashlib.sha256(_VERSION.encode())
    for row in case.rows(
        "SELECT item, inputs_hash, coalesce(detail::VARCHAR, '') FROM stage_progress"
        " WHERE stage = 'ingest' ORDER BY item"
    ):
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()


def _undo(case: Case) -> None:
    """Take back what earlier ties filled in."""
    if not case.rows("SELECT 1 FROM record_link LIMIT 1"):
        return
    cleared = []
    for name, kind in LENT.items():
        test = f"list_contains(u.filled, '{name}')"
        cleared.append(f"{name} = CASE WHEN {test} THEN NULL ELSE r.{name} END")
        if kind:
            cleared.append(f"{kind[0]} = CASE WHEN {test} THEN {kind[1]} ELSE r.{kind[0]} END")
    case.con.execute(
        f"CREATE OR REPLACE TEMP TABLE undo AS SELECT r.source_id, r.entry_no, {_CALL} AS call_id,"
        " list_distinct(flatten(list(l.filled))) AS filled FROM record_link l"
        " JOIN query_record r USING (record_id) WHERE len(l.filled) > 0 GROUP BY ALL"
    )
    case.con.execute(
        f"UPDATE query_record AS r SET {', '.join(cleared)},"
        " outcome = CASE WHEN list_contains(u.filled, 'outcome') THEN 'unknown'"
        " ELSE r.outcome END,"
        f" parse_warnings = list_filter(r.parse_warnings, lambda w: NOT starts_with(w, '{MARK}'))"
        " FROM undo u WHERE r.source_id = u.source_id AND r.entry_no = u.entry_no"
        f" AND u.call_id = {_CALL}"
    )
    case.con.execute("DROP TABLE undo")
    case.clear("record_link")


# -- by id ----------------------------------------------------------------------------------------

_SIDE = f"source_format || CASE WHEN {_CONTENT} THEN '' ELSE '#' END"

_PAIRS = """
CREATE OR REPLACE TEMP TABLE tie AS
WITH alone AS (
  SELECT id, side, min(source_id) AS source_id, min(entry_no) AS entry_no,
    min(call_id) AS call_id, min(rank) AS rank
  FROM named GROUP BY id, side HAVING count(*) = 1),
entry AS MATERIALIZED ({facts}),
seen AS (
  SELECT a.id, a.rank, e.*,
    row_number() OVER (PARTITION BY a.id ORDER BY e.content DESC,
      (e.answer IS NOT NULL)::INT + (e.prompt IS NOT NULL)::INT DESC, e.partial,
      (e.credential_id IS NOT NULL)::INT + (e.client_ip IS NOT NULL)::INT DESC,
      e.began NULLS LAST, e.head) AS place
  FROM alone a JOIN entry e USING (source_id, entry_no, call_id)),
pair AS (
  SELECT k.head AS keep, o.head AS other, greatest(k.rank, o.rank) AS rank, o.content,
    epoch_ms(o.began) - epoch_ms(k.began) AS offset_ms
  FROM seen k JOIN seen o ON o.id = k.id AND k.place = 1 AND o.place > 1
  WHERE (length(k.id) >= {long_id} OR k.began IS NULL OR o.began IS NULL
      OR abs(epoch(o.began) - epoch(k.began)) <= {seconds})
    AND k.content
    AND (k.answer = o.answer OR k.answer IS NULL OR o.answer IS NULL OR k.partial OR o.partial)
    AND (k.prompt = o.prompt OR k.prompt IS NULL OR o.prompt IS NULL OR k.partial OR o.partial
      OR (greatest(k.rank, o.rank) = 1 AND length(k.id) >= {long_id})))
SELECT keep, other, CASE WHEN content THEN 'same_call' ELSE 'access' END AS kind,
  ['request_id', 'provider_response_id', 'correlation_id', 'trace_id'][rank + 1] AS method,
  'high' AS confidence, offset_ms, rank AS ord
FROM pair QUALIFY row_number() OVER (PARTITION BY other ORDER BY rank, keep) = 1
"""


def _by_id(case: Case, paired: list[str]) -> int:
    """Fill the temporary table ``tie`` with ties by id; return how many ids name several calls."""
    case.con.execute(
        "CREATE OR REPLACE TEMP TABLE tie (keep VARCHAR, other VARCHAR, kind VARCHAR,"
        " method VARCHAR, confidence VARCHAR, offset_ms DOUBLE, ord INTEGER)"
    )
    sides = case.rows(
        f"SELECT count(DISTINCT {_SIDE}) FROM query_record WHERE duplicate_of IS NULL"
    )
    if int(sides[0][0]) < 2:
        return 0
    parts = " UNION ALL ".join(
        f"SELECT {name} AS id, {rank} AS rank, source_id, entry_no, {_CALL} AS call_id,"
        f" {_SIDE} AS side"
        f" FROM query_record WHERE {name} IS NOT NULL AND duplicate_of IS NULL"
        # The ids of halves are the client's own, and are used up by joining the halves.
        + (" AND NOT list_contains($paired, source_format)" if name == "correlation_id" else "")
        for rank, name in enumerate(_IDS)
    )
    case.con.execute(
        "CREATE OR REPLACE TEMP TABLE named AS WITH every AS (SELECT id, side, source_id,"
        f" entry_no, call_id, min(rank) AS rank FROM ({parts}) GROUP BY ALL)"
        " SELECT * FROM every WHERE id IN"
        " (SELECT id FROM every GROUP BY id HAVING count(DISTINCT side) > 1)",
        {"paired": paired},
    )
    where = (
        f"duplicate_of IS NULL AND (source_id, entry_no, {_CALL}) IN"
        " (SELECT (source_id, entry_no, call_id) FROM named)"
    )
    sql = _PAIRS.format(facts=facts(where), long_id=_LONG_ID, seconds=_SHORT_ID_SECONDS)
    case.con.execute(sql)
    # A call seen by three systems: whoever is kept must not itself point elsewhere.
    for _ in range(2):
        case.con.execute(
            "UPDATE tie SET keep = up.keep FROM tie up WHERE up.other = tie.keep"
            " AND up.keep <> tie.other"
        )
    case.con.execute("DELETE FROM tie WHERE keep IN (SELECT other FROM tie)")
    found = case.rows(
        "SELECT count(DISTINCT id) FROM (SELECT id FROM named GROUP BY id, side"
        " HAVING count(*) > 1)"
    )
    case.con.execute("DROP TABLE named")
    return int(found[0][0])


# -- filling --------------------------------------------------------------------------------------


def _fill(case: Case) -> None:
    """Write ``tie`` to the case: links, borrowed columns, and who is kept."""
    if not case.rows("SELECT 1 FROM tie LIMIT 1"):
        case.con.execute("DROP TABLE tie")
        return
    for name in ("keep", "other"):
        unit = f"(source_id, entry_no, {_CALL})"
        own = f"SELECT {unit} FROM query_record WHERE record_id IN (SELECT {name}"
        whole = facts(f"{unit} IN ({own} FROM tie))")
        case.con.execute(f"CREATE OR REPLACE TEMP TABLE tied_{name} AS {whole}")
    first = ", ".join(
        f"k.{name} IS NULL AND o.{name} IS NOT NULL AND t.ord2 = min(CASE WHEN o.{name} IS NOT"
        f" NULL THEN t.ord2 END) OVER (PARTITION BY t.keep) AS gives_{name}"
        for name in LENT
    )
    given = ", ".join(f"CASE WHEN gives_{name} THEN '{name}' END" for name in LENT)
    lent = ", ".join(
        f"o.{name}" + (f", o.{kind[0]}" if kind else "") for name, kind in LENT.items()
    )
    case.con.execute(f"""
CREATE OR REPLACE TEMP TABLE filling AS
WITH numbered AS (
  SELECT *, row_number() OVER (PARTITION BY keep ORDER BY ord, other) AS ord2 FROM tie),
chosen AS (
  SELECT t.*, k.source_id, k.entry_no, k.call_id, o.outcome, o.head IS NOT NULL AND
    coalesce(k.outcome, 'unknown') = 'unknown' AND coalesce(o.outcome, 'unknown') <> 'unknown'
    AND t.ord2 = 1 AS gives_outcome, {lent}, {first}
  FROM numbered t JOIN tied_keep k ON k.head = t.keep JOIN tied_other o ON o.head = t.other)
SELECT *, list_filter([{given}, CASE WHEN gives_outcome THEN 'outcome' END],
  lambda x: x IS NOT NULL) AS filled FROM chosen""")
    case.con.execute(
        "INSERT INTO record_link SELECT keep, source_id, other, kind, method, confidence,"
        " offset_ms, filled FROM filling ORDER BY keep, ord2"
    )
    taken = ", ".join(
        f"any_value({name}) FILTER (gives_{name}) AS {name}"
        + (f", any_value({kind[0]}) FILTER (gives_{name}) AS {kind[0]}" if kind else "")
        for name, kind in (*LENT.items(), ("outcome", None))
    )
    case.con.execute(
        f"CREATE OR REPLACE TEMP TABLE given AS SELECT source_id, entry_no, call_id, {taken},"
        f" list_sort(list_distinct(list('{MARK}' || method))) AS marks FROM filling"
        " WHERE len(filled) > 0 GROUP BY source_id, entry_no, call_id"
    )
    sets = []
    for name, kind in LENT.items():
        if kind:
            sets.append(
                f"{kind[0]} = CASE WHEN r.{name} IS NULL AND g.{name} IS NOT NULL"
                f" THEN g.{kind[0]} ELSE r.{kind[0]} END"
            )
        sets.append(f"{name} = coalesce(r.{name}, g.{name})")
    case.con.execute(
        f"UPDATE query_record AS r SET {', '.join(sets)}, outcome = coalesce(g.outcome, r.outcome),"
        " parse_warnings = list_concat(coalesce(r.parse_warnings, []), g.marks) FROM given g"
        f" WHERE r.source_id = g.source_id AND r.entry_no = g.entry_no AND g.call_id = {_CALL}"
    )
    case.con.execute(
        "UPDATE query_record AS r SET duplicate_of = t.keep FROM tied_other o"
        " JOIN (SELECT other, min(keep) AS keep FROM tie GROUP BY other) t"
        " ON t.other = o.head WHERE r.source_id = o.source_id AND r.entry_no = o.entry_no"
        f" AND o.call_id = {_CALL}"
    )
    for name in ("tie", "tied_keep", "tied_other", "filling", "given"):
        case.con.execute(f"DROP TABLE {name}")
