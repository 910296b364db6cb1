"""Throughput of corpus matching on one core, with planted spans to prove recall while it runs.

Run: python tests/bench/bench_corpus.py [--mb 200] [--responses 20000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

from irkit.analyzers.corpus import block_of, load_corpus, text_set
from irkit.analyzers.corpus_engine import scan
from irkit.analyzers.corpus_near import NearSet, scan_near

PLANTED_TOKENS = 50


def documents(megabytes: int, rng: np.random.Generator) -> list[str]:
    """Make text with word frequencies after Zipf's law, punctuation and line breaks."""
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    weights = 1 / np.arange(1, 27)
    words = [
        "".join(rng.choice(letters, n, p=weights / weights.sum()))
        for n in rng.integers(2, 11, 50_000)
    ]
    marks = np.array([" "] * 9 + [", ", ". ", ".\n"])
    rank = 1 / np.arange(1, len(words) + 1)
    docs: list[str] = []
    size = 0
    while size < megabytes << 20:
        picked = rng.choice(len(words), 100_000, p=rank / rank.sum())
        gaps = marks[rng.integers(0, len(marks), 100_000)].tolist()
        at = 0
        while at < 100_000:
            n = int(rng.integers(50, 1200))
            part = zip(picked[at : at + n].tolist(), gaps[at : at + n], strict=True)
            docs.append("".join(words[i] + gap for i, gap in part))
            size += len(docs[-1])
            at += n
    return docs


def responses(docs: list[str], count: int, rng: np.random.Generator) -> list[str]:
    """Every second response holds a passage of exactly 50 tokens of one document."""
    import re

    token = re.compile(r"\w+|[^\w\s]")
    made = []
    for i in range(count):
        filler = docs[int(rng.integers(len(docs)))].split()
        rng.shuffle(filler)
        text = " ".join(filler[:300])
        if i % 2 == 0:
            source = docs[int(rng.integers(len(docs)))]
            spots = [m.span() for m in token.finditer(source)]
            if len(spots) > PLANTED_TOKENS:
                at = int(rng.integers(len(spots) - PLANTED_TOKENS))
                span = source[spots[at][0] : spots[at + PLANTED_TOKENS - 1][1]]
                text = f"{text[:700]} ||{span}|| {text[700:]}"
        made.append(text)
    return made


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of the faster of two runs, so that a busy machine does not count."""
    seconds = []
    for _ in range(2):
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser()
    options.add_argument("--mb", type=int, default=100)
    options.add_argument("--responses", type=int, default=20_000)
    args = options.parse_args()
    rng = np.random.default_rng(7)
    docs = documents(args.mb, rng)
    made = responses(docs, args.responses, rng)
    planted = {i for i, text in enumerate(made) if "||" in text}
    write = sys.stdout.write
    begin = time.process_time()
    texts = text_set([text.encode() for text in made], [(False, True)] * len(made))
    took = time.process_time() - begin
    write(f"index {len(texts.tokens) / 1e6:.1f} M response tokens: {took:.2f} s\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "corpus.jsonl"
        with path.open("wb") as stream:
            for i, text in enumerate(docs):
                stream.write(orjson.dumps({"doc_id": f"d{i}", "text": text}) + b"\n")
        batches = list(load_corpus(path).batches())
        size = sum(len(text.encode()) for text in docs)
        found: set[int] = set()

        def run() -> None:
            for batch in batches:
                table = scan(texts, block_of(batch))
                found.update(
                    t
                    for t, n in zip(
                        table["text"].to_pylist(), table["tokens"].to_pylist(), strict=True
                    )
                    if n >= PLANTED_TOKENS
                )

        seconds = timed(run)
        write(f"match raw text, one core: {size / 1e6 / seconds:.0f} MB/s\n")
        write(f"planted {len(planted)}, found {len(planted & found)}\n")
        near = NearSet(texts)

        def run_near() -> None:
            for batch in batches:
                scan_near(near, block_of(batch))

        edited = timed(run_near)
        write(f"edited passages too: {size / 1e6 / (seconds + edited):.0f} MB/s\n")
        seconds = timed(lambda: [None for _ in load_corpus(path).batches()])
        write(f"read JSONL, one core: {path.stat().st_size / 1e6 / seconds:.0f} MB/s\n")


if __name__ == "__main__":
    main()
