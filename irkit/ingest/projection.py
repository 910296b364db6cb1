"""Compile a format declaration into the one SQL statement that maps a block of records.

Layers, each a common table expression, so that every JSON text is parsed a fixed number of times:

1. ``src``    the line, if it is valid JSON; else NULL
2. ``raw``    all declared paths of the line in one extraction
3. ``env``    the canonical envelope columns (:data:`~irkit.ingest.format.TARGETS`)
4. ``inner``  all known paths of the request and response bodies
5. ``lists``  messages and choices as lists
6. the columns of ``query_record`` plus the lists

Most files hold records of one shape.  Where a sample shows it (:mod:`irkit.ingest.shapes`), the
bodies' paths are taken straight from the line instead of copying the bodies out first, and only the
dialects that occur are compiled; a record of any other shape is left unmatched and takes the
general statement.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from irkit.ingest.bodies import REQUEST_JSON, REQUEST_TEXT, RESPONSE_JSON, RESPONSE_TEXT
from irkit.ingest.columns import (
    OPERATION,
    RECORD_COLUMNS,
    SYSTEM_TEXT,
    plausible,
    record_columns,
)
from irkit.ingest.dialects import INPUTS, OUTPUTS, Case, index_of, value_of
from irkit.ingest.extraction import Extraction
from irkit.ingest.folding import folded
from irkit.ingest.format import TARGETS, Format, Paths, first_of, literal
from irkit.ingest.plain import Plain
from irkit.ingest.shapes import (
    Shape,
    earlier,
    elsewhere,
    only_cases,
    plain_of,
    typed_names,
    under,
    unread,
    wanted,
)

_SIG = "sig_"
_CONSTANT = re.compile(r"NULL::[A-Z]+|'\{\}'")
_AS_THEY_ARE = (
    *("roles", "bodies", "system_at", "prompt_at"),
    *("choice_no", "choice_body", "choice_finish"),
)
#: Columns of a statement besides ``row_no``, ``matched`` and ``parts``.
OUTPUT = (*RECORD_COLUMNS, *_AS_THEY_ARE, "tokens", "token_logprobs", "tops")
_BODIES = ("request", "response", "messages", "stop", "logit_bias", "tags")
_VALID = (
    "SELECT row_no, CASE WHEN json_valid(line) AND starts_with(ltrim(line), '{') THEN line END"
    " AS line FROM block"
)


def compile_format(
    fmt: Format,
    *,
    forced: bool = False,
    split: bool = False,
    shape: Shape | None = None,
    trusted: bool = False,
    filled: Collection[str] | None = None,
) -> str:
    """Return the statement that maps relation ``block(row_no, line)`` to canonical columns.

    Args:
        fmt: the format.
        forced: take every valid object as this format, whatever its signature says.
        split: also return what :mod:`irkit.ingest.prompts` needs to cut calls with several prompts
            (only without a shape).
        shape: match only records of this shape.
        trusted: leave out the check that lines are valid JSON; the statement fails if one is not.
        filled: return only these columns, and match only records in which all others are NULL.

    Returns:
        SQL whose rows have ``row_no``, ``matched``, ``parts`` (prompts in the call), then
        :data:`~irkit.ingest.columns.RECORD_COLUMNS` and ``LIST_COLUMNS``; rows that are not
        matched carry no meaning.
    """
    ctes = _head(fmt, forced=forced, shape=shape, trusted=trusted)
    known = _bound(fmt, shape)[1] if shape else {}
    inputs = tuple(INPUTS[i] for i in shape.inputs) if shape else INPUTS
    outputs = tuple(OUTPUTS[i] for i in shape.outputs) if shape else OUTPUTS
    typed = typed_names(fmt, shape) if shape else {}
    plain = _plain(shape, typed) if shape else {}
    stream = shape is None or "response" in wanted(fmt, shape)
    later = _values(stream=stream)
    later |= _lists(
        _Side(value_of(inputs, typed), inputs, typed, _TURNS, _MESSAGES, plain),
        _Side(value_of(outputs, typed), outputs, typed, _ANSWERS, _CHOICES, plain),
    )
    later |= _places()
    ctes |= {name: folded(layer, known) for name, layer in later.items()}
    columns = record_columns(fmt)
    items = ["row_no", "matched", "coalesce(parts, 1)::INTEGER AS parts"]
    items += [f"CAST({columns[name]} AS {kind}) AS {name}" for name, kind in RECORD_COLUMNS.items()]
    items += [
        *_AS_THEY_ARE,
        "CASE WHEN len(tokens0) > 0 THEN tokens0 END AS tokens",
        "CASE WHEN len(tokens0) > 0 THEN lps0 END AS token_logprobs",
        "CASE WHEN len(tokens0) > 0 THEN to_json(tops0)::VARCHAR END AS tops",
    ]
    if split:
        items += [
            "list_transform(chs, lambda c: c.tokens) AS all_tokens",
            "list_transform(chs, lambda c: c.lps) AS all_lps",
            "list_transform(chs, lambda c: to_json(c.tops)::VARCHAR) AS all_tops",
            "list_transform(chs, lambda c: c.scalars) AS all_scalars",
        ]
    last = folded(select(items, "placed"), known)
    if filled is None:
        return _with(ctes, last)
    ctes["mapped"] = last
    others = [name for name in OUTPUT if name not in filled]
    fits = " AND ".join(["matched", *(f"{name} IS NULL" for name in others)])
    kept = [name for name in OUTPUT if name in filled]
    return _with(ctes, select(["row_no", f"{fits} AS matched", "parts", *kept], "mapped"))


def shape_statement(fmt: Format) -> str | None:
    """Return the statement that finds the shape of sampled records, if the format has bodies.

    Its rows hold the index of the present request and response path (-1: none, or not a plain
    object or list), and the indices of the input and output dialect.
    """
    if "response" not in fmt.json_paths or {"request", "response"} & set(fmt.columns):
        return None
    ctes = _head(fmt, forced=False, shape=None, trusted=False)
    places = []
    for body in ("request", "response"):
        candidates = first_of(fmt.json_paths[body]) if body in fmt.json_paths else ()
        values = [f"json_extract(line, {literal(path)})::VARCHAR" for path in candidates]
        cases = " ".join(
            f"WHEN regexp_matches({value}, '^[\\[{{]') THEN {i} WHEN {value} <> 'null' THEN -1"
            for i, value in enumerate(values)
        )
        places.append(f"{f'CASE {cases} ELSE -1 END' if cases else '-1'} AS {body}_at")
    ctes["placed"] = select(["row_no", *places], "src")
    items = [
        *("request_at", "response_at"),
        f"{index_of(INPUTS)} AS input_at",
        f"{index_of(OUTPUTS)} AS output_at",
    ]
    return _with(ctes, select(items, "inner_ JOIN placed USING (row_no) WHERE matched"))


# -- layers 1 to 4 ------------------------------------------------------------------------------


def _line_extraction(fmt: Format, shape: Shape | None) -> Extraction:
    """Return what is taken out of the whole record."""
    texts, jsons = {**_signature(fmt), **fmt.paths}, dict(fmt.json_paths)
    if shape is None:
        return Extraction(texts, jsons)
    places = {"request": shape.request, "response": shape.response}
    whole = wanted(fmt, shape)
    apart = [places[name] for name in sorted(whole)]
    jsons = {key: paths for key, paths in jsons.items() if key not in places}
    jsons |= {name: places[name] for name in whole}
    texts |= under(shape.request, REQUEST_TEXT, apart)
    texts |= under(shape.response, RESPONSE_TEXT, apart)
    jsons |= under(shape.request, REQUEST_JSON, apart)
    jsons |= under(shape.response, RESPONSE_JSON, apart)
    texts |= earlier(fmt, shape)
    unused = unread(shape)
    texts = {key: elsewhere(fmt, shape, paths) for key, paths in texts.items()}
    texts = {key: paths for key, paths in texts.items() if paths and key not in unused}
    jsons = {key: paths for key, paths in jsons.items() if key not in unused}
    typed = typed_names(fmt, shape)
    jsons = {key: paths for key, paths in jsons.items() if key not in typed}
    return Extraction(texts, jsons, typed, apart)


def _signature(fmt: Format) -> dict[str, Paths]:
    return {_SIG + name: paths for name, paths in fmt.signature_paths.items()}


def _head(fmt: Format, *, forced: bool, shape: Shape | None, trusted: bool) -> dict[str, str]:
    """Return the layers up to ``inner_``: envelope columns and body names, side by side."""
    line = _line_extraction(fmt, shape)
    taken = line.columns("l")
    names = line.names("line", "l")
    # The signature's names and the record's names live in two layers, so they may coincide.
    tested = [
        f'{names.get(key, "NULL::VARCHAR")} AS "{key.removeprefix(_SIG)}"'
        for key in _signature(fmt)
    ]
    named = [f'{expr} AS "{key}"' for key, expr in names.items() if not key.startswith(_SIG)]
    test = "line IS NOT NULL" if forced else f"line IS NOT NULL AND ({fmt.signature})"
    ctes = {
        "src": "SELECT row_no, line FROM block" if trusted else _VALID,
        "raw": select(["row_no", "line", line.select("line", "l")], "src"),
        "sig": select(["row_no", "line", *taken, *tested], "raw"),
        "seen": select(["row_no", "line", *taken, f"coalesce({test}, false) AS matched"], "sig"),
        "named": select(["row_no", "matched", "line", *named], "seen"),
    }
    return ctes | (_narrow(fmt, shape) if shape is not None else _general(fmt))


def _general(fmt: Format) -> dict[str, str]:
    """Copy the bodies out, undo double encoding, then extract from them."""
    request = Extraction(REQUEST_TEXT, REQUEST_JSON)
    response = Extraction(RESPONSE_TEXT, RESPONSE_JSON)
    envelope = [f'{expr} AS "{key}"' for key, expr in _envelope(fmt).items()]
    unwrapped = [f"CASE WHEN matched THEN ik_unwrap({name}) END AS {name}" for name in _BODIES]
    names = {**request.names("request", "q"), **response.names("response", "s")}
    return {
        "env": select(["row_no", "matched", *envelope], "named"),
        "whole": f"SELECT * REPLACE ({', '.join(unwrapped)}) FROM env",
        # An empty body is how some gateways write that they kept none.
        "kept": (
            "SELECT * REPLACE (CASE WHEN messages NOT IN ('{}', '[]', '\"\"') THEN messages END"
            " AS messages, CASE WHEN response NOT IN ('{}', '[]', '\"\"') THEN response END"
            " AS response) FROM whole"
        ),
        "sse": (
            "SELECT * REPLACE (CASE WHEN starts_with(response, '\"data:')"
            " OR starts_with(response, '\"event:')"
            " THEN ik_sse(json_extract_string(response, '$')) ELSE response END AS response)"
            " FROM kept"
        ),
        "body": select(
            ["*", request.select("request", "q"), response.select("response", "s")], "sse"
        ),
        "inner_": select(
            ["* EXCLUDE (q, s)", *(f"{expr} AS {key}" for key, expr in names.items())], "body"
        ),
    }


def _narrow(fmt: Format, shape: Shape) -> dict[str, str]:
    """Use what was extracted straight from the line; match only the dialects of the shape."""
    computed, known = _bound(fmt, shape)
    typed = typed_names(fmt, shape)
    body = {**REQUEST_TEXT, **REQUEST_JSON, **RESPONSE_TEXT, **RESPONSE_JSON}
    kept = [name for name in body if name not in known]
    ahead_of = list(earlier(fmt, shape))
    ahead = [f"{name} IS NULL" for name in ahead_of]
    guards = ["matched", *ahead]
    plain = _plain(shape, typed)
    for cases, chosen in ((INPUTS, shape.inputs), (OUTPUTS, shape.outputs)):
        last = max(chosen)
        reading = plain.get(cases[last].name) if len(chosen) == 1 else None
        if reading is None:
            guards.append(f"{index_of(cases[: last + 1], typed)} IN {_tuple(chosen)}")
        else:
            guards.append(reading.holds.replace("{}", cases[last].name))
            if last:
                guards.append(f"{index_of(cases[:last], typed)} = -1")
    items = [f'{expr} AS "{key}"' for key, expr in computed.items()]
    fits = folded(" AND ".join(guards), known)
    return {
        "env": select(["row_no", "matched", *items, *kept, *ahead_of], "named"),
        "inner_": f"SELECT * REPLACE (coalesce({fits}, false) AS matched) FROM env",
    }


def _bound(fmt: Format, shape: Shape) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the records of a shape have to be asked for, and what is known of all of them."""
    whole = wanted(fmt, shape)
    envelope = _envelope(fmt)
    for name, path in (("request", shape.request), ("response", shape.response)):
        if name not in whole:
            # An object that is known to be there; nothing reads what is in it.
            envelope[name] = "'{}'" if path else "NULL::VARCHAR"
    for name in typed_names(fmt, shape):
        if name in envelope:
            envelope[name] = f'"{name}"'
    known = {name: expr for name, expr in envelope.items() if _CONSTANT.fullmatch(expr)}
    computed = {name: expr for name, expr in envelope.items() if name not in known}
    for name in {"stop", "logit_bias", "tags"} & set(computed):
        computed[name] = f"ik_unwrap({computed[name]})"
    absent = [] if shape.request else [*REQUEST_TEXT, *REQUEST_JSON]
    absent += [] if shape.response else [*RESPONSE_TEXT, *RESPONSE_JSON]
    return computed, known | dict.fromkeys([*absent, *unread(shape)], "NULL::VARCHAR")


