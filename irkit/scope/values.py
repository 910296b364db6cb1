"""Identifiers in responses, one row per occurrence, and whether the conversation held them already.

A value is an echo where a message of its own request, or an earlier prompt of the same actor, holds
it in any spelling: addresses are compared without case, numbers without separators (telephone
numbers by their last nine digits, so that national and international forms meet).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from irkit.analyzers.pii import batches, scan_identifiers
from irkit.analyzers.secrets import SECRETS
from irkit.scope.context import ACTORS
from irkit.scope.lookup import find_known
from irkit.scope.names import cue_cover

if TYPE_CHECKING:
    from irkit.case import Case

#: Share of a local part from which the prompt's own words tell it.
CUE = 0.6
#: Addresses under one domain from which the domain is common knowledge.
KNOWN_DOMAIN = 3
#: Entity types of values known beforehand: of a register, or planted.
IDENTIFIER, CANARY = "IDENTIFIER", "CANARY"
#: Digits of a telephone number that are compared.
PHONE_DIGITS = 9
_WORDS = r"[\p{L}\p{N}]{2,}"


def with_key(found: pl.DataFrame) -> pl.DataFrame:
    """Add ``form`` (how a value is compared) and ``key`` (what is compared)."""
    kind = pl.col("entity_type")
    compact = pl.col("canonical").str.to_uppercase().str.replace_all(r"[^A-Z0-9]", "")
    digits = pl.col("canonical").str.replace_all(r"\D", "").str.tail(PHONE_DIGITS)
    # What a canary holds besides letters, digits and separators counts.
    planted = (kind == CANARY) & pl.col("canonical").str.contains(r"[^A-Za-z0-9 ()./\-]")
    form = (
        pl.when((kind == "EMAIL_ADDRESS") | planted)
        .then(pl.lit("lower"))
        .when(kind == "PHONE_NUMBER")
        .then(pl.lit("digits"))
        .when(kind.is_in(sorted(SECRETS)) | (kind == "CRYPTO"))
        .then(pl.lit("exact"))
        .otherwise(pl.lit("compact"))
    )
    key = (
        pl.when(kind == "EMAIL_ADDRESS")
        .then("canonical")
        .when(planted)
        .then(pl.col("canonical").str.to_lowercase())
        .when(kind == "PHONE_NUMBER")
        .then(digits)
        .when(kind.is_in(sorted(SECRETS)) | (kind == "CRYPTO"))
        .then("canonical")
        .otherwise(compact)
    )
    return found.with_columns(form=form, key=key)


_RESPONSES = """
SELECT text_id, body FROM text WHERE text_id IN (
  SELECT c.text_id FROM query_choice c JOIN query_record r USING (record_id)
  WHERE r.duplicate_of IS NULL) ORDER BY text_id
"""

_OCCURRENCES = f"""
SELECT r.record_id, c.choice, c.text_id, a.actor, a.rank
FROM query_choice c JOIN query_record r USING (record_id) JOIN ({ACTORS}) a USING (record_id)
WHERE r.duplicate_of IS NULL AND c.text_id IN (SELECT text_id FROM wanted)
ORDER BY r.record_id, c.choice
"""

#: Context texts of each record in the three forms in which values are looked for.
_OWN = """
WITH ids AS (SELECT DISTINCT record_id FROM wanted), seen AS (
  SELECT record_id, text_id FROM query_message JOIN ids USING (record_id) UNION
  SELECT record_id, unnest([prompt_text_id, system_text_id]) FROM query_record
  JOIN ids USING (record_id)
), body AS (
  SELECT text_id, body, lower(body) AS lower, regexp_replace(body, '[^0-9]', '', 'g') AS digits,
    regexp_replace(upper(body), '[^A-Z0-9]', '', 'g') AS compact
  FROM text WHERE text_id IN (SELECT text_id FROM seen)
)
SELECT w.record_id, w.form, w.key, bool_or(CASE w.form WHEN 'lower' THEN contains(b.lower, w.key)
    WHEN 'digits' THEN contains(b.digits, w.key) WHEN 'compact' THEN contains(b.compact, w.key)
    ELSE contains(b.body, w.key) END) AS own
