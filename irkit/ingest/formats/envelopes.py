"""Wrappers that exporters and shippers put around records, whatever the records are."""

from __future__ import annotations

from irkit.ingest.format import Envelope


def _list(name: str, title: str, path: str, signature: str, **paths: str) -> Envelope:
    return Envelope(
        id=name,
        title=title,
        signature_paths={"items": path, **paths},
        signature=f"starts_with(items, '[') AND {signature}",
        expand=f"ik_elements(json_extract(line, '{path}')::VARCHAR)",
    )


def _message(name: str, title: str, path: str, signature: str, **paths: str) -> Envelope:
    """Records held as JSON in a string."""
    return Envelope(
        id=name,
        title=title,
        signature_paths={"text": path, **paths},
        signature=f"regexp_matches(text, '^\\s*[\\[{{]') AND json_valid(text) AND {signature}",
        expand=f"[json_extract_string(line, '{path}')]",
    )


def _messages(name: str, title: str, path: str) -> Envelope:
    """A list of events whose ``message`` holds the record."""
    return Envelope(
        id=name,
        title=title,
        signature_paths={"first": f"{path}[0].message", "items": path},
        signature="starts_with(items, '[') AND (first IS NOT NULL OR items = '[]')",
        expand=(
            f"list_transform(ik_elements(json_extract(line, '{path}')::VARCHAR),"
            " lambda e: coalesce(json_extract_string(e, '$.message'), e))"
        ),
    )


ENVELOPES = (
    Envelope(
        id="json_array",
        title="JSON array of records",
        signature_paths={"whole": "$"},
        signature="starts_with(whole, '[')",
        expand="ik_elements(json_extract(line, '$')::VARCHAR)",
    ),
    Envelope(
        id="json_string",
        title="record encoded as a JSON string",
        signature_paths={"whole": "$"},
        signature=(
            "starts_with(ltrim(line), '\"') AND regexp_matches(whole, '^\\s*[\\[{]')"
            " AND json_valid(whole)"
        ),
        expand="[json_extract_string(line, '$')]",
    ),
    _messages(
        "cloudwatch_events", "CloudWatch Logs: get-log-events / filter-log-events", "$.events"
    ),
    _messages("cloudwatch_subscription", "CloudWatch Logs subscription (Firehose)", "$.logEvents"),
    _list("azure_records", "Azure Monitor records", "$.records", "true"),
    _list(
        "api_list", "list of an API (object: list)", "$.data", "object = 'list'", object="$.object"
    ),
    _list("api_data", "data page of an API", "$.data", "true"),
    _list("api_result", "result page of an API", "$.result", "true"),
    Envelope(
        id="elastic_source",
        title="Elasticsearch document",
        signature_paths={"source": "$._source"},
        signature="starts_with(source, '{')",
        expand="[json_extract(line, '$._source')::VARCHAR]",
    ),
    _message("docker_log", "Docker json-file log", "$.log", "true"),
    _message("message_field", "record in a message field", "$.message", "true"),
    Envelope(
        id="gcp_json_payload",
        title="Google Cloud Logging entry",
        signature_paths={"payload": "$.jsonPayload"},
        signature="starts_with(payload, '{')",
        expand="[json_extract(line, '$.jsonPayload')::VARCHAR]",
    ),
    _message("gcp_text_payload", "Google Cloud Logging text entry", "$.textPayload", "true"),
    Envelope(
        id="cloudevents",
        title="CloudEvents, structured mode",
        signature_paths={"version": "$.specversion", "data": "$.data"},
        signature=(
            "version IS NOT NULL AND regexp_matches(data, '^\\s*[\\[{]') AND json_valid(data)"
        ),
        expand="[json_extract_string(line, '$.data')]",
    ),
)
