"""PII scanning against Presidio's BatchAnalyzerEngine over the same archive, in CPU seconds.

The archive is made like a service's log: most responses repeat themselves or their context, some
are new.  Both sides use the same models: first spaCy's alone, with which the findings must be
equal, then spaCy's and Rampart together, which is what irkit does by default; where Presidio gives
one place two types irkit decides, so fewer findings are the same there.

Run: python tests/bench/bench_pii.py [--texts 300] [--archive 3000]
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Callable

import polars as pl

from irkit.analyzers.pii import MIN_SCORE, MODEL, Piece, Recogniser
from irkit.analyzers.pii_find import find_identifiers
from irkit.scope.lookup import find_known

FIRST = ["John", "Mary", "Peter", "Susan", "David", "Laura", "Michael", "Karen", "Paul", "Emma"]
LAST = ["Smith", "Brown", "Taylor", "Wilson", "Clark", "Walker", "Hall", "Young", "King", "Green"]
PLACES = ["Paris", "London", "Berlin", "Madrid", "Vienna", "Dublin", "Oslo", "Rome"]
ENTITIES = {"PERSON", "LOCATION", "NRP", "EMAIL_ADDRESS", "PHONE_NUMBER", "IBAN_CODE",
            "CREDIT_CARD", "CRYPTO", "IP_ADDRESS", "US_SSN"}  # fmt: skip
SENTENCES = (
    "The committee met on Tuesday and agreed to publish the minutes within a week.",
    "You can restart the router by holding the button for ten seconds.",
    "Mix the flour with the butter, add two eggs and let the dough rest.",
    "{name} lives in {place} and works for a small bakery near the station.",
    "Please contact {name} at {mail} or call +1 202-555-01{nn:02d} before noon.",
    "The payment of 120 euros goes to GB29 NWBK 6016 1331 9268 19.",
    "Our store opens at nine and closes at six, except on Sundays.",
    "To sort a list in Python, use the sorted function with a key.",
)


def novel(rng: random.Random) -> str:
    """One response of a few sentences, as an assistant writes them."""
    made = []
    for _ in range(rng.randrange(4, 12)):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        mail = f"{first.lower()}.{last.lower()}@example.com"
        made.append(
            rng.choice(SENTENCES).format(
                name=f"{first} {last}", place=rng.choice(PLACES), mail=mail, nn=rng.randrange(100)
            )
        )
    return " ".join(made)


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser()
    options.add_argument("--texts", type=int, default=300)
    options.add_argument("--archive", type=int, default=3000)
    args = options.parse_args()
    logging.disable(logging.WARNING)
    from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    write = sys.stdout.write
    rng = random.Random(11)
    unique = [novel(rng) for _ in range(args.texts)]
    size = sum(map(len, unique))
    configuration = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": "en", "model_name": MODEL}],
    }
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    batch = BatchAnalyzerEngine(AnalyzerEngine(nlp_engine=engine))
    todo = [Piece(str(i), 0, text) for i, text in enumerate(unique)]
    rates: dict[str, tuple[float, float]] = {}
    first: set[tuple[str, int, int, str]] = set()
    for engines in ("spacy", "both"):
        if engines == "both":
            from irkit.analyzers.pii_presidio import RampartRecogniser

            batch.analyzer_engine.registry.add_recognizer(RampartRecogniser())
        recogniser = Recogniser(engines=engines)
        recogniser.find(todo[:2])
        list(batch.analyze_iterator(unique[:2], "en"))
        results: list[list[object]] = []
        theirs = cpu(lambda: results.extend(batch.analyze_iterator(unique, "en", batch_size=64)))  # noqa: B023
        frames = []
        ours = cpu(lambda: frames.append(recogniser.find(todo)))  # noqa: B023
        rates[engines] = theirs, ours
        expected = {
            (str(i), r.start, r.end, r.entity_type)  # type: ignore[attr-defined]
            for i, some in enumerate(results)
            for r in some
            if r.entity_type in ENTITIES and r.score >= MIN_SCORE  # type: ignore[attr-defined]
        }
        mine = set(frames[0].select("text_id", "e_start", "e_end", "entity_type").iter_rows())
        spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for text, start, end, kind in mine:
            spans.setdefault((text, kind), []).append((start, end))
        touched = sum(
            any(a < end and start < b for a, b in spans.get((text, kind), ()))
            for text, start, end, kind in expected
        )
        write(f"{engines}: novel text, Presidio batch {size / 1e3 / theirs:.0f} KB/s per core,")
        write(f" irkit {size / 1e3 / ours:.0f} KB/s per core ({theirs / ours:.1f} x)\n")
        write(f"  of {len(expected)} findings {len(expected & mine)} are the same to the letter,")
        write(f" {touched / max(1, len(expected)):.2%} are kept (a finding of the type overlaps)\n")
        first = first or expected
    still = sum(
        any(a < end and start < b for a, b in spans.get((text, kind), ()))
        for text, start, end, kind in first
    )
    write(
        f"both: of Presidio's findings with spaCy alone {still / max(1, len(first)):.2%} are kept\n"
    )

    # An archive: one response in ten is new and of an actor worth reading, the rest repeats.
    archive = [rng.choice(unique) for _ in range(args.archive)]
    total = sum(map(len, archive))
    patterns = cpu(lambda: find_identifiers(sorted(set(archive))))
    read = max(1, len(unique) // 10)
    write(f"archive of {len(archive)} responses, {len(unique)} different, {read} read closely:\n")
    for engines, (theirs, ours) in rates.items():
        whole = theirs * total / size
        close = ours * sum(map(len, unique[:read])) / size
        write(f"  {engines}: Presidio over every response {whole:.1f} s (from the rate above)")
        write(f"; irkit, all tiers {patterns + close:.1f} s ({whole / (patterns + close):.0f} x)")
        write(f"; every different response {patterns + ours:.1f} s")
        write(f" ({whole / (patterns + ours):.0f} x)\n")
    plainly, mixed = rates["spacy"][0] * total / size, patterns + rates["both"][1]
    write("  irkit with both models, every different response, to Presidio with spaCy alone:")
    write(f" {plainly / mixed:.0f} x\n")
    many = [text for text in unique for _ in range(20)]
    seconds = cpu(lambda: find_identifiers(many))
    write(f"pattern tier: {20 * size / 1e6 / seconds:.0f} MB/s per core on text full of names\n")
    rare = [" ".join(SENTENCES[i] for i in (0, 1, 2, 6, 7)) for _ in range(9_500)] + unique * 4
    seconds = cpu(lambda: find_identifiers(rare))
    rate = sum(map(len, rare)) / 1e6 / seconds
    share = 4 * len(unique) / len(rare)
    write(
        f"pattern tier: {rate:.0f} MB/s per core where {share:.0%} of the texts are full of them\n"
    )
    plain = [" ".join(SENTENCES[i] for i in (0, 1, 2, 6, 7)) for _ in range(20_000)]
    seconds = cpu(lambda: find_identifiers(plain))
    write(f"pattern tier: {sum(map(len, plain)) / 1e6 / seconds:.0f} MB/s per core on plain text\n")
    known = pl.DataFrame(
        [
            ("IDENTIFIER", key, "compact", key)
            for key in (f"CUST{number:07d}" for number in range(0, 20_000, 2))
        ],
        ["entity_type", "canonical", "form", "key"],
        orient="row",
    )
    seconds = cpu(lambda: find_known(plain, known))
    rate = sum(map(len, plain)) / 1e6 / seconds
    write(f"known-identifier tier: {rate:.0f} MB/s per core, {len(known)} identifiers\n")


if __name__ == "__main__":
    main()
