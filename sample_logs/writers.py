"""Log lines in the formats of the three gateways; every record says that it is synthetic."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from actors import Actor, Call

Body = dict[str, Any]
ACCOUNT = "123456789012"
ERRORS = {
    429: ("rate_limit_exceeded", "Rate limit reached for requests"),
    500: ("server_error", "The server had an error"),
    503: ("overloaded", "The engine is currently overloaded"),
}


@dataclass
class Logged:
    """One answered call as the logs hold it, with what the ground truth needs."""

    actor: Actor
    call: Call
    request_id: str
    line: str
    responses: list[str]
    contexts: list[str]
    prompt: str


def iso(at: float, digits: int = 3) -> str:
    """UTC time in ISO 8601."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    if digits == 0:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _hex(rng: Random, size: int) -> str:
    return f"{rng.getrandbits(4 * size):0{size}x}"


def _dump(row: Body) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _texts(body: Body) -> list[str]:
    return [
        c["message"]["content"] if "message" in c else c["text"] for c in body.get("choices", [])
    ]


def write(actor: Actor, call: Call, body: Body, rng: Random) -> Logged:
    """Render one call in the format of the actor's gateway."""
    used = body.get("usage", {"prompt_tokens": 0, "completion_tokens": 0})
    latency = int(
        140 + 9.5 * used["completion_tokens"] + 0.2 * used["prompt_tokens"] + rng.random() * 180
    )
    ip = actor.ips[rng.randrange(len(actor.ips))]
    req = call.request
    contexts = [m["content"] for m in req["messages"]] if "messages" in req else [req["prompt"]]
    prompt = contexts[-1]
    if actor.source == "bedrock":
        request_id, row = _bedrock(actor, call, body, latency, rng)
    elif actor.source == "litellm":
        request_id, row = _litellm(actor, call, body, latency, ip, rng)
    else:
        request_id, row = _openai(actor, call, body, latency, ip, rng)
    return Logged(actor, call, request_id, _dump(row), _texts(body), contexts, prompt)


def _response(call: Call, body: Body, rng: Random) -> tuple[str, Body]:
    if call.status != 200:
        code, text = ERRORS[call.status]
        return "", {"error": {"message": text, "type": code, "code": code}}
    prefix = "chatcmpl-" if call.op == "chat" else "cmpl-"
    rid = prefix + _hex(rng, 20)
    head = {
        "id": rid,
        "object": body["object"],
        "created": int(call.time),
        "model": body["model"],
        "system_fingerprint": "fp_atlas2609",
    }
    return rid, {**head, "choices": body["choices"], "usage": body["usage"]}


def _openai(
    actor: Actor, call: Call, body: Body, latency: int, ip: str, rng: Random
) -> tuple[str, Body]:
    rid, response = _response(call, body, rng)
    row: Body = {
        "ts": iso(call.time),
        "key_id": actor.credential,
        "client_ip": ip,
        "user_agent": actor.user_agent,
    }
    if call.session and actor.role in SESSION_ROLES:
        row["session_id"] = f"{actor.credential[-6:]}-{call.session}"
    row |= {
        "status": call.status,
        "latency_ms": latency if call.status == 200 else int(20 + rng.random() * 60),
        "synthetic": True,
        "request": call.request,
        "response": response,
    }
    if call.end_user:
        row["request"] = {**call.request, "user": call.end_user}
    return rid, row


SESSION_ROLES = {"chat_user", "code_helper", "writer", "rag"}


