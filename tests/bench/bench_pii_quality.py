"""What irkit finds beside Presidio as it comes, on texts whose personal data is marked.

Both sides use the same small English spaCy model in the same run.  The data is microsoft's
presidio-research format: a JSON list of texts with ``full_text`` and ``spans``.

Rule: a marked span counts as found where a finding of the same type overlaps it by at least one
character, and a finding counts as right where it overlaps a marked span of its type.  ADDRESS is
marked LOCATION (neither side tells them apart) and DOMAIN_NAME is marked URL; irkit's DATE_OF_BIRTH
and DRIVER_LICENSE are compared with DATE_TIME and US_DRIVER_LICENSE.  irkit reports organisations
only where a legal form names them, and neither dates nor pages as such: they identify no person.

Run: python tests/bench/bench_pii_quality.py [--data FILE] [--dialogues FILE] [--engines both]
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from irkit.analyzers.pii import MODEL, read_texts

Span = tuple[int, int, str]

MARKED = {"ADDRESS": "LOCATION", "DOMAIN_NAME": "URL"}
NAMED = {"DATE_OF_BIRTH": "DATE_TIME", "DRIVER_LICENSE": "US_DRIVER_LICENSE"}
#: Types that irkit looks for; the rest is left out of the second pair of totals.
LOOKED_FOR = frozenset(
    (
        "CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "LOCATION", "PERSON",
        "PHONE_NUMBER", "US_SSN",
    )
)  # fmt: skip


def overlap(span: Span, others: Sequence[Span]) -> bool:
    """True where a span of the same type shares a character with it."""
    return any(o[0] < span[1] and span[0] < o[1] and o[2] == span[2] for o in others)


class Score:
    """Counts of marked spans found and of findings that are right, by type."""

    def __init__(self, marked: Sequence[list[Span]], found: Sequence[list[Span]]) -> None:
        self.marked: Counter[str] = Counter()
        self.hit: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        for gold, mine in zip(marked, found, strict=True):
            for span in gold:
                self.marked[span[2]] += 1
                self.hit[span[2]] += overlap(span, mine)
            for span in mine:
                self.found[span[2]] += 1
                self.right[span[2]] += overlap(span, gold)

    def line(self, kinds: Sequence[str]) -> str:
        """Recall and precision over types."""
        marked = sum(self.marked[k] for k in kinds)
        found = sum(self.found[k] for k in kinds)
        recall = f"{sum(self.hit[k] for k in kinds) / marked:.3f}" if marked else "    -"
        precision = f"{sum(self.right[k] for k in kinds) / found:.3f}" if found else "    -"
        return f"{recall:>7} {precision:>7} {found:>6}"


def vanilla(texts: Sequence[str]) -> tuple[list[list[Span]], float]:
    """Presidio's AnalyzerEngine as it comes, and its CPU seconds."""
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    configuration = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": "en", "model_name": MODEL}],
    }
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine)
    begin = time.process_time()
    found = [
        [(r.start, r.end, r.entity_type) for r in analyzer.analyze(text, "en")] for text in texts
    ]
    return found, time.process_time() - begin


def own(texts: Sequence[str], engines: str) -> tuple[list[list[Span]], float]:
    """irkit's findings, and their CPU seconds."""
    found: list[list[Span]] = [[] for _ in texts]
    begin = time.process_time()
    rows = read_texts(texts, engines)
    seconds = time.process_time() - begin
    for text, start, end, kind in rows.select(
        "text_id", "e_start", "e_end", "entity_type"
    ).iter_rows():
        found[int(text)].append((start, end, NAMED.get(kind, kind)))
    return found, seconds


def quality(path: Path, engines: str) -> None:
    """Print the table."""
    write = sys.stdout.write
    entries = json.loads(path.read_text("utf-8"))
    texts = [entry["full_text"] for entry in entries]
    marked = [
        [
            (s["start_position"], s["end_position"], MARKED.get(s["entity_type"], s["entity_type"]))
            for s in entry["spans"]
        ]
        for entry in entries
    ]
    theirs, their_time = vanilla(texts)
    mine, my_time = own(texts, engines)
    one, two = Score(marked, mine), Score(marked, theirs)
    kinds = sorted(one.marked | one.found | two.found)
    write(f"{path.name}: {len(texts)} texts; engines: {engines}; overlap of one type\n")
    write(f"{'':24}{'marked':>7}   irkit: R       P  found   Presidio: R    P  found\n")
    for kind in kinds:
        write(f"{kind:24}{one.marked[kind]:>7}  {one.line([kind])}   {two.line([kind])}\n")
    some = sorted(LOOKED_FOR)
    for name, chosen in (("micro, all types", kinds), ("micro, types looked for", some)):
        total = sum(one.marked[k] for k in chosen)
        write(f"{name:24}{total:>7}  {one.line(chosen)}   {two.line(chosen)}\n")
    size = sum(map(len, texts)) / 1e3
    write(f"KB/s of CPU: irkit {size / my_time:.0f}, Presidio {size / their_time:.0f}\n")
    kept = total = 0
    for gold, some_mine, some_theirs in zip(marked, mine, theirs, strict=True):
        for span in some_theirs:
            if span[2] in LOOKED_FOR and overlap(span, gold):
                total += 1
                kept += overlap(span, some_mine)
    write(f"of Presidio's {total} right findings irkit keeps {kept / max(total, 1):.2%}\n")


def dialogues(path: Path, engines: str, number: int) -> None:
    """Print what is found in dialogues with service bots, where slots mark what is personal."""
    write = sys.stdout.write
    turns: list[tuple[str, list[Span]]] = []
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for line in stream:
            turns += [
                (turn["utterance"], [(b, e, s) for s, b, e in turn["slots"]])
                for turn in json.loads(line)["turns"]
                if turn["speaker"] == "SYSTEM"
            ]
    turns = turns[:: max(1, len(turns) // number)][:number]
    texts = [text for text, _ in turns]
    theirs, mine = vanilla(texts)[0], own(texts, engines)[0]
    write(f"\n{path.name}: {len(texts)} answers of service bots; findings outside every slot\n")
    for kind in ("PERSON", "LOCATION", "PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "EMAIL_ADDRESS"):
        counts = []
        for found in (mine, theirs):
            every = [(i, s) for i, some in enumerate(found) for s in some if s[2] == kind]
            loose = [
                s for i, s in every if not any(b < s[1] and s[0] < e for b, e, _ in turns[i][1])
            ]
            counts.append(f"{len(loose):>5} of {len(every):>5} ({len(loose) / len(texts):.2%})")
        write(f"{kind:16} irkit {counts[0]}   Presidio {counts[1]}\n")


def main() -> None:
    """Print the figures."""
    data = Path(os.environ.get("IRKIT_DEV_DATA", Path(__file__).parents[3] / "shared" / "data"))
    options = argparse.ArgumentParser()
    options.add_argument(
        "--data", type=Path, default=data / "presidio_research" / "generated_large.json"
    )
    options.add_argument("--dialogues", type=Path, default=data / "sgd_dialogues" / "dev.jsonl.gz")
    options.add_argument("--engines", default="both", choices=("both", "spacy", "rampart"))
    options.add_argument("--answers", type=int, default=3000)
    args = options.parse_args()
    logging.disable(logging.WARNING)
    if args.data.is_file():
        quality(args.data, args.engines)
    if args.dialogues.is_file():
        dialogues(args.dialogues, args.engines, args.answers)


if __name__ == "__main__":
    main()