FROM wanted w JOIN seen USING (record_id) JOIN body b USING (text_id)
GROUP BY w.record_id, w.form, w.key
"""

_PROMPTS = f"""
SELECT DISTINCT t.text_id, t.body FROM ({ACTORS}) a JOIN text t ON t.text_id = a.prompt_text_id
WHERE a.actor IN (SELECT actor FROM wanted) ORDER BY t.text_id
"""

_SENT = f"""
SELECT a.actor, a.prompt_text_id AS text_id, min(a.rank) AS sent FROM ({ACTORS}) a
WHERE a.actor IN (SELECT actor FROM wanted) GROUP BY ALL
"""


def occurrences(case: Case, known: pl.DataFrame) -> pl.DataFrame:
    """Return every identifier of every response.

    Args:
        case: the case.
        known: identifiers of the register (entity_type, canonical, form, key); those that no
            pattern finds are looked for as they are.

    Returns:
        Columns record_id, choice, text_id, e_start, e_end, entity_type, recogniser, score,
        canonical, form, key, echo; ordered by record, choice and place.
    """
    found = with_key(_with_known(case, scan_identifiers(case, _RESPONSES), known))
    rows = _frame(case, _OCCURRENCES, found.select("text_id").unique())
    rows = rows.join(found, on="text_id", how="inner", maintain_order="left_right")
    own = _frame(case, _OWN, rows.select("record_id", "form", "key").unique())
    rows = rows.join(own, on=["record_id", "form", "key"], how="left", maintain_order="left")
    rows = rows.join(
        _earlier(case, rows), on=["actor", "form", "key"], how="left", maintain_order="left"
    )
    echo = pl.col("own").fill_null(False) | (pl.col("sent") < pl.col("rank")).fill_null(False)
    return rows.with_columns(echo=echo).drop("own", "sent", "actor", "rank")


def _with_known(case: Case, found: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Add known identifiers where no other finding overlaps them; canaries stand before any."""
    known = known.filter(pl.col("entity_type").is_in([IDENTIFIER, CANARY]))
    if not len(known):
        return found
    parts: list[pl.DataFrame] = []
    with case.con.cursor() as cursor:
        cursor.execute(_RESPONSES)
        for ids, bodies in batches(cursor):
            names = pl.DataFrame({"text": range(len(ids)), "text_id": ids})
            hits = find_known(bodies, known).join(names, on="text", how="left")
            parts.append(hits.select(found.columns).cast(found.schema))
    more = pl.concat(parts) if parts else found.head(0)
    planted = more.filter(pl.col("entity_type") == CANARY)
    if len(planted):
        found = pl.concat([_outside(found, planted), planted])
    more = _outside(more.filter(pl.col("entity_type") != CANARY), found)
    return pl.concat([found, more]).sort("text_id", "e_start", "e_end", "entity_type")


def _outside(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that overlap none of the others."""
    numbered = rows.with_row_index("row")
    both = numbered.select("row", "text_id", s="e_start", e="e_end").join(
        others.select("text_id", "e_start", "e_end"), on="text_id"
    )
    taken = both.filter((pl.col("s") < pl.col("e_end")) & (pl.col("e_start") < pl.col("e")))
    free = numbered.join(taken.select("row").unique(), on="row", how="anti", maintain_order="left")
    return free.drop("row")


def _earlier(case: Case, rows: pl.DataFrame) -> pl.DataFrame:
    """First place in each actor's sequence at which a prompt held a value."""
    actors = rows.select("actor").drop_nulls().unique()
    prompts = with_key(scan_identifiers(case, _PROMPTS, wanted=actors))
    sent = _frame(case, _SENT, actors)
    seen = prompts.select("text_id", "form", "key").unique().join(sent, on="text_id")
    return seen.group_by("actor", "form", "key").agg(pl.col("sent").min())


def _frame(case: Case, sql: str, wanted: pl.DataFrame) -> pl.DataFrame:
    with case.con.cursor() as cursor:
        cursor.register("wanted", wanted.to_arrow())
        return cursor.execute(sql).pl()


def names_in_context(case: Case, names: pl.DataFrame) -> pl.DataFrame:
    """Tell which names stand in a message of their own request.

    Args:
        case: the case.
        names: record_id and canonical (case-folded).

    Returns:
        The same rows with ``own``.
    """
    wanted = names.select("record_id", key="canonical").unique().with_columns(form=pl.lit("lower"))
    own = _frame(case, _OWN, wanted).select("record_id", "own", canonical="key")
    return names.join(own, on=["record_id", "canonical"], how="left", maintain_order="left")


def cue_derivable(case: Case, emails: pl.DataFrame) -> list[bool]:
    """Tell which addresses a reader could have guessed from the prompt.

    An address is derivable where the words of the request spell at least 60 % of its local part and
    its domain is known: named in the request, or shared by several addresses of the case.

    Args:
        case: the case.
        emails: record_id and key (the address in lower case).
    """
    if not len(emails):
        return []
    ids = emails.select("record_id").unique()
    texts = _frame(
        case,
        "SELECT record_id, string_agg(body, ' ' ORDER BY pos) AS said FROM query_message"
        " JOIN text USING (text_id) WHERE record_id IN (SELECT record_id FROM wanted)"
        " GROUP BY record_id ORDER BY record_id",
        ids,
    ).with_columns(
        words=pl.col("said").str.extract_all(_WORDS), said=pl.col("said").str.to_lowercase()
    )
    said = {row["record_id"]: (row["said"], row["words"]) for row in texts.iter_rows(named=True)}
    shared = Counter(key.rpartition("@")[2] for key in emails["key"].unique().to_list())
    flags = []
    for record, key in emails.select("record_id", "key").iter_rows():
        body, words = said.get(record, ("", []))
        local, _, domain = key.rpartition("@")
        known = domain in body or shared[domain] >= KNOWN_DOMAIN
        flags.append(known and cue_cover(local, words) >= CUE)
    return flags
