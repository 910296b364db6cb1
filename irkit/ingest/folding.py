"""Put known values where a statement names columns, so that no column is made of a constant.

A statement of many layers carries each of its columns through all of them, and the database makes
room for every column in every layer each time the statement runs.  What is known when the statement
is compiled need not be a column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r"(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<cast>::\s*)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)


def folded(sql: str, values: Mapping[str, str]) -> str:
    """Return SQL with the values in place of the columns of those names.

    Names after a dot (fields), after ``AS`` (aliases) and after ``::`` (types), before a
    parenthesis (functions) and before a colon (keys and parameters of a lambda) are left alone.

    Args:
        sql: expressions; not a whole statement whose FROM names one of the columns.
        values: an SQL literal per column.
    """
    tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(sql)]
    solid = [index for index, (kind, _) in enumerate(tokens) if kind != "space"]
    around = zip([-1, *solid[:-1]], solid, [*solid[1:], -1], strict=True)
    out = [text for _, text in tokens]
    for before, here, after in around:
        kind, text = tokens[here]
        name = text[1:-1] if kind == "quoted" else text
        if kind not in ("word", "quoted") or name not in values:
            continue
        last = tokens[before][1].strip().upper() if before >= 0 else ""
        following = tokens[after][1] if after >= 0 else ""
        if last not in (".", "AS", "::", "LAMBDA") and following not in ("(", ":"):
            out[here] = f"({values[name]})"
    return "".join(out)
