"""Reports of garak, the LLM vulnerability scanner: an attack tool's own log."""

from __future__ import annotations

from irkit.ingest.duplicates import UNFINISHED
from irkit.ingest.format import Capability, Format, Source, not_a_call

REPORT = Format(
    id="garak_report",
    title="garak report",
    source=Source("garak reference: reporting", "https://reference.garak.ai/en/latest/report.html"),
    order=30,
    capabilities=frozenset({Capability.CONTENT}),
    absent=(
        "No time per attempt, credential or address; parameters are in the run's own entries. An"
        " attempt is written when it was sent and again when it was judged: the latter counts."
    ),
    signature_paths={
        "kind": "$.entry_type",
        "id": "$.uuid",
        "probe": "$.probe_classname",
    },
    signature="kind = 'attempt' AND id IS NOT NULL AND probe IS NOT NULL",
    paths={
        "request_id": "$.uuid",
        "endpoint": "$.probe_classname",
        "old_prompt": "$.prompt",
        "stage": "$.status",
    },
    json_paths={
        "turns": "$.prompt.turns",
        "outputs": "$.outputs",
        "tags": "$.detector_results",
    },
    columns={
        "record_kind": "'attack_tool'",
        "warning": f"CASE stage WHEN '1' THEN '{UNFINISHED}' END",
        "messages": (
            "CASE WHEN starts_with(turns, '[') THEN '[' || array_to_string(list_transform("
            "json_extract(turns, '$[*]')::VARCHAR[], lambda t: '{\"role\":' || coalesce("
            "json_extract(t, '$.role')::VARCHAR, 'null') || ',\"content\":' || coalesce("
            "json_extract(t, '$.content.text')::VARCHAR, json_extract(t, '$.content')::VARCHAR,"
            " 'null') || '}'), ',') || ']' END"
        ),
        "prompt": "CASE WHEN turns IS NULL THEN old_prompt END",
        "response": (
            "CASE WHEN starts_with(outputs, '[') THEN '{\"outputs\":[' || array_to_string("
            "list_transform(json_extract(outputs, '$[*]')::VARCHAR[], lambda o: '{\"text\":' ||"
            " coalesce(json_extract(o, '$.text')::VARCHAR, o) || '}'), ',') || ']}' END"
        ),
        "operation": "'chat'",
    },
    revised=True,
    coverage="nnnnnyynnnn",
    unconfirmed="Reports of old versions (prompt and outputs as plain texts).",
)

HITLOG = Format(
    id="garak_hitlog",
    title="garak hit log",
    source=Source("garak reference: reporting", "https://reference.garak.ai/en/latest/report.html"),
    order=31,
    capabilities=frozenset({Capability.CONTENT}),
    absent="Only attempts that hit; no time, credential or address.",
    signature_paths={
        "attempt": "$.attempt_id",
        "count": "$.generations_per_prompt",
        "probe": "$.probe",
    },
    signature="attempt IS NOT NULL AND count IS NOT NULL AND probe IS NOT NULL",
    paths={
        "request_id": "$.attempt_id",
        "endpoint": "$.probe",
        "prompt": ("$.prompt.turns[0].content.text", "$.prompt"),
        "completion": ("$.output.text", "$.output"),
        "model_requested": "$.generator",
    },
    columns={"record_kind": "'attack_tool'", "operation": "'chat'"},
    coverage="nnnnnyynnnn",
)

FORMATS = (REPORT, HITLOG)

ENVELOPES = (
    not_a_call(
        "garak_other_entry",
        "garak report entry that holds no attempt",
        "garak report entry that holds no attempt (setup, evaluation, summary)",
        "regexp_full_match(kind, 'start_run setup|init|eval|plugin_cache|payload_init"
        "|probe_summary|tree_data|completion|digest|config|start_run')",
        kind="$.entry_type",
    ),
)