def _litellm(
    actor: Actor, call: Call, body: Body, latency: int, ip: str, rng: Random
) -> tuple[str, Body]:
    rid, response = _response(call, body, rng)
    rid = rid or "chatcmpl-" + _hex(rng, 20)
    req = dict(call.request)
    messages = req.pop("messages", None) or req.pop("prompt", "")
    used = body.get("usage", {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})
    ok = call.status == 200
    end = round(call.time + latency / 1000, 3)
    row: Body = {
        "id": rid,
        "trace_id": _hex(rng, 16),
        "litellm_call_id": _hex(rng, 16),
        "call_type": "acompletion" if call.op == "chat" else "atext_completion",
        "stream": False,
        "response_cost": 0.0,
        "status": "success" if ok else "failure",
        "custom_llm_provider": "openai",
        "total_tokens": used.get("total_tokens", 0),
        "prompt_tokens": used["prompt_tokens"],
        "completion_tokens": used["completion_tokens"],
        "startTime": round(call.time, 3),
        "endTime": end,
        "completionStartTime": end,
        "response_time": round(latency / 1000, 3),
        "model": req.pop("model"),
        "model_group": "atlas-support",
        "metadata": {
            "user_api_key_hash": actor.credential,
            "user_api_key_alias": None,
            "user_api_key_team_id": f"team-{int(actor.credential[:2], 16) % 5}",
            "spend_logs_metadata": {"synthetic": "true"},
        },
        "request_tags": ["synthetic"],
        "end_user": call.end_user or "",
        "requester_ip_address": ip,
        "user_agent": actor.user_agent,
        "messages": messages,
        "response": response if ok else {},
        "model_parameters": req,
        "hidden_params": {},
    }
    if call.session and actor.role in SESSION_ROLES:
        row["session_id"] = f"{actor.credential[:6]}-{call.session}"
    if not ok:
        code, text = ERRORS[call.status]
        row["error_str"] = text
        row["error_information"] = {
            "error_code": str(call.status),
            "error_class": code,
            "llm_provider": "openai",
            "error_message": text,
        }
    return rid, row


def _bedrock(actor: Actor, call: Call, body: Body, latency: int, rng: Random) -> tuple[str, Body]:
    h = _hex(rng, 32)
    rid = f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"
    req, used = call.request, body["usage"]
    text = _texts(body)[0]
    finish = body["choices"][0]["finish_reason"]
    if call.op == "completion":
        operation, model = "InvokeModel", "meta.llama3-1-8b-instruct-v1:0"
        inp: Body = {
            "prompt": req["prompt"],
            "max_gen_len": req["max_tokens"],
            "temperature": req["temperature"],
        }
        out: Body = {
            "generation": text,
            "prompt_token_count": used["prompt_tokens"],
            "generation_token_count": used["completion_tokens"],
            "stop_reason": finish,
        }
    elif call.route == "health":
        operation, model = "InvokeModel", "amazon.titan-text-express-v1"
        inp = {
            "inputText": req["messages"][-1]["content"],
            "textGenerationConfig": {
                "maxTokenCount": req["max_tokens"],
                "temperature": req["temperature"],
            },
        }
        out = {
            "inputTextTokenCount": used["prompt_tokens"],
            "results": [
                {
                    "tokenCount": used["completion_tokens"],
                    "outputText": text,
                    "completionReason": "FINISH" if finish == "stop" else "LENGTH",
                }
            ],
        }
    else:
        operation, model = (
            "Converse",
            "arn:aws:bedrock:eu-west-1:" + ACCOUNT + ":imported-model/atlas7b2609",
        )
        config = {
            b: req[a]
            for a, b in (
                ("max_tokens", "maxTokens"),
                ("temperature", "temperature"),
                ("top_p", "topP"),
            )
            if a in req
        }
        inp = {
            "messages": [
                {"role": m["role"], "content": [{"text": m["content"]}]}
                for m in req["messages"]
                if m["role"] != "system"
            ],
            "inferenceConfig": config,
        }
        system = [{"text": m["content"]} for m in req["messages"] if m["role"] == "system"]
        if system:
            inp["system"] = system
        out = {
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": "end_turn" if finish == "stop" else "max_tokens",
            "metrics": {"latencyMs": latency},
            "usage": {
                "inputTokens": used["prompt_tokens"],
                "outputTokens": used["completion_tokens"],
                "totalTokens": used["total_tokens"],
            },
        }
    tags = {"synthetic": "true"}
    if call.session and actor.role in SESSION_ROLES:
        tags["session"] = f"{_short(actor.credential)}-{call.session}"
    row = {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": iso(call.time, 0),
        "accountId": ACCOUNT,
        "identity": {"arn": actor.credential},
        "region": "eu-west-1",
        "requestId": rid,
        "operation": operation,
        "modelId": model,
        "requestMetadata": tags,
        "input": {
            "inputContentType": "application/json",
            "inputBodyJson": inp,
            "inputTokenCount": used["prompt_tokens"],
        },
        "output": {
            "outputContentType": "application/json",
            "outputBodyJson": out,
            "outputTokenCount": used["completion_tokens"],
        },
    }
    return rid, row


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