def _plain(shape: Shape, typed: Mapping[str, object]) -> dict[str, Plain]:
    """Return the plain readings that are used, by the name that they read."""
    readings = {case.name: plain_of(shape, case) for case in only_cases(shape)}
    return {name: plain for name, plain in readings.items() if plain is not None and name in typed}


def _envelope(fmt: Format) -> dict[str, str]:
    """Return the expression of every target for a format (NULL where it has none)."""
    declared = {**fmt.paths, **fmt.json_paths}
    columns: dict[str, str] = {}
    for target, kind in TARGETS.items():
        if target in fmt.columns:
            expression = f"({fmt.columns[target]})"
        elif target in declared:
            expression = f'"{target}"'
        else:
            columns[target] = f"NULL::{'VARCHAR' if kind == 'JSON' else kind}"
            continue
        if kind == "JSON":
            columns[target] = f"{expression}::VARCHAR"
        elif kind == "VARCHAR":
            columns[target] = f"nullif({expression}::VARCHAR, '')"
        elif kind in ("INTEGER", "BIGINT"):
            # Whole numbers are often logged as 1.0; a plain integer cast would refuse the text.
            columns[target] = (
                f"coalesce(TRY_CAST({expression} AS {kind}),"
                f" TRY_CAST(TRY_CAST({expression} AS DOUBLE) AS {kind}))"
            )
        else:
            columns[target] = f"TRY_CAST({expression} AS {kind})"
    return columns


