"""PII scanning against Presidio's BatchAnalyzerEngine over the same archive, in CPU seconds.

The archive is made like a service's log: most responses repeat themselves or their context, some
are new.  Both sides use the same spaCy model.

Run: python tests/bench/bench_pii.py [--texts 300] [--archive 3000]
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections.abc import Callable

from irkit.analyzers.pii import MIN_SCORE, MODEL, Piece, Recogniser
from irkit.analyzers.pii_find import find_identifiers

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
    recogniser = Recogniser()
    todo = [Piece(str(i), 0, text) for i, text in enumerate(unique)]
    recogniser.find(todo[:2])
    list(batch.analyze_iterator(unique[:2], "en"))
    results: list[list[object]] = []
    theirs = cpu(lambda: results.extend(batch.analyze_iterator(unique, "en", batch_size=64)))
    frames = []
    ours = cpu(lambda: frames.append(recogniser.find(todo)))
    expected = {
        (str(i), r.start, r.end, r.entity_type)  # type: ignore[attr-defined]
        for i, some in enumerate(results)
        for r in some
        if r.entity_type in ENTITIES and r.score >= MIN_SCORE  # type: ignore[attr-defined]
    }
    mine = set(frames[0].select("text_id", "e_start", "e_end", "entity_type").iter_rows())
    write(f"novel text, Presidio batch: {size / 1e3 / theirs:.0f} KB/s per core\n")
    write(f"novel text, irkit:          {size / 1e3 / ours:.0f} KB/s per core")
    write(f" ({theirs / ours:.1f} x, {len(expected & mine)}/{len(expected)} findings kept)\n")

    # An archive: one response in ten is new and of an actor worth reading, the rest repeats.
    archive = [rng.choice(unique) for _ in range(args.archive)]
    total = sum(map(len, archive))
    patterns = cpu(lambda: find_identifiers(sorted(set(archive))))
    read = max(1, len(unique) // 10)
    model = cpu(lambda: recogniser.find(todo[:read]))
    whole = theirs * total / size
    write(f"archive of {len(archive)} responses, {len(unique)} different, {read} read closely:\n")
    write(f"  Presidio over every response: {whole:.1f} s (from the rate above)\n")
    write(f"  irkit, all tiers:             {patterns + model:.1f} s")
    write(f" ({whole / (patterns + model):.0f} x)\n")
    write(f"  irkit, every unique response: {patterns + ours:.1f} s")
    write(f" ({whole / (patterns + ours):.0f} x)\n")
    many = [text for text in unique for _ in range(20)]
    seconds = cpu(lambda: find_identifiers(many))
    write(f"pattern tier: {20 * size / 1e6 / seconds:.0f} MB/s per core on text full of names\n")
    plain = [" ".join(SENTENCES[i] for i in (0, 1, 2, 6, 7)) for _ in range(20_000)]
    seconds = cpu(lambda: find_identifiers(plain))
    write(f"pattern tier: {sum(map(len, plain)) / 1e6 / seconds:.0f} MB/s per core on plain text\n")


if __name__ == "__main__":
    main()
