"""Exposures of training records that a preserved gradient gives away.

They come out of no answer: their ``record_id`` names the evidence file, and there is no call, no
time and no passage.  A record that no other comes near counts as a whole record; where several are
as near, each is only possible.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from irkit.case.mask import DOTS, value_hash
from irkit.model import LeakLevel, Provenance
from irkit.scope.categories import categories
from irkit.scope.exposures import EXPOSURE_SCHEMA, exposure_id
from irkit.scope.links import Links
from irkit.scope.subjects import Linker

if TYPE_CHECKING:
    from irkit.case import Case

#: Beginning of the record id of what came out of a gradient.
CHANNEL = "gradient:"

_MATCHES = """
SELECT m.source_id, e.sha256, m.layer, m.how, m.doc_id, m.subject_id, m.kind, m.cosine, m.distance,
       m.psnr, m.sure, m.scaling
FROM gradient_match m JOIN evidence_source e USING (source_id) ORDER BY m.source_id, m.item
"""
_HOW = {
    "agreed": "several neurons agree",
    "single": "one neuron",
    "imprint": "neighbouring bins of an imprint layer",
}


def reconstructed(case: Case, pepper: bytes) -> pl.DataFrame:
    """Make exposure rows of the recognised training records.

    Returns:
        Rows of :data:`EXPOSURE_SCHEMA` with ``subject_id`` and ``sure`` added.
    """
    made: list[dict[str, object]] = []
    columns = (
        "source_id", "sha256", "layer", "how", "doc_id", "subject_id", "kind", "cosine",
        "distance", "psnr", "sure", "scaling",
    )  # fmt: skip
    for values in case.rows(_MATCHES):
        row = dict(zip(columns, values, strict=True))
        made.append(
            {
                "exposure_id": exposure_id(CHANNEL, row["sha256"], row["doc_id"]),
                "record_id": f"{CHANNEL}E{int(row['source_id']):03d}",
                "choice": 0,
                "provenance": Provenance.MEMORISED.value,
                "level": (LeakLevel.RECORD if row["sure"] else LeakLevel.TYPED).value,
                "doc_id": row["doc_id"],
                "doc_start": None, "doc_end": None, "response_start": 0, "response_end": 0,
                "matched_chars": 0, "subtracted_chars": 0, "leaked_chars": 0, "df": 1,
                "entity_types": [],
                "categories": categories("", [], row["kind"]),
                "method": f"reconstructed from a gradient ({_HOW[row['how']]} in {row['layer']}):"
                f" cosine {row['cosine']:.4f}, relative distance {row['distance']:.1e},"
                f" {row['psnr']:.0f} dB to the record {row['scaling']}"
                + ("" if row["sure"] else "; other records are as near"),
                "value_masked": f"numbers {DOTS}",
                "value_hash": value_hash(str(row["doc_id"]), pepper),
                "subject_id": row["subject_id"],
                "sure": row["sure"],
            }
        )  # fmt: skip
    schema = EXPOSURE_SCHEMA | {"subject_id": pl.String(), "sure": pl.Boolean()}
    return pl.DataFrame(made, schema)


def link_reconstructed(links: Links, linker: Linker, exposures: pl.DataFrame) -> None:
    """Tie reconstructed records to their people.

    A record without a subject id is taken for one person's, and only probably.
    """
    for row in exposures.iter_rows(named=True):
        subject = row["subject_id"]
        if subject is not None:
            node, how = linker.node(subject), "subject_id of the training record"
        else:
            node, how = f"r:{row['doc_id']}", "training record without a subject id"
            links.labels.setdefault(node, f"record {DOTS}")
        sure = bool(row["sure"]) and subject is not None
        links.rows.append((row["exposure_id"], node, sure, how))