# -- layers 5 and 6 -----------------------------------------------------------------------------


def _values(*, stream: bool) -> dict[str, str]:
    """Return the layer of single values: times, address, secret, usage."""
    usage = (
        "CASE WHEN starts_with(response, '[') AND rs_choices IS NULL"
        " THEN ik_event_usage(response) END"
        if stream
        else "NULL::STRUCT(input BIGINT, output BIGINT, latency DOUBLE, blocked BOOLEAN)"
    )
    items = [
        "*",
        f"{SYSTEM_TEXT} AS system_text",
        f"{usage} AS usage",
        f"{OPERATION} AS op",
        "ik_time(event_time) AS t_start",
        "ik_time(event_time_end) AS t_end",
        "ik_time(rs_created) AS t_created",
        "ik_ip(client_ip) AS ip_direct",
        "ik_ip(split_part(forwarded_for, ',', 1)) AS ip_forwarded",
        "ik_is_secret(credential_id) AS is_secret",
        "coalesce(logit_bias, rq_logit_bias) AS bias",
        "coalesce(starts_with(request, '{'), false) OR temperature IS NOT NULL"
        " OR max_tokens IS NOT NULL OR logprobs IS NOT NULL AS known",
        "CASE WHEN rq_prompt IS NOT NULL AND messages IS NULL AND rq_messages IS NULL"
        " AND prompt IS NULL AND regexp_matches(rq_prompt, '^\\[\\s*[\"\\[]')"
        " THEN json_array_length(rq_prompt)::INTEGER ELSE 1 END AS parts",
    ]
    return {"singles": select(items, "inner_")}


