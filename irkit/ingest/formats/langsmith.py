"""LangSmith runs: bulk exports (Parquet), the runs API, and the SDK's own JSON."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Paths, Source, not_a_call

_RUN: dict[str, Paths] = {
    "run_id": "$.id",
    "kind": "$.run_type",
    "trace": ("$.trace_id", "$.dotted_order"),
}

_INPUTS = "ik_unwrap(inputs)"
_OUTPUTS = "ik_unwrap(outputs)"
_EXTRA = "ik_unwrap(extra)"

#: LangChain writes one list of messages per prompt, other tracers a plain list.
_MESSAGES = (
    f"CASE WHEN json_exists({_INPUTS}, '$.messages[0][0]')"
    f" THEN json_extract({_INPUTS}, '$.messages[0]')"
    f" WHEN json_exists({_INPUTS}, '$.messages[0]')"
    f" THEN json_extract({_INPUTS}, '$.messages') END"
)


def _kept(value: str) -> str:
    return f"json_extract({value}, '$[*]')::VARCHAR[]"


#: A message as LangChain serialises it: constructor with kwargs, or type with data.
_ROLE = (
    "coalesce(json_extract_string(m, '$.role'), json_extract_string(m, '$.kwargs.type'),"
    " json_extract_string(m, '$.kwargs.role'), json_extract_string(m, '$.data.role'),"
    " nullif(json_extract_string(m, '$.type'), 'constructor'),"
    " lower(regexp_extract(json_extract_string(m, '$.id[#-1]'), '^(.*?)Message', 1)))"
)
_CONTENT = (
    "coalesce(json_extract(m, '$.content'), json_extract(m, '$.kwargs.content'),"
    " json_extract(m, '$.data.content'), 'null')"
)
_TOOLS = (
    "coalesce(json_extract(m, '$.tool_calls'), json_extract(m, '$.kwargs.tool_calls'),"
    " json_extract(m, '$.kwargs.additional_kwargs.tool_calls'), 'null')"
)

#: The answers of one prompt: LangChain nests them per prompt.
_ANSWERS = (
    f"CASE WHEN json_exists({_OUTPUTS}, '$.generations[0][0]')"
    f" THEN json_extract({_OUTPUTS}, '$.generations[0]')"
    f" ELSE json_extract({_OUTPUTS}, '$.generations') END"
)
_CHOICE = (
    "'{\"finish_reason\":' || coalesce(json_extract(g, '$.generation_info.finish_reason'),"
    " json_extract(g, '$.message.kwargs.response_metadata.finish_reason'), 'null')"
    " || ',\"message\":{\"content\":' || coalesce(json_extract(g, '$.message.kwargs.content'),"
    " json_extract(g, '$.message.content'), json_extract(g, '$.text'), 'null')"
    " || ',\"tool_calls\":' || coalesce(json_extract(g, '$.message.kwargs.tool_calls'),"
    " json_extract(g, '$.message.kwargs.additional_kwargs.tool_calls'), 'null')"
    " || '},\"logprobs\":' || coalesce(json_extract(g, '$.generation_info.logprobs'),"
    " json_extract(g, '$.message.kwargs.response_metadata.logprobs'), 'null') || '}'"
)


def _extra(*names: str) -> str:
    paths = ", ".join(f"'$.{name}'" for name in names)
    return f"ik_first({_EXTRA}, [{paths}])"


FORMAT = Format(
    id="langsmith_run",
    title="LangSmith runs",
    source=Source(
        "LangSmith documentation: run data format, bulk export",
        "https://docs.langchain.com/langsmith/run-data-format",
    ),
    order=190,
    capabilities=frozenset(
        {
            *(Capability.CONTENT, Capability.SESSION, Capability.PARAMS, Capability.STATUS),
            Capability.LOGPROBS,
        }
    ),
    absent=(
        "No key or address. session_id is the project; a user's session only where the"
        " application put one into the metadata."
    ),
    signature_paths={**_RUN, "body": ("$.inputs", "$.outputs", "$.extra", "$.start_time")},
    signature="run_id IS NOT NULL AND trace IS NOT NULL AND body IS NOT NULL"
    " AND kind IN ('llm', 'embedding')",
    paths={
        "event_time": "$.start_time",
        "event_time_end": "$.end_time",
        "request_id": "$.id",
        "trace_id": "$.trace_id",
        "endpoint": "$.name",
        "tenant_id": "$.session_id",
        "kind": "$.run_type",
        "status": "$.status",
        "error": "$.error",
        "tokens_in": "$.prompt_tokens",
        "tokens_out": "$.completion_tokens",
    },
    json_paths={
        "inputs": "$.inputs",
        "outputs": "$.outputs",
        "extra": "$.extra",
        "tags": "$.tags",
    },
    columns={
        "provider": _extra("metadata.ls_provider"),
        "operation": "CASE kind WHEN 'embedding' THEN 'embeddings' END",
        "model_requested": _extra(
            "metadata.ls_model_name",
            "invocation_params.model",
            "invocation_params.model_name",
        ),
        "session_id": _extra(
            "metadata.session_id", "metadata.thread_id", "metadata.conversation_id"
        ),
        "end_user_id": _extra("metadata.user_id", "metadata.ls_user_id"),
        # Wrapped clients keep all parameters beside the messages; LangChain keeps them apart.
        "request": (
            f"CASE WHEN starts_with({_INPUTS}, '{{') THEN json_merge_patch({_INPUTS}::JSON,"
            f" coalesce(json_extract({_EXTRA}, '$.invocation_params'), '{{}}'::JSON),"
            f" CASE WHEN json_exists({_INPUTS}, '$.prompts') THEN json_object('prompt',"
            f" json_extract({_INPUTS}, '$.prompts')) ELSE '{{}}'::JSON END)::VARCHAR"
            f" ELSE {_INPUTS} END"
        ),
        "messages": (
            f"CASE WHEN ({_MESSAGES}) IS NOT NULL THEN '[' || array_to_string(list_transform("
            f"{_kept(_MESSAGES)}, lambda m: CASE WHEN starts_with(m, '{{') THEN"
            f" '{{\"role\":' || to_json(coalesce({_ROLE}, 'user'))::VARCHAR ||"
            f" ',\"content\":' || {_CONTENT} || ',\"tool_calls\":' || {_TOOLS} || '}}'"
            " ELSE '{\"role\":\"user\",\"content\":' || m || '}' END), ',') || ']' END"
        ),
        "response": (
            f"CASE WHEN json_exists({_OUTPUTS}, '$.generations[0]') THEN"
            f" '{{\"choices\":[' || array_to_string(list_transform({_kept(_ANSWERS)},"
            f" lambda g: {_CHOICE}), ',') || ']}}' ELSE {_OUTPUTS} END"
        ),
        "input_tokens": (
            f"coalesce(tokens_in, ik_first({_OUTPUTS}, ['$.llm_output.token_usage.prompt_tokens',"
            " '$.usage_metadata.input_tokens']))"
        ),
        "output_tokens": (
            f"coalesce(tokens_out, ik_first({_OUTPUTS},"
            " ['$.llm_output.token_usage.completion_tokens', '$.usage_metadata.output_tokens']))"
        ),
        "outcome": "CASE status WHEN 'success' THEN 'ok' WHEN 'error' THEN 'error' END",
        "error_type": "nullif(regexp_extract(error, '^([A-Za-z_.]{1,80})', 1), '')",
    },
    sampled=True,
    failures_logged=True,
    coverage="nnpyyyypypy",
    unconfirmed=(
        "That Parquet exports hold inputs, outputs and extra as JSON strings, where log"
        " probabilities stand, and which metadata names the user's session."
    ),
)

ENVELOPES = (
    not_a_call(
        "langsmith_other_run",
        "LangSmith run that calls no model",
        "LangSmith run of a chain, tool, retriever, prompt or parser: its model calls are runs of"
        " their own",
        "run_id IS NOT NULL AND trace IS NOT NULL AND kind IN ('chain', 'tool', 'retriever',"
        " 'prompt', 'parser')",
        **_RUN,
    ),
)
