"""Writes calls as the log lines of a gateway, so that real conversations pass the real readers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from analyzers_sim import Call

from irkit.case import Case
from irkit.case.evidence import intake
from irkit.ingest import derive_sessions, ingest


def line(name: str, number: int, at: datetime, call: Call, *, session: str = "") -> bytes:
    """One request and its answer, OpenAI style.

    Args:
        name: credential; none is logged where empty.
        number: number of the call in its log.
        at: time of the call, UTC.
        call: as the simulator's calls; ``history`` may hold earlier messages.
        session: session id to log.
    """
    chat = call["operation"] == "chat"
    model = call.get("model_version", "m-1")
    request: dict[str, Any] = {"model": model}
    for key in ("max_tokens", "temperature", "logit_bias"):
        if call.get(key) is not None:
            request[key] = call[key]
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    if chat:
        request["messages"] = [
            *([{"role": "system", "content": call["system"]}] if call.get("system") else []),
            *call.get("history", ()),
            {"role": "user", "content": call["prompt"]},
        ]
        choice["message"] = {"role": "assistant", "content": call["answer"]}
    else:
        request |= {"prompt": call["prompt"], "echo": call.get("echo", False)}
        choice["text"] = call["answer"]
    if call.get("has_logprobs"):
        request["logprobs"] = True if chat else 1
        choice["logprobs"] = _scores(call["answer"], chat, call.get("scalars_returned", 1))
    out = call["answer"] if not call.get("echo") else ""
    entry: dict[str, Any] = {
        "ts": at.isoformat() + "Z",
        "status": 200,
        "request": request,
        "response": {
            "id": f"call-{name}-{number}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(at.timestamp()),
            "model": model,
            "choices": [choice],
            "usage": {"prompt_tokens": 20, "completion_tokens": len(out.split())},
        },
    }
    if name:
        entry |= {"key_id": name, "client_ip": call.get("ip", "192.0.2.7")}
    if session:
        entry["session_id"] = session
    return orjson.dumps(entry)


def _scores(answer: str, chat: bool, scalars: int) -> dict[str, Any]:
    """Token scores as the interface returns them: one per word, the rest as alternatives."""
    words = answer.split()[: max(1, scalars)] or ["x"]
    if chat:
        spare = max(0, scalars - len(words))
        first = [{"token": f"t{i}", "logprob": -3.0 - i} for i in range(spare)]
        content = [
            {"token": word, "logprob": -1.0, "top_logprobs": first if i == 0 else []}
            for i, word in enumerate(words)
        ]
        return {"content": content}
    return {"tokens": words, "token_logprobs": [-1.0] * len(words)}


def read_in(case: Case, files: Sequence[Path]) -> None:
    """Ingest log files as the product does."""
    intake(case, list(files), in_place=True)
    ingest(case)
    derive_sessions(case)


def write(path: Path, lines: Iterable[bytes]) -> Path:
    """Write log lines to a file."""
    with path.open("wb") as out:
        for one in lines:
            out.write(one + b"\n")
    return path