#: Lists of a side, from its list of structs (``{}``) or straight from a typed list.
_MESSAGES = {
    "roles0": "list_transform({}, lambda m: m.role)",
    "bodies0": "list_transform({}, lambda m: coalesce(m.body, ''))",
}
_TURNS = {
    "roles0": "list_transform({}, lambda m: ik_turn_role(m))",
    "bodies0": "list_transform({}, lambda m: ik_turn_text(m))",
}
_CHOICES = {
    "choice_no": "list_transform({}, lambda c: c.choice)",
    "choice_body": "list_transform({}, lambda c: c.body)",
    "choice_finish": "list_transform({}, lambda c: c.finish)",
    "tokens0": "{}[1].tokens",
    "lps0": "{}[1].lps",
    "tops0": "{}[1].tops",
    "counted": "list_sum(list_transform({}, lambda c: c.scalars))",
}
_FIRST = "{}[1].logprobs"
_ANSWERS = {
    "choice_no": "list_transform({}, lambda c, i: coalesce(c.index, (i - 1)::INTEGER))",
    "choice_body": "list_transform({}, lambda c: ik_choice_text(c))",
    "choice_finish": "list_transform({}, lambda c: c.finish_reason)",
    "tokens0": f"CASE WHEN {_FIRST} IS NOT NULL THEN ik_lp_tokens({_FIRST}) END",
    "lps0": f"CASE WHEN {_FIRST} IS NOT NULL THEN ik_lp_values({_FIRST}) END",
    "tops0": f"CASE WHEN {_FIRST} IS NOT NULL THEN ik_lp_tops({_FIRST}) END",
    "counted": (
        f"CASE WHEN {_FIRST} IS NOT NULL OR len({{}}) > 1 THEN list_sum(list_transform({{}},"
        " lambda c: CASE WHEN c.logprobs IS NOT NULL THEN ik_scalars(c.logprobs) END)) END"
    ),
}


