"""Audit trails of clouds: AWS CloudTrail and Google Cloud Audit Logs, for calls to models.

They hold the caller's address and key of calls whose content is in another log.
"""

from __future__ import annotations

from irkit.ingest.format import Capability, Envelope, Format, Source, not_a_call

_HAS = frozenset({Capability.IP, Capability.STATUS, Capability.CREDENTIAL})

_CALLS = (
    "'InvokeModel', 'InvokeModelWithResponseStream', 'InvokeModelWithBidirectionalStream',"
    " 'Converse', 'ConverseStream', 'InvokeEndpoint', 'InvokeEndpointAsync',"
    " 'InvokeEndpointWithResponseStream', 'InvokeAgent', 'InvokeFlow', 'RetrieveAndGenerate'"
)
_SERVICES = "'bedrock.amazonaws.com', 'bedrock-runtime.amazonaws.com', 'sagemaker.amazonaws.com'"

CLOUDTRAIL = Format(
    id="aws_cloudtrail",
    title="AWS CloudTrail events of Bedrock and SageMaker calls",
    source=Source(
        "AWS CloudTrail user guide: record contents; Amazon Bedrock user guide: CloudTrail",
        "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html",
    ),
    order=70,
    capabilities=_HAS,
    absent=(
        "No prompt, answer, parameter, token count or session: those are in the invocation log"
        " under the same request id. SageMaker calls only where data events are on."
    ),
    signature_paths={
        "version": "$.eventVersion",
        "service": "$.eventSource",
        "name": "$.eventName",
    },
    signature=f"version IS NOT NULL AND service IN ({_SERVICES}) AND name IN ({_CALLS})",
    paths={
        "event_time": "$.eventTime",
        "request_id": ("$.requestID", "$.eventID"),
        "correlation_id": "$.requestID",
        "service": "$.eventSource",
        "name": "$.eventName",
        "endpoint": "$.awsRegion",
        "tenant_id": ("$.recipientAccountId", "$.userIdentity.accountId"),
        "credential_id": ("$.userIdentity.accessKeyId", "$.userIdentity.arn"),
        "key": "$.userIdentity.accessKeyId",
        "principal_id": ("$.userIdentity.arn", "$.userIdentity.principalId"),
        "client_ip": "$.sourceIPAddress",
        "user_agent": "$.userAgent",
        "model_requested": (
            "$.requestParameters.modelId",
            "$.requestParameters.endpointName",
            "$.requestParameters.agentId",
        ),
        "error_type": "$.errorCode",
    },
    json_paths={"tags": "$.additionalEventData"},
    columns={
        "record_kind": "'access_only'",
        "content_state": "'absent'",
        "provider": "CASE WHEN starts_with(service, 'bedrock') THEN 'aws.bedrock'"
        " ELSE 'aws.sagemaker' END",
        "credential_kind": (
            "CASE WHEN key IS NOT NULL THEN 'aws_access_key_id' ELSE 'iam_arn' END"
        ),
        "operation": (
            "CASE WHEN starts_with(name, 'Converse') THEN 'chat'"
            " WHEN starts_with(name, 'InvokeEndpoint') THEN 'predict' END"
        ),
        "stream": "CASE WHEN contains(name, 'Stream') THEN true END",
        "outcome": (
            "CASE WHEN error_type IS NULL THEN 'ok' WHEN contains(error_type, 'Throttl')"
            " THEN 'rate_limited' ELSE 'error' END"
        ),
    },
    failures_logged=True,
    coverage="yynynnnnnyn",
    unconfirmed="That requestID equals the invocation log's requestId was not seen in a real pair.",
)

GOOGLE = Format(
    id="gcp_audit",
    title="Google Cloud Audit Logs of Vertex AI calls",
    source=Source(
        "Google Cloud documentation: AuditLog, and Vertex AI audit logging",
        "https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog",
    ),
    order=71,
    capabilities=_HAS,
    absent=(
        "No prompt, answer, parameter, token count or session; its ids are not those of"
        " request-response logging. Data-access logging must have been switched on."
    ),
    signature_paths={
        "service": "$.protoPayload.serviceName",
        "name": "$.protoPayload.methodName",
    },
    signature=(
        "service = 'aiplatform.googleapis.com' AND regexp_matches(name,"
        " '(?i)(predict|generatecontent|counttokens|chatcompletions|embed)')"
    ),
    paths={
        "event_time": ("$.timestamp", "$.receiveTimestamp"),
        "request_id": "$.insertId",
        "trace_id": "$.trace",
        "endpoint": "$.protoPayload.resourceName",
        "name": "$.protoPayload.methodName",
        "tenant_id": "$.resource.labels.project_id",
        "credential_id": (
            "$.protoPayload.authenticationInfo.serviceAccountKeyName",
            "$.protoPayload.authenticationInfo.principalEmail",
            "$.protoPayload.authenticationInfo.principalSubject",
        ),
        "principal_id": (
            "$.protoPayload.authenticationInfo.principalEmail",
            "$.protoPayload.authenticationInfo.principalSubject",
        ),
        "client_ip": "$.protoPayload.requestMetadata.callerIp",
        "user_agent": "$.protoPayload.requestMetadata.callerSuppliedUserAgent",
        "code": "$.protoPayload.status.code",
    },
    columns={
        "record_kind": "'access_only'",
        "content_state": "'absent'",
        "provider": "'gcp.vertex_ai'",
        "credential_kind": "'gcp_principal'",
        "model_requested": "nullif(regexp_extract(endpoint, 'models/([^/:]+)', 1), '')",
        "stream": "CASE WHEN name IS NOT NULL THEN contains(lower(name), 'stream') END",
        # google.rpc.Code: 0 is OK, 8 is RESOURCE_EXHAUSTED; a call that went well has no code.
        "outcome": (
            "CASE WHEN coalesce(code, '0') = '0' THEN 'ok' WHEN code = '8' THEN 'rate_limited'"
            " ELSE 'error' END"
        ),
        "error_type": "CASE WHEN coalesce(code, '0') <> '0' THEN 'rpc_code_' || code END",
    },
    failures_logged=True,
    coverage="yynynnnnnyn",
    unconfirmed="Which method names Vertex AI writes for each API; they are matched loosely.",
)

FORMATS = (CLOUDTRAIL, GOOGLE)

ENVELOPES = (
    Envelope(
        id="cloudtrail_records",
        title="CloudTrail log file",
        signature_paths={"first": "$.Records[0].eventVersion", "items": "$.Records"},
        signature="starts_with(items, '[') AND (first IS NOT NULL OR items = '[]')",
        expand="ik_elements(json_extract(line, '$.Records')::VARCHAR)",
        order=40,
    ),
    not_a_call(
        "cloudtrail_other",
        "CloudTrail event of something else",
        "CloudTrail event that is no call to a model",
        f"version IS NOT NULL AND name IS NOT NULL AND service IS NOT NULL"
        f" AND NOT (service IN ({_SERVICES}) AND name IN ({_CALLS}))",
        version="$.eventVersion",
        service="$.eventSource",
        name="$.eventName",
    ),
    not_a_call(
        "gcp_audit_other",
        "Cloud Audit Log entry of something else",
        "Cloud Audit Log entry that is no call to a model",
        "name IS NOT NULL AND service IS NOT NULL AND NOT (service = 'aiplatform.googleapis.com'"
        " AND regexp_matches(name,"
        " '(?i)(predict|generatecontent|counttokens|chatcompletions|embed)'))",
        service="$.protoPayload.serviceName",
        name="$.protoPayload.methodName",
    ),
)
