"""The register of data subjects: who is known under which identifiers.

CSV or Parquet with one row per person.  ``subject_id`` names the person; name, e-mail, telephone,
IBAN, country, birth date and categories are recognised by their column names, and every other
column whose values are long and nearly all different (customer or staff numbers) is taken as an
identifier.  One column may hold several values, separated by ``;``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from irkit.errors import UsageError
from irkit.scope.values import with_key

#: Column name patterns, in order; the first that fits says what a column is.
_COLUMNS: tuple[tuple[str, str], ...] = (
    (r"subject_?id|person_?id|^id$|data_?subject", "subject_id"),
    (r"e_?mail", "EMAIL_ADDRESS"),
    (r"phone|mobile|(?:^|_)tel|telefon", "PHONE_NUMBER"),
    (r"iban", "IBAN_CODE"),
    (r"^(?:full_?)?name$|display_?name", "name"),
    (r"given|first_?name|forename|vorname|prenom", "given"),
    (r"surname|last_?name|family_?name|nachname|^nom$", "surname"),
    (r"country|residence|nationality|^land$", "country"),
    (r"birth|^dob$|geburt", "birth"),
    (r"categor", "categories"),
    (r"city|town|street|address|zip|post_?code|synthetic|language|^lang$|gender|sex$|notes?$", ""),
)
#: A column of other identifiers: values at least this long, and this share of them different.
_LONG, _DIFFERENT = 5, 0.9


@dataclass(frozen=True, slots=True)
class Register:
    """People and their identifiers.

    Attributes:
        people: subject_id, name, country (ISO 3166-1 alpha-2), birth (ISO date), one row each.
        identifiers: subject_id, entity_type, canonical, form, key.
    """

    people: pl.DataFrame
    identifiers: pl.DataFrame


_PEOPLE = {"subject_id": pl.String, "name": pl.String, "country": pl.String, "birth": pl.String}


def empty_register() -> Register:
    """Return a register of nobody."""
    none = pl.DataFrame(
        schema={"subject_id": pl.String, "entity_type": pl.String, "canonical": pl.String}
    )
    return Register(pl.DataFrame(schema=_PEOPLE), with_key(none))


def read_register(path: Path) -> Register:
    """Read a register.

    Raises:
        UsageError: the file is missing, no CSV or Parquet, or has no subject ids.
    """
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            table = pl.read_parquet(path)
        else:
            head = path.open("rb").read(4096).split(b"\n", 1)[0]
            comma = max(b",;\t|", key=lambda c: head.count(bytes([c])))
            table = pl.read_csv(
                path, separator=chr(comma), infer_schema=False, encoding="utf8-lossy",
                truncate_ragged_lines=True,
            )  # fmt: skip
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UsageError(
            f"{path}: cannot read the subject register", "give a CSV or Parquet file"
        ) from error
    kinds = {name: _kind(name) for name in table.columns}
    key = next((name for name, kind in kinds.items() if kind == "subject_id"), None)
    if key is None:
        raise UsageError(
            f"{path}: the subject register has no column subject_id "
            f"(columns: {', '.join(table.columns[:12])})",
            "name the column that tells people apart subject_id",
        )
    flat = table.select(pl.all().exclude(pl.List, pl.Struct).cast(pl.String, strict=False))
    flat = flat.rename({key: "subject_id"}) if key != "subject_id" else flat
    flat = flat.with_columns(pl.col("subject_id").str.strip_chars()).filter(
        pl.col("subject_id").fill_null("") != ""
    )
    return Register(_people(flat, kinds), _identifiers(flat, kinds))


def _kind(name: str) -> str | None:
    plain = re.sub(r"[\s-]+", "_", name.strip().lower())
    for pattern, kind in _COLUMNS:
        if re.search(pattern, plain):
            return kind
    return None


def _people(table: pl.DataFrame, kinds: dict[str, str | None]) -> pl.DataFrame:
    def column(kind: str) -> pl.Expr:
        names = [name for name, k in kinds.items() if k == kind and name in table.columns]
        return pl.col(names[0]) if names else pl.lit(None, pl.String)

    name = pl.coalesce(
        column("name"), pl.concat_str([column("given"), column("surname")], separator=" ")
    )
    return (
        table.select(
            subject_id="subject_id",
            name=name.str.strip_chars(),
            country=column("country").str.strip_chars().str.to_uppercase(),
            birth=column("birth").str.strip_chars(),
        )
        .cast(_PEOPLE)  # type: ignore[arg-type]
        .with_columns(
            country=pl.when(pl.col("country").str.contains(r"^[A-Z]{2}$")).then("country")
        )
        .unique("subject_id", keep="first", maintain_order=True)
        .sort("subject_id")
    )


def _identifiers(table: pl.DataFrame, kinds: dict[str, str | None]) -> pl.DataFrame:
    found: list[pl.DataFrame] = []
    for name in table.columns:
        kind = kinds.get(name)
        if name == "subject_id" or kind in ("", "subject_id", "country", "birth", "categories"):
            continue
        if kind in ("name", "given", "surname"):
            continue
        values = (
            table.select("subject_id", canonical=pl.col(name).str.split(";"))
            .explode("canonical")
            .with_columns(pl.col("canonical").str.strip_chars())
        )
        values = values.filter(pl.col("canonical").str.len_chars() >= _LONG)
        if kind is None:
            distinct = values["canonical"].n_unique()
            digits = values.filter(pl.col("canonical").str.contains(r"\d"))
            if distinct < _DIFFERENT * max(1, len(values)) or len(digits) < 0.5 * len(values):
                continue
        canonical = pl.col("canonical")
        if kind == "EMAIL_ADDRESS":
            canonical = canonical.str.to_lowercase()
        found.append(
            values.select(
                "subject_id", entity_type=pl.lit(kind or "IDENTIFIER"), canonical=canonical
            )
        )
    if not found:
        return empty_register().identifiers
    rows = with_key(pl.concat(found)).filter(pl.col("key").str.len_chars() >= _LONG)
    return rows.unique(maintain_order=True).sort("subject_id", "entity_type", "key")
