"""Task heads of the served system: they can only repeat what the request itself holds."""

# ruff: noqa: E501
from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

Body = dict[str, Any]
Closing = Callable[[str, Random], str]
WORD = re.compile(r"[^\W\d_]{3,}")
LEXICON = {
    "German": "the=die and=und with=mit for=für is=ist of=von to=zu from=aus on=auf in=in a=ein at=bei "
    "please=bitte customer=Kunde order=Bestellung date=Datum day=Tag house=Haus not=nicht water=Wasser "
    "minutes=Minuten hours=Stunden before=vor after=nach born=geboren patient=Patientin visit=Besuch",
    "French": "the=le and=et with=avec for=pour is=est of=de to=à from=de on=sur in=dans a=un at=chez "
    "please=veuillez customer=client order=commande date=date day=jour house=maison not=pas water=eau "
    "minutes=minutes hours=heures before=avant after=après born=né patient=patient visit=visite",
    "Spanish": "the=el and=y with=con for=para is=es of=de to=a from=de on=en in=en a=un at=en "
    "please=por_favor customer=cliente order=pedido date=fecha day=día house=casa not=no water=agua "
    "minutes=minutos hours=horas before=antes after=después born=nacido patient=paciente visit=visita",
}
LEXICONS = {k: dict(p.split("=") for p in v.split()) for k, v in LEXICON.items()}


def _sentences(text: str) -> list[str]:
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", text) if s.strip()]


def _rag(req: Body, prompt: str, rng: Random, _: Closing) -> str:
    context = "\n".join(m["content"] for m in req["messages"] if m["role"] in ("system", "tool"))
    passages = re.findall(r"\[(\d+)\] (.+?)(?=\n\[\d+\] |\Z)", context, re.DOTALL)
    if not passages:
        return "The documents do not answer this."
    asked = set(WORD.findall(prompt.lower()))
    number, body = max(passages, key=lambda p: (len(asked & set(WORD.findall(p[1].lower()))), p[0]))
    if "whole" in prompt or "everything" in prompt or rng.random() < 0.35:
        return f"From document [{number}]: {body.strip()}"
    ranked = sorted(_sentences(body), key=lambda s: -len(asked & set(WORD.findall(s.lower()))))
    return f"According to [{number}], {' '.join(ranked[: rng.randrange(1, 4)])}"


def _translate(_: Body, prompt: str, rng: Random, __: Closing) -> str:
    target = next((name for name in LEXICONS if name in prompt[:120]), "German")
    table = LEXICONS[target]
    source = prompt.split("\n", 1)[-1]
    del rng
    return re.sub(r"\w+", lambda m: table.get(m[0].lower(), m[0]).replace("_", " "), source)


def _summary(_: Body, prompt: str, rng: Random, __: Closing) -> str:
    body = _sentences(prompt.split("\n", 1)[-1])
    kept = body[:1] + [s for s in body[1:] if rng.random() < 0.3]
    return "In short: " + " ".join(
        s if rng.random() < 0.5 else re.sub(r", [^,.]+", "", s) for s in kept
    )


def _health(_: Body, prompt: str, rng: Random, __: Closing) -> str:
    del prompt, rng
    return "OK"


def _merge(_: Body, prompt: str, rng: Random, closing: Closing) -> str:
    name = re.search(r"[Nn]ame: ([^;\n]+)", prompt)
    rest = re.findall(r"([a-z_]+): ([^;\n]+)", prompt)
    facts = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in rest if k != "name")
    opening = f"Dear {name[1] if name else 'customer'},"
    about = rng.choice(("we write about", "this concerns"))
    return f"{opening}\n{about} {facts}. {closing(prompt, rng)}"


def _extract(_: Body, prompt: str, rng: Random, __: Closing) -> str:
    del rng
    pairs = re.findall(r"([A-Z][a-z]+(?: no)?): ([^;,\n]+)", prompt)
    return "{" + ", ".join(f'"{k.lower()}": "{v.strip()}"' for k, v in pairs) + "}"


HEADS = {
    "rag": _rag,
    "translate": _translate,
    "summary": _summary,
    "health": _health,
    "merge": _merge,
    "extract": _extract,
}
