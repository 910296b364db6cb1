"""Who is in the incident: ordinary clients and attackers, their credentials, networks and times."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from random import Random

import clients
from actors import DAY, Actor, Call, World
from clients import START
from corpus import Corpus, Doc
from ordinary import ROLES
from server import Server

DAYS = 10.0
#: role, source, number of credentials, calls of each
ORDINARY: list[tuple[str, str, int, int]] = [
    ("chat_user", "openai", 11, 75),
    ("chat_user", "bedrock", 8, 70),
    ("chat_user", "litellm", 6, 60),
    ("writer", "openai", 2, 70),
    ("writer", "bedrock", 1, 60),
    ("code_helper", "openai", 2, 110),
    ("code_helper", "litellm", 2, 90),
    ("code_completion", "openai", 1, 120),
    ("autocomplete", "openai", 2, 300),
    ("prompt_tuner", "openai", 2, 110),
    ("summariser", "bedrock", 1, 110),
    ("summariser", "litellm", 1, 100),
    ("translator", "bedrock", 1, 150),
    ("translator", "openai", 1, 130),
    ("rag", "bedrock", 1, 240),
    ("rag", "openai", 1, 200),
    ("support_bot", "openai", 1, 240),
    ("support_bot", "bedrock", 1, 220),
    ("support_bot", "litellm", 1, 200),
    ("classifier", "openai", 2, 320),
    ("choice_eval", "openai", 1, 400),
    ("quality_scorer", "openai", 1, 110),
    ("health_check", "bedrock", 2, 240),
    ("retry_storm", "litellm", 1, 170),
    ("story_sampler", "openai", 1, 130),
    ("mail_merge", "litellm", 1, 220),
    ("bias_user", "openai", 1, 90),
    ("fairness_audit", "litellm", 1, 160),
    ("extractor", "litellm", 1, 180),
    ("quoter", "openai", 1, 90),
]
AGENTS = {
    "openai": [
        "openai-python/2.31.0",
        "node-fetch/3.3.2",
        "okhttp/4.12.0",
        "Mozilla/5.0",
        "LangChain/1.2",
    ],
    "litellm": ["openai-python/2.31.0", "python-requests/2.32.4", "AsyncOpenAI/JS 6.1.0"],
    "bedrock": ["Boto3/1.42"],
}


def credential(source: str, rng: Random, label: str) -> str:
    """An identifier of the kind the source logs; never a usable secret."""
    if source == "bedrock":
        return f"arn:aws:sts::123456789012:assumed-role/{label}/i-{rng.getrandbits(32):08x}"
    if source == "litellm":
        return hashlib.sha256(f"synthetic virtual key {label} {rng.random()}".encode()).hexdigest()
    return f"key-{rng.getrandbits(40):010x}"


def address(rng: Random, automated: bool, wide: bool = False) -> str:
    """An address of a documentation, benchmarking or private network (RFC 5737, 2544, 1918).

    ``wide`` draws from the benchmarking network only, which holds enough for thousands of actors.
    """
    if wide and not automated:
        return f"198.{rng.choice((18, 19))}.{rng.randrange(256)}.{rng.randrange(2, 250)}"
    if automated:
        return f"10.{rng.randrange(20, 60)}.{rng.randrange(8)}.{rng.randrange(2, 250)}"
    net = rng.choice(
        (
            "192.0.2",
            "198.51.100",
            "203.0.113",
            f"198.18.{rng.randrange(40)}",
            f"198.19.{rng.randrange(40)}",
        )
    )
    return f"{net}.{rng.randrange(2, 250)}"


def new_actor(source: str, role: str, rng: Random, label: str, wide: bool = False) -> Actor:
    """An actor without calls; some people share the address of their school or office."""
    automated = role in ROLES and ROLES[role][3]
    if role == "chat_user" and rng.random() < (0.05 if wide else 0.25):
        shared = f"198.19.{rng.randrange(60)}.1" if wide else "192.0.2.1"
        return Actor(
            credential(source, rng, label), role, source, [shared], rng.choice(AGENTS[source])
        )
    ips = [
        address(rng, automated, wide) for _ in range(1 if automated else rng.choice((1, 1, 2, 3)))
    ]
    return Actor(credential(source, rng, label), role, source, ips, rng.choice(AGENTS[source]))


def run_calls(actor: Actor, calls: Iterator[Call], answer: clients.Answerer) -> None:
    """Send the calls one after the other; the client sees each answer before its next call."""
    for call in calls:
        answer(call)
        actor.calls.append(call)


def ordinary_actors(
    corpus: Corpus, seed: int, scale: float, answer: clients.Answerer
) -> list[Actor]:
    """The ordinary clients with their calls answered."""
    out: list[Actor] = []
    for role, source, count, size in ORDINARY:
        for number in range(count):
            rng = Random(f"ordinary/{seed}/{role}/{source}/{number}")
            world = World(rng, 0, corpus.ordinary, corpus.records)
            actor = new_actor(source, role, rng, role.title().replace("_", "") + str(number))
            n = max(3, int(size * scale * rng.uniform(0.6, 1.35)))
            run_calls(actor, ROLES[role][0](world, n, START, DAYS), answer)
            out.append(actor)
    return out


def attackers(
    corpus: Corpus, server: Server, seed: int, scale: float, answer: clients.Answerer
) -> list[Actor]:
    """The attack clients with their calls answered."""
    rng = Random(f"attack/{seed}")
    targets = clients.choose_targets(corpus, rng)

    def cut(docs: Sequence[Doc]) -> list[Doc]:
        return list(docs)[: max(4, int(len(docs) * min(1.0, scale)))]

    def count(n: int) -> int:
        return max(8, int(n * min(1.0, scale)))

    def start(day: float, hour: float) -> float:
        return START + day * DAY + hour * 3600 + rng.uniform(0, 1200)

    word = server._word  # what the API shows for a token
    top = [server.lm._uni_top[i][0] for i in range(3, 60, 6)][: max(2, int(10 * min(1.0, scale)))]
    c, a = clients, answer
    plan: list[tuple[str, str, str, str, list[str], Iterator[Call], int, float]] = [
        (
            "prefix_probing",
            "openai",
            "training_data_extraction",
            "known beginnings of records, greedy",
            ["prefix_continuation_probe", "memorised_output_signal"],
            c.prefix_probe(rng, cut(targets["prefix"]), start(4, 21.2), (4, 25)),
            26,
            0.0,
        ),
        (
            "prefix_probing_diluted",
            "bedrock",
            "training_data_extraction",
            "known beginnings of records, mixed with ordinary use",
            ["prefix_continuation_probe", "memorised_output_signal"],
            c.prefix_probe(rng, cut(targets["prefix2"]), start(5, 9.4), (200, 900)),
            30,
            0.4,
        ),
        (
            "repetition_divergence",
            "openai",
            "training_data_extraction",
            "repeat a word for ever",
            ["repetition_divergence", "memorised_output_signal"],
            c.repetition(rng, count(40), start(6, 1.6), 700),
            22,
            0.0,
        ),
        (
            "repetition_divergence_bedrock",
            "bedrock",
            "training_data_extraction",
            "repeat a word for ever",
            ["repetition_divergence", "memorised_output_signal"],
            c.repetition(rng, count(24), start(7, 13.1), 640),
            18,
            0.0,
        ),
        (
            "loss_membership",
            "openai",
            "membership_inference",
            "loss of whole candidate records, echo",
            ["member_probe_set", "confidence_score_harvest"],
            c.loss_membership(rng, cut(targets["members"]), cut(targets["others"]), start(5, 2.2)),
            24,
            0.15,
        ),
        (
            "paired_membership",
            "openai",
            "membership_inference",
            "target and five perturbed neighbours",
            ["paired_perturbation_groups", "confidence_score_harvest", "member_probe_set"],
            c.paired_membership(rng, cut(targets["paired"]), start(6, 19.5)),
            20,
            0.0,
        ),
        (
            "attribute_enumeration",
            "openai",
            "attribute_inference",
            "every diagnosis for each patient",
            ["template_slot_enumeration", "confidence_score_harvest"],
            c.attribute_enumeration(rng, cut(targets["clinic"]), start(7, 22.7)),
            24,
            0.0,
        ),
        (
            "logit_bias_sweep",
            "litellm",
            "model_extraction",
            "disjoint batches of biased tokens",
            ["logit_bias_sweep", "confidence_score_harvest"],
            c.bias_sweep(rng, len(server.lm.tokenizer.vocab), count(90), start(8, 3.3)),
            16,
            0.0,
        ),
        (
            "logit_bias_bisection",
            "litellm",
            "model_extraction",
            "bisection of the bias of single tokens",
            ["logit_bias_sweep"],
            c.bias_bisection(rng, word, top, start(8, 16.9)),
            16,
            0.0,
        ),
        (
            "unconditional_sampling",
            "openai",
            "training_data_extraction",
            "long samples from nothing",
            ["prefix_continuation_probe", "memorised_output_signal"],
            c.unconditional(rng, count(120), start(6, 11.4)),
            28,
            0.0,
        ),
    ]
    out: list[Actor] = []
    for role, source, technique, family, detectors, calls, before, mixed in plan:
        own = Random(f"attack/{seed}/{role}")
        actor = new_actor(source, role, own, "AppUser" + str(len(out)))
        actor.technique, actor.family, actor.detectors = technique, family, detectors
        world = World(own, 0, corpus.ordinary, corpus.records)
        run_calls(actor, c.use(world, before, START, 3.9), a)
        run_calls(actor, calls, a)
        if mixed:
            first = min(x.time for x in actor.calls if x.attack)
            last = max(x.time for x in actor.calls if x.attack)
            n = int(len(actor.calls) * mixed)
            extra = list(c.use(world, n, first, max(1.0, (last - first) / DAY)))
            for k, call in enumerate(extra):
                call.time = first + (k + own.random()) * (last - first) / n
            run_calls(actor, iter(extra), a)
        out.append(actor)
    return out + campaign(corpus, targets["campaign"], seed, scale, answer)


def campaign(
    corpus: Corpus, targets: Sequence[Doc], seed: int, scale: float, answer: clients.Answerer
) -> list[Actor]:
    """A slow campaign over forty accounts with disjoint slices of the targets."""
    rng = Random(f"campaign/{seed}")
    members = max(4, int(40 * min(1.0, scale)))
    left = list(targets)
    out: list[Actor] = []
    for number in range(members):
        source = "openai" if number % 5 < 3 else "litellm"
        actor = new_actor(source, "campaign_member", rng, f"Trial{number}")
        actor.ips = [f"198.18.{60 + rng.randrange(60)}.{rng.randrange(2, 250)}"]
        actor.user_agent = "python-httpx/0.27.2"
        actor.technique, actor.campaign = "training_data_extraction", "campaign-1"
        actor.family = "record beginnings, few per account over several days"
        actor.detectors = ["campaign_link", "prefix_continuation_probe"]
        size = rng.randrange(4, 9)
        mine, left = left[:size], left[size:]
        world = World(rng, 0, corpus.ordinary, corpus.records)
        begin = START + 2.5 * DAY + rng.random() * 0.8 * DAY
        run_calls(actor, clients.campaign_member(rng, mine, begin, 5.5), answer)
        run_calls(
            actor, clients.use(world, rng.randrange(1, 4), START + rng.random() * DAY, 8), answer
        )
        out.append(actor)
    return out
