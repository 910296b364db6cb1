"""The SQL behind :mod:`irkit.analyzers.features`: what is read from the case, set by set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irkit.analyzers.sequences import KEY

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from irkit.case import Case

U64 = NDArray[np.uint64]

#: Runs shared with more documents than this are common text, no one's training record.
COMMON = 10
#: Characters of a long prompt that are looked at: its head and its tail.
_HEAD, _TAIL = 4000, 2000
_RESPONSE_HEAD, _RESPONSE_TAIL = 16000, 4000
#: Shortest continuation that counts, in characters, and the gap allowed before it.
_CONTINUES, _GAP = 40, 40

#: Counting bytes is free; characters are counted only where the bytes may be too many.
_CUT = (
    "CASE WHEN strlen({0}) > {1} + {2} AND length({0}) > {1} + {2}"
    " THEN left({0}, {1}) || ' ' || right({0}, {2}) ELSE {0} END"
)


def _key(column: str) -> str:
    return KEY.format(column)


def stream_prompts(con: DuckDBPyConnection, keys: U64) -> Iterator[pa.Array]:
    """Yield prompt texts in the order of ``keys``; a missing text comes as null."""
    import pyarrow as pa

    con.register("wanted_prompts", pa.table({"pos": np.arange(len(keys)), "key": keys}))
    try:
        # The wanted keys are the small side: texts pass by them and are held only to be ordered.
        reader = con.execute(
            f"SELECT w.pos, {_CUT.format('t.body', _HEAD, _TAIL)} AS body FROM text t"
            f" RIGHT JOIN wanted_prompts w ON w.key = {_key('t.text_id')} ORDER BY w.pos"
        ).to_arrow_reader(4096)
        last = -1
        for batch in reader:
            pos = batch.column(0).to_numpy()
            # Two texts of one key (64 bits of a hash) count as one.
            fresh = np.diff(pos, prepend=last) > 0
            last = int(pos[-1]) if len(pos) else last
            texts = batch.column(1)
            yield texts if fresh.all() else texts.filter(pa.array(fresh))
    finally:
        con.unregister("wanted_prompts")


def stream_responses(
    con: DuckDBPyConnection, keys: U64, rows: int
) -> Iterator[tuple[U64, pa.Array]]:
    """Yield (keys, texts) of the responses in ``keys`` and of all further choices, once each."""
    import pyarrow as pa

    con.register("wanted_responses", pa.table({"key": keys}))
    try:
        reader = con.execute(
            f"SELECT t.key, {_CUT.format('t.body', _RESPONSE_HEAD, _RESPONSE_TAIL)} AS body"
            f" FROM (SELECT {_key('text_id')} AS key, body FROM text) t SEMI JOIN"
            " (SELECT key FROM wanted_responses UNION ALL"
            f" SELECT {_key('text_id')} AS key FROM query_choice WHERE choice > 0) w USING (key)"
        ).to_arrow_reader(rows)
        for batch in reader:
            yield batch.column(0).to_numpy(zero_copy_only=False), batch.column(1)
    finally:
        con.unregister("wanted_responses")


def more_choices(case: Case) -> pl.DataFrame:
    """Choices beyond the first: record_id, key."""
    return case.frame(
        f"SELECT record_id, {_key('text_id')} AS key FROM query_choice WHERE choice > 0"
        " ORDER BY record_id, choice"
    )


def prompt_matches(case: Case) -> pl.DataFrame:
    """Per prompt text: key (ascending), tokens, cover, whole, tail, doc, personal.

    ``tail`` counts only runs that leave something of the document to be continued.
    """
    return case.frame(
        f"""
        WITH s AS (SELECT doc_id FROM corpus_doc WHERE subject_id IS NOT NULL)
        SELECT {_key("m.text_id")} AS key, max(m.tokens) AS tokens,
          max((m.t_end - m.t_start) / greatest(length(t.body), 1))::FLOAT AS cover,
          bool_or(m.whole_doc) AS whole,
          coalesce(max(m.tokens) FILTER (m.is_tail AND m.d_end + {_CONTINUES} <= d.chars), 0)
            AS tail,
          arg_max(hash(m.doc_id), (m.tokens, m.doc_id)) AS doc,
          arg_max(s.doc_id IS NOT NULL, (m.tokens, m.doc_id)) AS personal
        FROM corpus_match m JOIN text t USING (text_id) LEFT JOIN s USING (doc_id)
        LEFT JOIN (SELECT doc_id, max(chars) AS chars FROM corpus_doc GROUP BY doc_id) d
          USING (doc_id)
        WHERE m.role = 'prompt' AND m.df <= {COMMON}
        GROUP BY 1 ORDER BY 1
        """
    )


def continuations(case: Case) -> pl.DataFrame:
    """Per record whose response goes on in its prompt's document: chars, doc, personal.

    Continuations that stood in the conversation (retrieved documents) are left out.
    """
    return case.frame(
        f"""
        WITH s AS (SELECT doc_id FROM corpus_doc WHERE subject_id IS NOT NULL),
        p AS (
          SELECT text_id, doc_id, max(d_end) AS d_end FROM corpus_match
          WHERE role = 'prompt' AND is_tail AND df <= {COMMON} GROUP BY ALL),
        c AS (
          SELECT record_id, text_id FROM query_choice
          UNION SELECT record_id, response_text_id FROM query_record
          WHERE response_text_id IS NOT NULL),
        m AS (
          SELECT q.record_id, p.doc_id, s.doc_id IS NOT NULL AS personal,
            r.d_end - greatest(p.d_end, r.d_start) AS chars,
            substr(t.body, r.t_start + greatest(p.d_end - r.d_start, 0) + 1, 40) AS bit
          FROM query_record q JOIN p ON p.text_id = q.prompt_text_id
          LEFT JOIN s ON s.doc_id = p.doc_id
          JOIN c ON c.record_id = q.record_id
          JOIN corpus_match r ON r.text_id = c.text_id AND r.role = 'response'
            AND r.doc_id = p.doc_id AND r.d_start <= p.d_end + {_GAP}
            AND r.d_end > greatest(p.d_end, r.d_start) + {_CONTINUES}
          JOIN text t ON t.text_id = r.text_id),
        held AS (
          SELECT DISTINCT m.record_id, m.doc_id FROM m
          JOIN query_message q USING (record_id) JOIN text t ON t.text_id = q.text_id
          WHERE contains(t.body, m.bit))
        SELECT m.record_id, max(m.chars) AS chars,
          arg_max(hash(m.doc_id), (m.chars, m.doc_id)) AS doc,
          arg_max(m.personal, (m.chars, m.doc_id)) AS personal
        FROM m ANTI JOIN held ON held.record_id = m.record_id AND held.doc_id = m.doc_id
        GROUP BY m.record_id ORDER BY m.record_id
        """
    )


def leaks(case: Case) -> pl.DataFrame:
    """Per record with training text in a response and not in its messages: tokens, docs, doc.

    ``personal`` is the longest run out of a document that has a data subject.

    The check against the messages looks for 40 characters from the middle of the run; the exact
    subtraction that exposures are counted on is the scope room's.
    """
    return case.frame(
        f"""
        WITH s AS (SELECT doc_id FROM corpus_doc WHERE subject_id IS NOT NULL),
        r AS (
          SELECT c.record_id, m.doc_id, m.tokens, m.d_start, m.d_end,
            substr(t.body, m.t_start + greatest(0, (m.t_end - m.t_start) // 2 - 20) + 1, 40) AS bit
          FROM corpus_match m JOIN text t USING (text_id)
          JOIN (SELECT record_id, text_id FROM query_choice
                UNION SELECT record_id, response_text_id FROM query_record
                WHERE response_text_id IS NOT NULL) c USING (text_id)
          WHERE m.role = 'response' AND m.tokens >= 25 AND m.df <= {COMMON}),
        held AS (
          SELECT DISTINCT r.record_id, r.doc_id, r.d_start FROM r
          JOIN query_message q USING (record_id) JOIN text t ON t.text_id = q.text_id
          WHERE contains(t.body, r.bit))
        SELECT r.record_id, max(r.tokens) AS tokens, count(DISTINCT r.doc_id) AS docs,
          arg_max(hash(r.doc_id), (r.tokens, r.doc_id)) AS doc,
          coalesce(max(r.tokens) FILTER (s.doc_id IS NOT NULL), 0) AS personal,
          coalesce(arg_max(hash(r.doc_id), (r.tokens, r.doc_id)) FILTER (s.doc_id IS NOT NULL), 0)
            AS personal_doc
        FROM r ANTI JOIN held ON held.record_id = r.record_id AND held.doc_id = r.doc_id
          AND held.d_start = r.d_start
        LEFT JOIN s ON s.doc_id = r.doc_id
        GROUP BY r.record_id ORDER BY r.record_id
        """
    )


def context_answers(case: Case, record_ids: pl.Series) -> pl.DataFrame:
    """Records out of ``record_ids`` that were answered from their own messages.

    An address or number of the answer stands in a message, or 30 characters from the middle of the
    answer do: retrieval applications quote the documents they were given.
    """
    import polars as pl

    case.con.register("asked_records", pl.DataFrame({"record_id": record_ids}).to_arrow())
    try:
        return case.frame(
            r"""
            WITH a AS (
              SELECT a.record_id, left(t.body, 20000) AS body
              FROM asked_records a JOIN query_record q USING (record_id)
              JOIN text t ON t.text_id = q.response_text_id),
            v AS (
              SELECT record_id, unnest(regexp_extract_all(body,
                '[\w.+-]+@[\w-]+\.[\w.-]*\w|\+?\d[\d ()./-]{5,}\d')) AS value FROM a
              UNION ALL
              SELECT record_id, substr(body, length(body) // 2 - 14, 30) FROM a
              WHERE length(body) >= 40)
            SELECT DISTINCT v.record_id FROM v JOIN query_message m USING (record_id)
            JOIN text t ON t.text_id = m.text_id
            WHERE contains(t.body, v.value) ORDER BY 1
            """
        )
    finally:
        case.con.unregister("asked_records")


def bias_entries(case: Case) -> pl.DataFrame:
    """All logit-bias entries: record_id, token (key), value."""
    return case.frame(
        """
        WITH b AS (SELECT record_id, logit_bias FROM query_record
                   WHERE logit_bias_size > 0 AND json_type(logit_bias) = 'OBJECT'),
        k AS (SELECT record_id, logit_bias, unnest(json_keys(logit_bias)) AS token FROM b)
        SELECT record_id, hash(token) AS token,
          coalesce(TRY_CAST(json_extract_string(logit_bias,
            '$."' || replace(token, '"', '') || '"') AS DOUBLE), 0) AS value
        FROM k ORDER BY record_id, token
        """
    )
