"""SQL of every canonical column, over the envelope columns and the bodies' names."""

from __future__ import annotations

from collections.abc import Mapping

from irkit.ingest.bodies import OTHER_PARAMS
from irkit.ingest.format import Format, literal

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

_CUT = '^"\\s*[\\[{]'

_WARNINGS: Mapping[str, str] = {
    "bad_timestamp": (
        "event_time IS NOT NULL AND (t_start IS NULL OR event_at IS DISTINCT FROM t_start)"
    ),
    "no_timestamp": "event_time IS NULL AND event_at IS NULL",
    "naive_time_assumed_utc": "ik_naive(event_time)",
    "secret_in_log_hashed": "is_secret",
    "token_ids_instead_of_text": (
        "messages IS NULL AND prompt IS NULL AND starts_with(rq_prompt, '[')"
        " AND NOT regexp_matches(rq_prompt, '^\\[\\s*\"')"
    ),
    "unknown_body_shape": (
        "coalesce(op, '') <> 'embeddings' AND ((request IS NOT NULL AND len(bodies) = 0)"
        " OR (length(response) > 2 AND len(choice_body) = 0 AND rs_error IS NULL"
        " AND error_type IS NULL AND coalesce(status_code, 200) < 400))"
    ),
    "negative_latency": "coalesce(latency_ms, TRY_CAST(rs_latency_ms AS DOUBLE)) < 0",
}

SYSTEM_TEXT = """CASE
    WHEN system IS NOT NULL THEN system
    WHEN starts_with(rq_system, '{') AND json_exists(rq_system, '$.parts')
    THEN ik_text(json_extract(rq_system, '$.parts')::VARCHAR)
    ELSE ik_text(rq_system) END"""


#: What kind of call this was, where the format does not say.
OPERATION = """CASE
    WHEN operation IS NOT NULL THEN operation
    WHEN rs_object IN ('chat.completion', 'chat.completion.chunk') THEN 'chat'
    WHEN rs_object = 'text_completion' THEN 'text_completion'
    WHEN rs_object = 'response' THEN 'responses'
    WHEN rs_embedding IS NOT NULL THEN 'embeddings'
    WHEN rq_messages IS NULL AND rq_prompt IS NULL
      AND (rq_vectors IS NOT NULL OR rs_predictions IS NOT NULL) THEN 'predict'
    WHEN messages IS NOT NULL OR rq_messages IS NOT NULL OR rq_contents IS NOT NULL THEN 'chat'
    WHEN prompt IS NOT NULL OR rq_prompt IS NOT NULL OR rq_input_text IS NOT NULL
    THEN 'text_completion' END"""


def _outcome() -> str:
    return """CASE
      WHEN outcome IS NOT NULL THEN outcome
      WHEN status_code = 429 THEN 'rate_limited'
      WHEN finish = 'content_filter' OR finish = 'guardrail_intervened'
        OR rs_guardrail = 'INTERVENED' OR (usage).blocked
        OR lower(rs_error_filter) IN ('content_filter', 'responsibleaipolicyviolation')
      THEN 'blocked'
      WHEN status_code >= 400 OR error_type IS NOT NULL OR rs_error IS NOT NULL THEN 'error'
      WHEN status_code BETWEEN 200 AND 299 OR len(choice_body) > 0 OR rs_embedding IS NOT NULL
      THEN 'ok'
      ELSE 'unknown' END"""


def plausible(name: str) -> str:
    """Return a time, or NULL where it cannot be the time of a call to a model."""
    return f"CASE WHEN {name} BETWEEN '1990-01-01' AND '2200-01-01' THEN {name} END"


def _number(name: str, kind: str) -> str:
    expression = f"rq_{name}"
    if kind == "DOUBLE":
        return f"coalesce({name}, TRY_CAST({expression} AS DOUBLE))"
    return (
        f"coalesce({name}, TRY_CAST({expression} AS {kind}),"
        f" TRY_CAST(TRY_CAST({expression} AS DOUBLE) AS {kind}))"
    )


def _marked(fmt: Format) -> str:
    """Return CASE branches for the marks that a producer leaves in texts."""
    branches = ""
    if fmt.redacted_as:
        marks = ", ".join(literal(mark) for mark in fmt.redacted_as)
        branches += f" WHEN bodies[prompt_at] IN ({marks}) OR choice_body[1] IN ({marks})"
        branches += " THEN 'redacted'"
    for mark in fmt.truncated_by:
        found = f"len(list_filter({{}}, lambda b: contains(b, {literal(mark)}))) > 0"
        branches += f" WHEN {found.format('bodies')}"
        branches += f" OR contains(choice_body[1], {literal(mark)}) THEN 'truncated'"
    return branches


