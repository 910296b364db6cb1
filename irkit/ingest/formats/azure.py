"""Azure: diagnostic logs of Azure OpenAI, and gateway and LLM logs of API Management."""

from __future__ import annotations

from irkit.ingest.format import Capability, Format, Source

REQUEST_RESPONSE = Format(
    id="azure_request_response",
    title="Azure OpenAI diagnostic log (RequestResponse)",
    source=Source(
        "Azure OpenAI documentation: monitoring data reference",
        "https://learn.microsoft.com/azure/ai-services/openai/monitor-openai-reference",
    ),
    order=60,
    capabilities=frozenset({Capability.IP, Capability.STATUS, Capability.CREDENTIAL}),
    absent=(
        "No prompt, answer, token count, parameter or key; the last part of the address is masked."
    ),
    signature_paths={"category": "$.category", "resource": ("$.resourceId", "$.ResourceId")},
    signature="category = 'RequestResponse' AND resource IS NOT NULL",
    paths={
        "event_time": "$.time",
        "request_id": "$.correlationId",
        "correlation_id": "$.correlationId",
        "operation_name": "$.operationName",
        "endpoint": ("$.resourceId", "$.ResourceId"),
        "client_ip": "$.callerIpAddress",
        "status_code": "$.resultSignature",
        "latency_ms": "$.durationMs",
        "tenant_id": "$.Tenant",
    },
    json_paths={"properties": "$.properties"},
    columns={
        "provider": "'azure.openai'",
        "operation": (
            "CASE WHEN starts_with(operation_name, 'ChatCompletions') THEN 'chat'"
            " WHEN starts_with(operation_name, 'Completions') THEN 'text_completion'"
            " WHEN starts_with(operation_name, 'Embeddings') THEN 'embeddings' END"
        ),
        "model_requested": "json_extract_string(ik_unwrap(properties), '$.modelDeploymentName')",
        "model_served": "json_extract_string(ik_unwrap(properties), '$.modelName')",
        "model_version": "json_extract_string(ik_unwrap(properties), '$.modelVersion')",
        "credential_id": "json_extract_string(ik_unwrap(properties), '$.objectId')",
        "credential_kind": "'entra_object_id'",
        "record_kind": "'access_only'",
        "content_state": "'absent'",
    },
    failures_logged=True,
    coverage="ppnynnnnnyy",
)

GATEWAY = Format(
    id="azure_apim_gateway",
    title="Azure API Management gateway log",
    source=Source(
        "Azure Monitor reference: ApiManagementGatewayLogs",
        "https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewaylogs",
    ),
    order=61,
    capabilities=frozenset(Capability) - {Capability.SESSION},
    absent="Bodies only where their logging is on, and cut at 8,192 bytes by default; no session.",
    signature_paths={
        "category": ("$.category", "$.Category", "$.Type"),
        "resource": ("$.resourceId", "$._ResourceId", "$.CorrelationId"),
        "call": ("$.properties", "$.BackendResponseCode", "$.IsRequestSuccess"),
    },
    signature=(
        "category IN ('GatewayLogs', 'ApiManagementGatewayLogs') AND resource IS NOT NULL"
        " AND call IS NOT NULL"
    ),
    paths={
        "event_time": ("$.time", "$.TimeGenerated"),
        "request_id": ("$.correlationId", "$.CorrelationId"),
        "client_ip": ("$.callerIpAddress", "$.CallerIpAddress"),
        "endpoint_a": "$.Url",
        "latency_ms": ("$.durationMs", "$.TotalTime"),
        "status_a": "$.ResponseCode",
        "key_a": "$.ApimSubscriptionId",
    },
    json_paths={
        "properties": "$.properties",
        "asked_a": ("$.BackendRequestBody", "$.RequestBody"),
        "answered_a": ("$.BackendResponseBody", "$.ResponseBody"),
    },
    columns={
        "provider": "'azure.apim'",
        "endpoint": "coalesce(endpoint_a, json_extract_string(ik_unwrap(properties), '$.url'))",
        "status_code": (
            "coalesce(status_a, json_extract_string(ik_unwrap(properties), '$.responseCode'))"
        ),
        "credential_id": (
            "coalesce(key_a, json_extract_string(ik_unwrap(properties), '$.subscriptionId'))"
        ),
        "credential_kind": "'apim_subscription'",
        "request": (
            "coalesce(asked_a, to_json(ik_first(ik_unwrap(properties),"
            " ['$.backendRequestBody', '$.requestBody']))::VARCHAR)"
        ),
        "response": (
            "coalesce(answered_a, to_json(ik_first(ik_unwrap(properties),"
            " ['$.backendResponseBody', '$.responseBody']))::VARCHAR)"
        ),
    },
    failures_logged=True,
    coverage="yynyyypppyy",
    unconfirmed="That bodies are cut at 8,192 bytes by default.",
)

LLM = Format(
    id="azure_apim_llm",
    title="Azure API Management LLM log",
    source=Source(
        "Azure Monitor reference: ApiManagementGatewayLlmLog",
        "https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewayllmlog",
    ),
    order=62,
    capabilities=frozenset({Capability.CONTENT}),
    absent=(
        "No key, address or parameter (they are in the gateway log under the same CorrelationId);"
        " messages over 32 KB are split over several rows, which are put together after reading."
    ),
    signature_paths={
        "correlation": "$.CorrelationId",
        "tokens": "$.PromptTokens",
        "part": "$.SequenceNumber",
    },
    signature="correlation IS NOT NULL AND tokens IS NOT NULL AND part IS NOT NULL",
    paths={
        "event_time": "$.TimeGenerated",
        "request_id": "$.RequestId",
        "correlation_id": "$.CorrelationId",
        "operation": "$.OperationName",
        "model_requested": "$.DeploymentName",
        "model_served": "$.ModelName",
        "stream": "$.IsStreamCompletion",
        "input_tokens": "$.PromptTokens",
        "output_tokens": "$.CompletionTokens",
        "part": "$.SequenceNumber",
    },
    json_paths={"messages": "$.RequestMessages", "answers": "$.ResponseMessages"},
    columns={
        "provider": "'azure.apim'",
        "operation": "'chat'",
        "response": (
            "CASE WHEN starts_with(ik_unwrap(answers), '[')"
            " THEN '{\"output_messages\":' || ik_unwrap(answers) || '}' ELSE answers END"
        ),
        "content_state": "CASE WHEN TRY_CAST(part AS INTEGER) > 0 THEN 'truncated' END",
        "warning": "CASE WHEN TRY_CAST(part AS INTEGER) > 0 THEN 'part_of_a_split_message' END",
    },
    part_order="$.SequenceNumber",
    part_fields=("$.RequestMessages", "$.ResponseMessages"),
    coverage="nnnynyypynn",
    unconfirmed="The largest message that is logged, and its exact JSON.",
)

FORMATS = (REQUEST_RESPONSE, GATEWAY, LLM)
