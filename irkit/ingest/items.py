"""Rows of prediction calls: what was sent to a classifier and what it returned, row by row.

A call to a classifier is one record, like any call; its batch rows are children in ``query_item``.
Calls are read after ingest, from the texts that were stored with them, so every format that hands
over a body (or has it under ``operation = 'predict'``) is served by one reader.
"""

from __future__ import annotations

from irkit.case import Case
from irkit.ingest.item_sql import MACROS, STATEMENT

_COLUMNS = (
    *("record_id", "source_id", "item", "schema_id", "features", "width", "words"),
    *("scores_kind", "class_probs", "class_labels", "pred_label", "top1_prob", "margin"),
    *("entropy", "scalars"),
)


def fill_items(case: Case) -> int:
    """Fill ``query_item`` and ``query_schema`` from all prediction calls; return the rows.

    The tables are made anew, as an answer that was logged apart may have joined its request since.
    Of a batch the first 20,000 rows are kept, of a row the first 4,096 values (``width`` says how
    many there were); the body itself is stored whole.
    """
    with case.transaction():
        case.clear("query_item", "query_schema")
        if not case.rows("SELECT 1 FROM query_record WHERE operation = 'predict' LIMIT 1"):
            return 0
        for macro in MACROS:
            case.con.execute(macro)
        case.con.execute(
            f"CREATE OR REPLACE TEMP VIEW read_items AS {STATEMENT}",
        )
        names = ", ".join(_COLUMNS)
        case.con.execute(f"INSERT INTO query_item ({names}) SELECT {names} FROM read_items")
        case.con.execute(
            "INSERT INTO query_schema SELECT schema_id, any_value(names) FROM"
            " (SELECT record_id, names, schema_id FROM read_items WHERE item = 0"
            "  AND schema_id IS NOT NULL) GROUP BY schema_id ORDER BY schema_id"
        )
        case.con.execute("DROP VIEW read_items")
    return int(case.rows("SELECT count(*) FROM query_item")[0][0])
