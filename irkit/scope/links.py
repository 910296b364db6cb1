"""Tie exposures to people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import polars as pl

from irkit.analyzers.pii_patterns import IDENTIFIERS
from irkit.case.mask import mask
from irkit.model import LeakLevel, Provenance
from irkit.scope.exposures import SURE
from irkit.scope.names import parts
from irkit.scope.subjects import Linker, country_of, inside_document, is_role_address

#: Identifier types that name a person by themselves (a wallet, a card or a password does not).
_NAMING = frozenset(IDENTIFIERS) - {
    "API_KEY", "ACCESS_TOKEN", "PASSWORD", "PRIVATE_KEY", "CRYPTO", "CREDIT_CARD",
}  # fmt: skip
#: Strong identifiers of one person that make a ``record`` when they come out together.
_TOGETHER = 2


@dataclass(slots=True)
class Links:
    """Who exposures are about.

    Attributes:
        rows: (exposure_id, node, sure, method).
        countries: node to countries told by identifiers.
        labels: node to a masked label.
        records: exposure ids whose level rises to ``record``.
    """

    rows: list[tuple[str, str, bool, str]] = field(default_factory=list)
    countries: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    labels: dict[str, str] = field(default_factory=dict)
    records: set[str] = field(default_factory=set)

    def frame(self) -> pl.DataFrame:
        """Rows as a frame, without repeats."""
        schema = {
            "exposure_id": pl.String, "node": pl.String, "sure": pl.Boolean, "method": pl.String,
        }  # fmt: skip
        return pl.DataFrame(sorted(set(self.rows)), schema, orient="row")


def link_passages(
    links: Links, linker: Linker, exposures: pl.DataFrame, entities: pl.DataFrame, annotated: bool
) -> None:
    """Tie passages to subject ids of their documents, or to the identifiers inside them.

    Args:
        links: filled.
        linker: joins identifiers of one document.
        exposures: of :func:`irkit.scope.exposures.passage_exposures`.
        entities: record_id, choice, e_start, e_end, entity_type, score, canonical, form, key.
        annotated: the corpus names subjects, so that a document without one is about nobody in
            particular and what its identifiers tell is only probable.
    """
    alone = (
        pl.col("subject_id")
        .n_unique()
        .over("record_id", "choice", "response_start", "response_end")
    )
    rows = exposures.with_columns(alone=alone == 1).filter(
        (pl.col("provenance") == Provenance.MEMORISED.value)
        & ~pl.col("common") & ~pl.col("dominated")
    )  # fmt: skip
    inside = rows.select(
        "exposure_id", "record_id", "choice", start="response_start", end="response_end"
    ).join(entities, on=["record_id", "choice"])
    inside = inside.filter(
        (pl.col("start") <= pl.col("e_start")) & (pl.col("e_end") <= pl.col("end"))
    )
    found: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in inside.sort("exposure_id", "e_start").iter_rows(named=True):
        found[row["exposure_id"]].append(row)
    by_document: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in rows.iter_rows(named=True):
        if row["subject_id"] is not None:
            node = linker.node(row["subject_id"])
            links.rows.append((row["exposure_id"], node, row["alone"], "corpus subject_id"))
            for entity in found[row["exposure_id"]]:
                _note_country(links, node, entity)
        else:
            by_document[row["owner"]].append(row)
    for owner in sorted(by_document):
        _link_by_content(links, linker, owner, by_document[owner], found, annotated)


def _link_by_content(
    links: Links,
    linker: Linker,
    owner: str,
    exposures: list[dict[str, object]],
    found: dict[str, list[dict[str, object]]],
    annotated: bool,
) -> None:
    """Tie the passages of one document without a subject id to the people named in them."""
    values: dict[tuple[str, str, str], tuple[int, dict[str, object]]] = {}
    names: dict[tuple[str, ...], str] = {}
    for exposure in exposures:
        for entity in found[str(exposure["exposure_id"])]:
            kind, form, key = str(entity["entity_type"]), str(entity["form"]), str(entity["key"])
            if kind == "PERSON" and len(parts(str(entity["canonical"]))) > 1:
                names.setdefault(parts(str(entity["canonical"])), str(entity["canonical"]))
            if kind not in _NAMING or float(entity["score"]) < SURE:  # type: ignore[arg-type]
                continue
            if form == "lower" and is_role_address(key):
                continue
            place = int(entity["e_start"])  # type: ignore[call-overload]
            values.setdefault((kind, form, key), (place, entity))
    if values:
        ordered = sorted((place, *value) for value, (place, _) in values.items())
        nodes = inside_document(linker, ordered)
        node_of = {(form, key): nodes[place] for place, _, form, key in ordered}
        for (kind, form, key), (_, entity) in sorted(values.items()):
            node = node_of[form, key]
            _note_country(links, node, entity)
            links.labels.setdefault(node, mask(str(entity["canonical"]), kind))
        for exposure in exposures:
            name = str(exposure["exposure_id"])
            for entity in found[name]:
                node_key = (str(entity["form"]), str(entity["key"]))
                if node_key in node_of:
                    node = node_of[node_key]
                    sure = not annotated
                    links.rows.append((name, node, sure, "identifier in the passage"))
    elif names and not annotated:
        # A name alone: a person of this document and of no other.
        for skeleton, name in sorted(names.items()):
            node = f"n:{owner}:{' '.join(skeleton)}"
            links.labels.setdefault(node, mask(name, "person"))
            for exposure in exposures:
                said = {parts(str(e["canonical"])) for e in found[str(exposure["exposure_id"])]}
                if skeleton in said:
                    row = (str(exposure["exposure_id"]), node, False, "name in the passage")
                    links.rows.append(row)


def link_typed(links: Links, linker: Linker, exposures: pl.DataFrame) -> None:
    """Tie single identifiers to people, and raise those that came out together to ``record``."""
    together: dict[tuple[str, int, str], dict[str, set[str]]] = defaultdict(
        lambda: defaultdict(set)
    )
    for row in exposures.iter_rows(named=True):
        kind = row["entity_types"][0]
        if linker.knows(row["form"], row["key"]):
            nodes = linker.nodes_of(row["form"], row["key"])
            method = "register"
        elif row["subject_id"] is not None:
            nodes, method = [linker.node(row["subject_id"])], "document of the subject"
        elif kind in _NAMING:
            nodes, method = linker.nodes_of(row["form"], row["key"]), "identifier"
        else:
            continue
        for node in nodes:
            sure = len(nodes) == 1
            links.rows.append((row["exposure_id"], node, sure, method))
            links.labels.setdefault(node, row["value_masked"])
            _note_country(links, node, row | {"entity_type": kind})
            if sure and row["provenance"] == Provenance.MEMORISED.value:
                group = (row["record_id"], row["choice"], linker.key(node))
                together[group][row["key"]].add(row["exposure_id"])
    for values in together.values():
        if len(values) >= _TOGETHER:
            links.records.update(*values.values())


def _note_country(links: Links, node: str, entity: dict[str, object]) -> None:
    place = country_of(str(entity["entity_type"]), str(entity["canonical"]))
    if place is not None:
        links.countries[node].add(place)


def raise_levels(exposures: pl.DataFrame, records: set[str]) -> pl.DataFrame:
    """Give identifiers that came out together the level ``record``."""
    return exposures.with_columns(
        level=pl.when(pl.col("exposure_id").is_in(sorted(records)))
        .then(pl.lit(LeakLevel.RECORD.value))
        .otherwise("level")
    )