@dataclass(frozen=True, slots=True)
class _Side:
    """Messages or choices: the expression of any dialect, and how lists are taken from it."""

    value: str
    cases: tuple[Case, ...]
    typed: Mapping[str, object]
    straight: Mapping[str, str]
    general: Mapping[str, str]
    plain: Mapping[str, Plain]

    @property
    def direct(self) -> str:
        """Name of the one typed list that is all there is, or empty."""
        only = self.cases[0].name if len(self.cases) == 1 else ""
        return only if only in self.typed else ""

    def lists(self, source: str) -> list[str]:
        """Return select items for the side's lists."""
        straight = bool(self.direct)
        name = self.direct or source
        rules = self.straight if straight else self.general
        if straight and self.direct in self.plain:
            rules = {**rules, **self.plain[self.direct].lists}
        return [f"{rule.replace('{}', name)} AS {key}" for key, rule in rules.items()]


def _lists(messages: _Side, choices: _Side) -> dict[str, str]:
    """Return the layers that make lists of roles, texts and choices."""
    built = ["*"]
    if not messages.direct:
        built.append(f"{messages.value} AS msgs")
    if not choices.direct:
        built.append(f"coalesce({choices.value}, []) AS chs")
    ctes = {"lists": select(built, "singles")}
    ctes["apart"] = select(["*", *messages.lists("msgs"), *choices.lists("chs")], "lists")
    return ctes


def _places() -> dict[str, str]:
    """Return the layers that add the system prompt and find the places of texts."""
    times = ", ".join(plausible(name) for name in ("t_start", "t_end", "t_created"))
    ctes = {
        "timed": select(
            [
                "* EXCLUDE (roles0, bodies0)",
                "CASE WHEN system_text IS NOT NULL THEN list_concat(['system'], roles0)"
                " ELSE coalesce(roles0, []) END AS roles",
                "CASE WHEN system_text IS NOT NULL THEN list_concat([system_text], bodies0)"
                " ELSE coalesce(bodies0, []) END AS bodies",
                f"coalesce({times}) AS event_at",
                "coalesce(ip_direct, ip_forwarded) AS ip",
                "coalesce(choice_finish[1], finish_reason, rs_stop_reason) AS finish",
                "CASE WHEN len(lps0) > 0 THEN"
                " list_filter(lps0, lambda x: x IS NOT NULL AND isfinite(x)) END AS lps",
            ],
            "apart",
        )
    }
    ctes["placed"] = select(
        [
            "*",
            "nullif(list_position(roles, 'system'), 0) AS system_at",
            "CASE WHEN roles[-1] = 'user' THEN len(roles) WHEN list_contains(roles, 'user')"
            " THEN len(roles) + 1 - list_position(list_reverse(roles), 'user')"
            " WHEN len(roles) > 0 THEN len(roles) END AS prompt_at",
        ],
        "timed",
    )
    return ctes


def select(items: Iterable[str], source: str) -> str:
    """Return a SELECT over ``source``, one item a line."""
    return "SELECT " + ",\n  ".join(items) + f"\nFROM {source}"


def _with(ctes: Mapping[str, str], last: str) -> str:
    layers = ",\n".join(f"{name} AS ({body})" for name, body in ctes.items())
    return f"WITH {layers}\n{last}"


def _tuple(numbers: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, numbers)) + ")"
