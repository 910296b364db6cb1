"""Compile a format declaration into the one SQL statement that maps a block of records.

Layers, each a common table expression so that every JSON text is parsed a fixed number of times:

1. ``src``   the line, if it is valid JSON; else NULL
2. ``raw``   all declared paths of the line in two extractions (text, JSON)
3. ``env``   the canonical envelope columns (:data:`~irkit.ingest.format.TARGETS`)
4. ``body``  all known paths of the request and response bodies
5. ``list``  messages and choices as lists
6. ``out``   the columns of ``query_record`` plus the lists
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from irkit.ingest.bodies import (
    OTHER_PARAMS,
    REQUEST_JSON,
    REQUEST_TEXT,
    RESPONSE_JSON,
    RESPONSE_TEXT,
)
from irkit.ingest.format import TARGETS, Format, Paths, first_of, literal

#: Columns of query_record that the projection fills, with their types.
RECORD_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("request_id", "provider_response_id", "correlation_id"), "VARCHAR"),
    "trace_id": "VARCHAR",
    **dict.fromkeys(("event_time", "event_time_end"), "TIMESTAMP"),
    **dict.fromkeys(("event_time_kind", "provider", "operation", "endpoint"), "VARCHAR"),
    **dict.fromkeys(("model_requested", "model_served", "model_version"), "VARCHAR"),
    **dict.fromkeys(("system_fingerprint", "credential_id", "credential_kind"), "VARCHAR"),
    **dict.fromkeys(("principal_id", "end_user_id", "tenant_id", "session_id"), "VARCHAR"),
    **dict.fromkeys(("client_ip", "client_ip_kind", "user_agent"), "VARCHAR"),
    **dict.fromkeys(("temperature", "top_p"), "DOUBLE"),
    **dict.fromkeys(("n", "best_of"), "INTEGER"),
    "seed": "BIGINT",
    "max_tokens": "INTEGER",
    "stop": "VARCHAR[]",
    "logprobs_requested": "BOOLEAN",
    "top_logprobs": "INTEGER",
    "echo": "BOOLEAN",
    "logit_bias": "VARCHAR",
    "logit_bias_size": "INTEGER",
    "stream": "BOOLEAN",
    "params_json": "VARCHAR",
    "params_known": "BOOLEAN",
    **dict.fromkeys(("prompt_chars", "response_chars"), "BIGINT"),
    **dict.fromkeys(("turn_count", "choice_count"), "INTEGER"),
    "finish_reason": "VARCHAR",
    "has_logprobs": "BOOLEAN",
    **dict.fromkeys(("mean_logprob", "min_logprob"), "DOUBLE"),
    "token_count_lp": "INTEGER",
    **dict.fromkeys(("scalars_returned", "input_tokens", "output_tokens"), "BIGINT"),
    "status_code": "INTEGER",
    **dict.fromkeys(("outcome", "error_type"), "VARCHAR"),
    "latency_ms": "DOUBLE",
    **dict.fromkeys(("content_state", "record_kind", "tags"), "VARCHAR"),
    "parse_warnings": "VARCHAR[]",
}

#: Lists and positions that the loader turns into side tables and text references.
LIST_COLUMNS = (
    *("roles", "bodies", "system_at", "prompt_at", "choice_no", "choice_body", "choice_finish"),
    *("tokens", "token_logprobs", "tops"),
)

_SIG = "sig_"

#: Longest list of prompts in one call that is split into one record each.
MAX_PARTS = 4096


class Extraction:
    """All paths wanted from one JSON column, taken in one parse per kind."""

    def __init__(self, text: Mapping[str, Paths], json: Mapping[str, Paths]) -> None:
        self._text, self._json = text, json

    def lists(self, column: str, prefix: str) -> list[str]:
        """Return select items that extract all paths as two lists."""
        items = []
        for function, names, kind in (
            ("json_extract_string", self._text, "t"),
            ("json_extract", self._json, "j"),
        ):
            paths = [path for candidates in names.values() for path in first_of(candidates)]
            if paths:
                inside = ", ".join(literal(path) for path in paths)
                items.append(f"{function}({column}, [{inside}])::VARCHAR[] AS {prefix}_{kind}")
        return items

    def names(self, prefix: str) -> dict[str, str]:
        """Return, per declared name, the expression that picks it from the lists."""
        picked: dict[str, str] = {}
        for names, kind in ((self._text, "t"), (self._json, "j")):
            position = 0
            for name, candidates in names.items():
                values = []
                for _ in first_of(candidates):
                    position += 1
                    value = f"{prefix}_{kind}[{position}]"
                    values.append(f"nullif({value}, 'null')" if kind == "j" else value)
                picked[name] = values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"
        return picked


def select(items: Iterable[str], source: str) -> str:
    """Return a SELECT over ``source``, one item a line."""
    return "SELECT " + ",\n  ".join(items) + f"\nFROM {source}"


def _envelope(fmt: Format) -> dict[str, str]:
    """Return the expression of every target for a format (NULL where it has none)."""
    declared = {**fmt.paths, **fmt.json_paths}
    columns: dict[str, str] = {}
    for target, kind in TARGETS.items():
        if target in fmt.columns:
            expression = f"({fmt.columns[target]})"
        elif target in declared:
            expression = f'"{target}"'
        else:
            columns[target] = "NULL" if kind in ("JSON", "VARCHAR") else f"NULL::{kind}"
            columns[target] += "::VARCHAR" if kind in ("JSON", "VARCHAR") else ""
            continue
        if kind == "JSON":
            columns[target] = f"{expression}::VARCHAR"
        elif kind == "VARCHAR":
            columns[target] = f"nullif({expression}::VARCHAR, '')"
        elif kind in ("INTEGER", "BIGINT"):
            # Whole numbers are often logged as 1.0; a plain integer cast would refuse the text.
            columns[target] = (
                f"coalesce(TRY_CAST({expression} AS {kind}),"
                f" TRY_CAST(TRY_CAST({expression} AS DOUBLE) AS {kind}))"
            )
        else:
            columns[target] = f"TRY_CAST({expression} AS {kind})"
    return columns


_WARNINGS: Mapping[str, str] = {
    "bad_timestamp": "event_time IS NOT NULL AND (t_start IS NULL OR event_at IS DISTINCT FROM t_start)",
    "no_timestamp": "event_time IS NULL AND event_at IS NULL",
    "naive_time_assumed_utc": "ik_naive(event_time)",
    "secret_in_log_hashed": "ik_is_secret(credential_id)",
    "token_ids_instead_of_text": (
        "messages IS NULL AND prompt IS NULL AND starts_with(rq_prompt, '[')"
        " AND NOT regexp_matches(rq_prompt, '^\\[\\s*\"')"
    ),
    "unknown_body_shape": (
        "(request IS NOT NULL AND len(msgs) = 0)"
        " OR (response IS NOT NULL AND len(chs) = 0 AND rs_error IS NULL)"
    ),
    "negative_latency": "coalesce(latency_ms, TRY_CAST(rs_latency_ms AS DOUBLE)) < 0",
}

_MSGS = """CASE
    WHEN starts_with(messages, '[') THEN ik_messages(messages)
    WHEN starts_with(messages, '{')
    THEN coalesce(ik_messages(json_extract(messages, '$.messages')::VARCHAR),
      [{'role': 'user', 'body': ik_text(messages)}])
    WHEN messages IS NOT NULL THEN [{'role': 'user', 'body': ik_text(messages)}]
    WHEN starts_with(rq_messages, '[') THEN ik_messages(rq_messages)
    WHEN rq_contents IS NOT NULL AND starts_with(rq_contents, '[') THEN ik_messages(rq_contents)
    WHEN prompt IS NOT NULL THEN [{'role': 'user', 'body': prompt}]
    WHEN rq_prompt IS NOT NULL
    THEN list_transform(ik_prompts(rq_prompt), lambda p: {'role': 'user', 'body': p})
    WHEN rq_input_text IS NOT NULL THEN [{'role': 'user', 'body': rq_input_text}]
    WHEN regexp_matches(rq_input, '^\\[\\s*\\{') THEN ik_messages(rq_input)
    WHEN rq_input IS NOT NULL
    THEN list_transform(ik_prompts(rq_input), lambda p: {'role': 'user', 'body': p})
    WHEN starts_with(rq_inputs, '"') THEN [{'role': 'user', 'body': ik_text(rq_inputs)}]
    WHEN rq_query IS NOT NULL THEN [{'role': 'user', 'body': ik_text(rq_query)}]
    WHEN starts_with(request, '"') THEN [{'role': 'user', 'body': ik_text(request)}]
    WHEN starts_with(request, '[') AND regexp_matches(request, '"role"')
    THEN ik_messages(request)
    ELSE [] END"""

_CHS = """CASE
    WHEN completion IS NOT NULL THEN [ik_choice(0, completion, finish_reason)]
    WHEN starts_with(rs_choices, '[') THEN ik_openai(rs_choices)
    WHEN starts_with(response, '[') THEN CASE
      WHEN regexp_matches(response, '"choices"\\s*:') THEN ik_chunks(response)
      WHEN regexp_matches(response, '"(type|delta|completion|generation|outputText|outputs|'
        || 'contentBlockDelta|candidates)"\\s*:') THEN ik_events(response)
      ELSE ik_plain(response) END
    WHEN rs_content IS NOT NULL THEN [ik_choice(0, ik_text(rs_content), rs_stop_reason)]
    WHEN starts_with(rs_output, '{')
    THEN [ik_choice(0, ik_text(coalesce(json_extract(rs_output, '$.message.content')::VARCHAR,
      rs_output)), rs_stop_reason)]
    WHEN starts_with(rs_output, '[') THEN ik_responses(rs_output, rs_stop_reason)
    WHEN starts_with(rs_results, '[') THEN ik_plain(rs_results)
    WHEN starts_with(rs_outputs, '[') THEN ik_plain(rs_outputs)
    WHEN starts_with(rs_candidates, '[') THEN ik_gemini(rs_candidates)
    WHEN starts_with(rs_message, '{')
    THEN [ik_choice(0, ik_message_text({'content': json_extract(rs_message, '$.content'),
      'refusal': json_extract_string(rs_message, '$.refusal'),
      'reasoning_content': json_extract_string(rs_message, '$.thinking'),
      'tool_calls': json_extract(rs_message, '$.tool_calls'), 'function_call': NULL}),
      rs_stop_reason)]
    WHEN rs_text IS NOT NULL THEN [ik_choice(0, rs_text, rs_stop_reason)]
    WHEN rs_output IS NOT NULL THEN [ik_choice(0, ik_text(rs_output), rs_stop_reason)]
    WHEN starts_with(rs_response, '"') THEN [ik_choice(0, ik_text(rs_response), rs_stop_reason)]
    WHEN starts_with(response, '"') THEN [ik_choice(0, ik_text(response), NULL)]
    ELSE [] END"""

_SYSTEM = """CASE
    WHEN system IS NOT NULL THEN system
    WHEN starts_with(rq_system, '{') AND json_exists(rq_system, '$.parts')
    THEN ik_text(json_extract(rq_system, '$.parts')::VARCHAR)
    ELSE ik_text(rq_system) END"""


def _outcome() -> str:
    return """CASE
      WHEN outcome IS NOT NULL THEN outcome
      WHEN status_code = 429 THEN 'rate_limited'
      WHEN finish = 'content_filter' OR finish = 'guardrail_intervened'
        OR rs_guardrail = 'INTERVENED' OR (usage).blocked
        OR lower(rs_error_filter) IN ('content_filter', 'responsibleaipolicyviolation')
      THEN 'blocked'
      WHEN status_code >= 400 OR error_type IS NOT NULL OR rs_error IS NOT NULL THEN 'error'
      WHEN status_code BETWEEN 200 AND 299 OR len(chs) > 0 THEN 'ok'
      ELSE 'unknown' END"""


def _plausible(name: str) -> str:
    return f"CASE WHEN {name} BETWEEN '1990-01-01' AND '2200-01-01' THEN {name} END"


def _signature(fmt: Format) -> dict[str, Paths]:
    return {_SIG + name: paths for name, paths in fmt.signature_paths.items()}


def _number(name: str, kind: str) -> str:
    expression = f"rq_{name}"
    if kind == "DOUBLE":
        return f"coalesce({name}, TRY_CAST({expression} AS DOUBLE))"
    return (
        f"coalesce({name}, TRY_CAST({expression} AS {kind}),"
        f" TRY_CAST(TRY_CAST({expression} AS DOUBLE) AS {kind}))"
    )


def _record_columns() -> dict[str, str]:
    """Return the expression of every column of :data:`RECORD_COLUMNS`."""
    asked = "lower(coalesce(logprobs, rq_logprobs))"
    params = ", ".join(f"'{name}', rq_{name}::JSON" for name in OTHER_PARAMS)
    warnings = ", ".join(f"CASE WHEN {test} THEN '{name}' END" for name, test in _WARNINGS.items())
    columns = {
        name: name
        for name in ("correlation_id", "trace_id", "operation", "endpoint", "model_version")
    }
    columns |= {name: name for name in ("principal_id", "tenant_id", "session_id", "user_agent")}
    columns |= {
        "provider": "provider",
        "request_id": "coalesce(request_id, rs_id)",
        "provider_response_id": "coalesce(provider_response_id, rs_id)",
        "event_time": "event_at",
        "event_time_end": "t_end",
        "event_time_kind": (
            "CASE WHEN event_at IS NULL THEN 'missing' WHEN event_at = t_start THEN 'logged'"
            " WHEN event_at = t_end THEN 'logged_end' ELSE 'response_created' END"
        ),
        "model_requested": "coalesce(model_requested, rq_model)",
        "model_served": "coalesce(model_served, rs_model)",
        "system_fingerprint": "coalesce(system_fingerprint, rs_fingerprint)",
        "credential_id": (
            "CASE WHEN ik_is_secret(credential_id) THEN sha256(ik_bare_secret(credential_id))"
            " ELSE credential_id END"
        ),
        "credential_kind": (
            "CASE WHEN credential_id IS NULL THEN 'none'"
            " WHEN ik_is_secret(credential_id) THEN 'secret_sha256'"
            " ELSE coalesce(credential_kind, 'as_logged') END"
        ),
        "end_user_id": "coalesce(end_user_id, rq_user)",
        "client_ip": "ip",
        "client_ip_kind": (
            "CASE WHEN ik_ip(client_ip) IS NULL AND ip IS NOT NULL THEN 'xff'"
            " ELSE ik_ip_kind(ip) END"
        ),
        "temperature": f"ik_finite({_number('temperature', 'DOUBLE')})",
        "top_p": f"ik_finite({_number('top_p', 'DOUBLE')})",
        "n": _number("n", "INTEGER"),
        "best_of": _number("best_of", "INTEGER"),
        "seed": _number("seed", "BIGINT"),
        "max_tokens": _number("max_tokens", "INTEGER"),
        "stop": (
            "CASE WHEN starts_with(coalesce(stop, rq_stop), '[')"
            " THEN json_extract_string(coalesce(stop, rq_stop), '$[*]')"
            " WHEN coalesce(stop, rq_stop) IS NOT NULL"
            " THEN [json_extract_string(coalesce(stop, rq_stop), '$')] END"
        ),
        # Chat says true/false; completions give the number of alternatives, 0 included.
        "logprobs_requested": (
            f"CASE WHEN {asked} = 'true' OR contains(rq_include, 'logprobs') THEN true"
            f" WHEN {asked} = 'false' THEN false"
            f" WHEN TRY_CAST({asked} AS INTEGER) IS NOT NULL THEN true"
            " WHEN known THEN false END"
        ),
        "top_logprobs": (
            "coalesce(top_logprobs, TRY_CAST(rq_top_logprobs AS INTEGER),"
            f" TRY_CAST({asked} AS INTEGER))"
        ),
        "echo": "coalesce(echo, TRY_CAST(rq_echo AS BOOLEAN))",
        "logit_bias": "bias",
        "logit_bias_size": "CASE WHEN starts_with(bias, '{') THEN len(json_keys(bias)) END",
        "stream": "coalesce(stream, TRY_CAST(rq_stream AS BOOLEAN))",
        "params_json": f"nullif(json_merge_patch('{{}}', json_object({params}))::VARCHAR, '{{}}')",
        "params_known": "known",
        "prompt_chars": "length(msgs[prompt_at].body)",
        "response_chars": "length(chs[1].body)",
        "turn_count": "len(list_filter(msgs, lambda m: m.role = 'user'))",
        "choice_count": "len(chs)",
        "finish_reason": "finish",
        "has_logprobs": "coalesce(len(chs[1].lps) > 0, false)",
        "mean_logprob": "list_avg(lps)",
        "min_logprob": "list_min(lps)",
        "token_count_lp": "len(lps)",
        "scalars_returned": "coalesce(list_sum(list_transform(chs, lambda c: c.scalars)), 0)",
        "input_tokens": "coalesce(input_tokens, TRY_CAST(rs_input_tokens AS BIGINT), usage.input)",
        "output_tokens": (
            "coalesce(output_tokens, TRY_CAST(rs_output_tokens AS BIGINT), usage.output)"
        ),
        "status_code": "status_code",
        "outcome": _outcome(),
        "error_type": "coalesce(error_type, CASE WHEN length(rs_error) <= 120 THEN rs_error END)",
        "latency_ms": (
            "coalesce(latency_ms, TRY_CAST(rs_latency_ms AS DOUBLE), usage.latency,"
            " CASE WHEN t_end >= t_start THEN date_diff('microsecond', t_start, t_end) / 1000 END)"
        ),
        "content_state": (
            "CASE WHEN content_state IS NOT NULL THEN content_state"
            " WHEN len(msgs) > 0 AND (len(chs) > 0 OR status_code >= 400 OR error_type IS NOT NULL"
            " OR rs_error IS NOT NULL) THEN 'full'"
            " WHEN len(msgs) > 0 THEN 'prompt_only' WHEN len(chs) > 0 THEN 'response_only'"
            " ELSE 'absent' END"
        ),
        "record_kind": "coalesce(record_kind, 'call')",
        "tags": "tags",
        "parse_warnings": f"list_filter([warning, {warnings}], lambda w: w IS NOT NULL)",
    }
    return columns


def compile_format(fmt: Format, *, forced: bool = False, split: bool = False) -> str:
    """Return the statement that maps relation ``block(row_no, line)`` to canonical columns.

    Args:
        fmt: the format.
        forced: take every valid object as this format, whatever its signature says.
        split: return one row per prompt for calls that carried a list of prompts (completions):
            each prompt is a question of its own, with its share of the choices.

    Returns:
        SQL whose rows have ``row_no``, ``matched``, ``parts`` (prompts in the call), then
        :data:`RECORD_COLUMNS` and :data:`LIST_COLUMNS`; rows not matched carry no meaning else.
    """
    line = Extraction({**_signature(fmt), **fmt.paths}, fmt.json_paths)
    request = Extraction(REQUEST_TEXT, REQUEST_JSON)
    response = Extraction(RESPONSE_TEXT, RESPONSE_JSON)
    names = line.names("l")
    lists = [item.split(" AS ")[-1] for item in line.lists("line", "l")]
    # The signature's names and the record's names live in two layers, so they may coincide.
    tested = [f'{names[key]} AS "{key.removeprefix(_SIG)}"' for key in _signature(fmt)]
    named = [f'{expr} AS "{key}"' for key, expr in names.items() if not key.startswith(_SIG)]
    test = "line IS NOT NULL" if forced else f"line IS NOT NULL AND ({fmt.signature})"
    ctes = {
        "src": "SELECT row_no, CASE WHEN json_valid(line) AND starts_with(ltrim(line), '{')"
        " THEN line END AS line FROM block",
        "raw": select(["row_no", "line", *line.lists("line", "l")], "src"),
        "sig": select(["row_no", "line", *lists, *tested], "raw"),
        "seen": select(
            ["row_no", "line", *lists, f"coalesce({test}, false) AS matched"], "sig"
        ),
        "named": select(["row_no", "matched", "line", *named], "seen"),
    }
    envelope = _envelope(fmt)
    ctes["env"] = select(
        ["row_no", "matched", *(f'{expr} AS "{key}"' for key, expr in envelope.items())], "named"
    )
    bodies = ("request", "response", "messages", "stop", "logit_bias", "tags")
    ctes["whole"] = (
        "SELECT * REPLACE ("
        + ", ".join(f"CASE WHEN matched THEN ik_unwrap({name}) END AS {name}" for name in bodies)
        + ") FROM env"
    )
    ctes["sse"] = (
        "SELECT * REPLACE (CASE WHEN starts_with(response, '\"data:')"
        " OR starts_with(response, '\"event:')"
        " THEN ik_sse(json_extract_string(response, '$')) ELSE response END AS response)"
        " FROM whole"
    )
    ctes["body"] = select(
        ["*", *request.lists("request", "q"), *response.lists("response", "s")], "sse"
    )
    inner = {**request.names("q"), **response.names("s")}
    ctes["parts_of"] = select(
        ["* EXCLUDE (q_t, q_j, s_t, s_j)", *(f"{expr} AS {key}" for key, expr in inner.items())],
        "body",
    )
    ctes["lists"] = select(
        [
            "*",
            f"{_SYSTEM} AS system_text",
            f"{_MSGS} AS msgs0",
            f"{_CHS} AS chs0",
            "CASE WHEN starts_with(response, '[') AND rs_choices IS NULL"
            " THEN ik_event_usage(response) END AS usage",
            "ik_time(event_time) AS t_start",
            "ik_time(event_time_end) AS t_end",
            "ik_time(rs_created) AS t_created",
            "coalesce(ik_ip(client_ip), ik_ip(split_part(forwarded_for, ',', 1))) AS ip",
            "coalesce(logit_bias, rq_logit_bias) AS bias",
            "coalesce(starts_with(request, '{'), false) OR temperature IS NOT NULL"
            " OR max_tokens IS NOT NULL OR logprobs IS NOT NULL AS known",
            "CASE WHEN rq_prompt IS NOT NULL AND messages IS NULL AND rq_messages IS NULL"
            " AND prompt IS NULL AND regexp_matches(rq_prompt, '^\\[\\s*[\"\\[]')"
            " THEN json_array_length(rq_prompt)::INTEGER ELSE 1 END AS parts",
        ],
        "parts_of",
    )
    share = "greatest(1, len(chs0) // parts)"
    if split:
        ctes["split"] = (
            f"SELECT *, unnest(range(least(parts, {MAX_PARTS}))) AS part FROM lists WHERE matched"
        )
        msgs = "list_slice(msgs0, part + 1, part + 1)"
        chs = (
            f"list_transform(list_slice(list_sort(chs0), part * {share} + 1,"
            f" (part + 1) * {share}), lambda c, i: struct_pack(choice := (i - 1)::INTEGER,"
            " body := c.body, finish := c.finish, tokens := c.tokens, lps := c.lps,"
            " tops := c.tops, scalars := c.scalars))"
        )
    else:
        msgs, chs = "msgs0", "chs0"
    prefix = "CASE WHEN system_text IS NOT NULL THEN [{'role': 'system', 'body': system_text}]"
    ctes["final"] = select(
        [
            "*",
            f"list_concat({prefix} ELSE [] END, {msgs}) AS msgs",
            f"coalesce({chs}, []) AS chs",
            f"coalesce({_plausible('t_start')}, {_plausible('t_end')}, {_plausible('t_created')})"
            " AS event_at",
        ],
        "split" if split else "lists",
    )
    ctes["where_"] = select(
        [
            "*",
            "list_transform(msgs, lambda m: m.role) AS roles",
            "list_transform(msgs, lambda m: coalesce(m.body, '')) AS bodies",
            "coalesce(chs[1].finish, finish_reason, rs_stop_reason) AS finish",
            "list_filter(chs[1].lps, lambda x: x IS NOT NULL AND isfinite(x)) AS lps",
        ],
        "final",
    )
    ctes["placed"] = select(
        [
            "*",
            "nullif(list_position(roles, 'system'), 0) AS system_at",
            "CASE WHEN list_contains(roles, 'user')"
            " THEN len(roles) + 1 - list_position(list_reverse(roles), 'user')"
            " WHEN len(roles) > 0 THEN len(roles) END AS prompt_at",
        ],
        "where_",
    )
    columns = _record_columns()
    items = ["row_no", "matched", "coalesce(parts, 1)::INTEGER AS parts"]
    items += [f"CAST({columns[name]} AS {kind}) AS {name}" for name, kind in RECORD_COLUMNS.items()]
    items += [
        *("roles", "bodies", "system_at", "prompt_at"),
        "list_transform(chs, lambda c: c.choice) AS choice_no",
        "list_transform(chs, lambda c: c.body) AS choice_body",
        "list_transform(chs, lambda c: c.finish) AS choice_finish",
        "CASE WHEN len(chs[1].tokens) > 0 THEN chs[1].tokens END AS tokens",
        "CASE WHEN len(chs[1].tokens) > 0 THEN chs[1].lps END AS token_logprobs",
        "CASE WHEN len(chs[1].tokens) > 0 THEN to_json(chs[1].tops)::VARCHAR END AS tops",
    ]
    with_ = ",\n".join(f"{name} AS ({body})" for name, body in ctes.items())
    return f"WITH {with_}\n{select(items, 'placed')}"