def record_columns(fmt: Format) -> dict[str, str]:
    """Return the expression of every column of :data:`RECORD_COLUMNS`."""
    asked = "lower(coalesce(logprobs, rq_logprobs))"
    params = ", ".join(f"'{name}', rq_{name}::JSON" for name in OTHER_PARAMS)
    present = ", ".join(f"rq_{name}" for name in OTHER_PARAMS)
    warnings = ", ".join(f"CASE WHEN {test} THEN '{name}' END" for name, test in _WARNINGS.items())
    columns = {name: name for name in ("correlation_id", "trace_id", "endpoint", "model_version")}
    columns |= {name: name for name in ("principal_id", "tenant_id", "session_id", "user_agent")}
    columns |= {
        "provider": "provider",
        "operation": "op",
        "request_id": "coalesce(request_id, nullif(rs_id, ''))",
        "provider_response_id": "coalesce(provider_response_id, nullif(rs_id, ''))",
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
            "CASE WHEN is_secret THEN sha256(ik_bare_secret(credential_id)) ELSE credential_id END"
        ),
        "credential_kind": (
            "CASE WHEN credential_id IS NULL THEN 'none'"
            " WHEN is_secret THEN 'secret_sha256'"
            " ELSE coalesce(credential_kind, 'as_logged') END"
        ),
        "end_user_id": "coalesce(end_user_id, rq_user)",
        "client_ip": "ip",
        "client_ip_kind": (
            "CASE WHEN ip_direct IS NULL AND ip IS NOT NULL THEN 'xff' ELSE ik_ip_kind(ip) END"
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
            " WHEN starts_with(request, '{') THEN false END"
        ),
        "top_logprobs": (
            "coalesce(top_logprobs, TRY_CAST(rq_top_logprobs AS INTEGER),"
            f" TRY_CAST({asked} AS INTEGER))"
        ),
        "echo": "coalesce(echo, TRY_CAST(rq_echo AS BOOLEAN))",
        "logit_bias": "bias",
        "logit_bias_size": "CASE WHEN starts_with(bias, '{') THEN len(json_keys(bias)) END",
        "stream": "coalesce(stream, TRY_CAST(rq_stream AS BOOLEAN))",
        "params_json": (
            f"CASE WHEN coalesce({present}) IS NOT NULL THEN"
            f" nullif(json_merge_patch('{{}}', json_object({params}))::VARCHAR, '{{}}') END"
        ),
        "params_known": "known",
        "prompt_chars": "length(bodies[prompt_at])",
        "response_chars": "length(choice_body[1])",
        "turn_count": "len(list_filter(roles, lambda r: r = 'user'))",
        "choice_count": "len(choice_body)",
        "finish_reason": "finish",
        "has_logprobs": "coalesce(len(lps0) > 0, false)",
        "mean_logprob": "list_avg(lps)",
        "min_logprob": "list_min(lps)",
        "token_count_lp": "nullif(len(lps), 0)",
        "scalars_returned": "coalesce(scalars, counted, 0)",
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
            f"CASE WHEN content_state IS NOT NULL THEN content_state{_marked(fmt)}"
            # A body that begins like JSON but is none was cut by whoever logged it.
            f" WHEN regexp_matches(request, '{_CUT}') OR regexp_matches(response, '{_CUT}')"
            " THEN 'truncated'"
            " WHEN len(bodies) > 0 AND (len(choice_body) > 0 OR status_code >= 400"
            " OR error_type IS NOT NULL OR rs_error IS NOT NULL) THEN 'full'"
            " WHEN len(bodies) > 0 AND rs_embedding IS NOT NULL THEN 'full'"
            " WHEN len(bodies) > 0 THEN 'prompt_only'"
            " WHEN len(choice_body) > 0 THEN 'response_only' ELSE 'absent' END"
        ),
        "record_kind": "coalesce(record_kind, 'call')",
        "tags": "tags",
        "parse_warnings": (
            # Most records have none, and a list costs more than all its tests.
            f"CASE WHEN coalesce(warning, {warnings}) IS NULL THEN []::VARCHAR[]"
            f" ELSE list_filter([warning, {warnings}], lambda w: w IS NOT NULL) END"
        ),
    }
    return columns
