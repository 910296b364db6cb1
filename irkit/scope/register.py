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
from irkit.scope.tables import PLACE, SetAside, read_table
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
        aside: rows that could not be used, with the reason.
    """

    people: pl.DataFrame
    identifiers: pl.DataFrame
    aside: tuple[SetAside, ...] = ()


_PEOPLE = {"subject_id": pl.String, "name": pl.String, "country": pl.String, "birth": pl.String}


def empty_register() -> Register:
    """Return a register of nobody."""
    none = pl.DataFrame(
        schema={"subject_id": pl.String, "entity_type": pl.String, "canonical": pl.String}
    )
    return Register(pl.DataFrame(schema=_PEOPLE), with_key(none))


def read_register(path: Path) -> Register:
    """Read a register.

    Rows that do not fit the header or name nobody are set aside, not guessed at.

    Raises:
        UsageError: the file is missing, no table, or has no column of subject ids.
    """
    handed = read_table(path, "subject register")
    columns = [name for name in handed.rows.columns if name != PLACE]
    kinds = {name: _kind(name) for name in columns}
    key = next((name for name, kind in kinds.items() if kind == "subject_id"), None)
    if key is None:
        raise UsageError(
            f"{path}: the subject register has no column subject_id "
            f"(columns: {', '.join(columns[:12])})",
            "name the column that tells people apart subject_id",
        )
    table = handed.rows.rename({key: "subject_id"}) if key != "subject_id" else handed.rows
    table = table.with_columns(pl.col("subject_id").str.strip_chars())
    nameless = table["subject_id"].fill_null("") == ""
    aside = [SetAside(row, "no subject_id") for row in table.filter(nameless)[PLACE].to_list()]
    flat = table.filter(~nameless).drop(PLACE)
    return Register(
        _people(flat, kinds),
        _identifiers(flat, kinds),
        tuple(sorted((*handed.aside, *aside), key=lambda one: one.row)),
    )


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
