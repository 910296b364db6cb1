"""SQL macros that every format declaration may use (prefix ``ik_``).

All of them are total: odd input gives NULL, never an error, because one strange value must not
stop a block of ten thousand records.  JSON travels as VARCHAR and must be valid or NULL.
"""

from __future__ import annotations

#: Full credentials as common providers issue them; a log should never hold one.
SECRET_PATTERN = (
    r"^(bearer|basic|api-key|token)\s+\S+$"
    r"|^(sk|pk|rk)[-_][A-Za-z0-9_\-]{16,}$"
    r"|^(gsk|hf|r8|xai|pplx|nvapi|dapi|fw|sk-ant|ghp|gho|glpat|AIza)[-_]?[A-Za-z0-9_\-]{20,}$"
    r"|^eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]*$"
)

#: Most records that one entry may wrap.
MAX_ELEMENTS = 250_000

#: Ticks between 0001-01-01 and 1970-01-01 (100 ns each), as .NET counts time.
_TICKS = 621_355_968_000_000_000

_OFFSET = r"[T ][0-9:.]+ ?[+-][0-9]{2}(:?[0-9]{2})?$"
_ZULU = r"[0-9] ?(Z|z|UTC|GMT)$"
_IPV4 = r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}"

MACROS: tuple[str, ...] = (
    # JSON is carried as VARCHAR: a cast to the JSON type would parse it once more.
    # A JSON value that may itself be a string holding JSON (twice at most); 'null' becomes NULL.
    """CREATE MACRO ik_unwrap1(j) AS CASE
      WHEN j = 'null' THEN NULL
      WHEN starts_with(j, '"') AND regexp_matches(j, '^"\\s*[\\[{]')
        AND json_valid(json_extract_string(j, '$'))
      THEN json_extract_string(j, '$') ELSE j END""",
    "CREATE MACRO ik_unwrap(j) AS ik_unwrap1(ik_unwrap1(j))",
    # No line holds so many records; so many scalars would only fill the memory.
    f"""CREATE MACRO ik_elements(j) AS CASE
      WHEN starts_with(j, '[') AND json_array_length(j) <= {MAX_ELEMENTS}
      THEN json_extract(j, '$[*]')::VARCHAR[] END""",
    # First present value of several JSON paths, as text.
    "CREATE MACRO ik_first(j, paths) AS"
    " list_filter(json_extract_string(j, paths), lambda x: x IS NOT NULL)[1]",
    # Text of one content part: a string, {text}, tool output or tool arguments.
    """CREATE MACRO ik_part(p) AS CASE
      WHEN starts_with(p, '"') THEN json_extract_string(p, '$')
      WHEN starts_with(p, '{') THEN coalesce(json_extract_string(p, '$.text'),
        list_filter(json_extract_string(p, ['$.thinking', '$.refusal',
          '$.input_text', '$.output_text', '$.guardContent.text.text', '$.toolUse.input',
          '$.reasoningContent.reasoningText.text', '$.functionCall.args', '$.arguments',
          '$.input', '$.toolResult.content[0].text', '$.functionResponse.response',
          '$.content[0].text', '$.content', '$.response', '$.output']),
          lambda x: x IS NOT NULL)[1])
      END""",
    # Joined texts of a list of parts, if all of them are plain text parts; in one parse.
    """CREATE MACRO ik_all_texts(l) AS CASE
      WHEN len(list_filter(l, lambda p: p.text IS NULL)) = 0
      THEN array_to_string(list_transform(l, lambda p: p.text), chr(10)) END""",
    # Text of a message's content: string, list of parts, or a single part.
    """CREATE MACRO ik_text(c) AS CASE
      WHEN c = 'null' THEN NULL
      WHEN starts_with(c, '"') THEN json_extract_string(c, '$')
      WHEN starts_with(c, '[')
      THEN coalesce(list_transform([from_json(c, '[{"text":"VARCHAR"}]')],
          lambda l: ik_all_texts(l))[1],
        array_to_string(list_transform(json_extract(c, '$[*]')::VARCHAR[],
          lambda p: ik_part(p)), chr(10)))
      WHEN starts_with(c, '{') THEN ik_part(c)
      ELSE c END""",
    """CREATE MACRO ik_role(r) AS CASE lower(r)
      WHEN 'system' THEN 'system' WHEN 'developer' THEN 'system'
      WHEN 'assistant' THEN 'assistant' WHEN 'model' THEN 'assistant' WHEN 'ai' THEN 'assistant'
      WHEN 'chatbot' THEN 'assistant'
      WHEN 'tool' THEN 'tool' WHEN 'function' THEN 'tool' WHEN 'ipython' THEN 'tool'
      ELSE 'user' END""",
    # Arguments of tool calls are output text too: data leaks through them like through prose.
    """CREATE MACRO ik_calls(j) AS CASE WHEN starts_with(j, '[') THEN nullif(array_to_string(
      list_transform(json_extract(j, '$[*]')::VARCHAR[],
        lambda t: ik_first(t, ['$.function.arguments', '$.arguments', '$.args'])),
      chr(10)), '') END""",
    # The data lines of a server-sent-event transcript, as a JSON array.
    """CREATE MACRO ik_sse(t) AS '[' || array_to_string(list_filter(list_transform(
      string_split(t, chr(10)), lambda s: CASE WHEN starts_with(s, 'data:') THEN trim(s[6:]) END),
      lambda s: starts_with(s, '{') AND json_valid(s)), ',') || ']'""",
    # Microseconds since 1970 of a number, its unit told by its magnitude.
    """CREATE MACRO ik_us_float(d) AS CASE
      WHEN d >= 1e8 AND d < 1e11 THEN round(d * 1e6)::BIGINT
      WHEN d >= 1e11 AND d < 1e14 THEN round(d * 1e3)::BIGINT
      WHEN d >= 1e14 AND d < 1e17 THEN d::BIGINT END""",
    f"""CREATE MACRO ik_us_whole(h) AS CASE
      WHEN h BETWEEN 100000000 AND 99999999999 THEN h * 1000000
      WHEN h BETWEEN 100000000000 AND 99999999999999 THEN h * 1000
      WHEN h BETWEEN 100000000000000 AND 99999999999999999 THEN h
      WHEN h BETWEEN 620000000000000000 AND 660000000000000000 THEN (h - {_TICKS}) // 10
      WHEN h BETWEEN 1000000000000000000 AND 2000000000000000000 THEN h // 1000 END""",
    # ISO 8601, RFC 2822, the common log format, or an epoch number; UTC without zone.
    f"""CREATE MACRO ik_time(t) AS CASE
      WHEN t IS NULL THEN NULL
      WHEN t[5] = '-' AND ends_with(t, 'Z') THEN TRY_CAST(t AS TIMESTAMP)
      WHEN NOT regexp_matches(t, '[0-9]') THEN NULL
      WHEN regexp_full_match(t, '[0-9]+')
      THEN make_timestamp(ik_us_whole(TRY_CAST(t AS BIGINT)))
      WHEN regexp_full_match(t, '[0-9]+([.][0-9]+)?([eE][+]?[0-9]+)?')
      THEN make_timestamp(ik_us_float(TRY_CAST(t AS DOUBLE)))
      WHEN regexp_matches(t, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN CASE
        WHEN regexp_matches(t, '{_OFFSET}')
        THEN TRY_CAST(TRY_CAST(t AS TIMESTAMPTZ) AS TIMESTAMP)
        ELSE TRY_CAST(replace(regexp_replace(t, ' ?(Z|z|UTC|GMT)$', ''), ',', '.') AS TIMESTAMP)
        END
      ELSE coalesce(
        TRY_CAST(TRY(try_strptime(t, '%a, %d %b %Y %H:%M:%S %Z')) AS TIMESTAMP),
        TRY_CAST(TRY(try_strptime(t, '%d/%b/%Y:%H:%M:%S %z')) AS TIMESTAMP)) END""",
    # True where the text names no zone, so that UTC was assumed.
    f"""CREATE MACRO ik_naive(t) AS CASE
      WHEN t IS NULL OR ends_with(t, 'Z') THEN false
      WHEN NOT regexp_matches(t, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') THEN false
      ELSE NOT regexp_matches(t, '{_ZULU}') AND NOT regexp_matches(t, '{_OFFSET}') END""",
    # Address without port or brackets.
    f"""CREATE MACRO ik_ip(t) AS CASE
      WHEN t IS NULL OR trim(t) = '' THEN NULL
      WHEN regexp_full_match(t, '[0-9.]+') THEN t
      WHEN regexp_full_match(trim(t), '{_IPV4}:[0-9]+') THEN split_part(trim(t), ':', 1)
      WHEN regexp_full_match(trim(t), '\\[[0-9A-Fa-f:.%]+\\](:[0-9]+)?')
      THEN regexp_extract(trim(t), '\\[([^\\]]+)\\]', 1)
      ELSE trim(t) END""",
    f"""CREATE MACRO ik_ip_kind(t) AS CASE
      WHEN t IS NULL THEN 'none'
      WHEN regexp_full_match(t, '{_IPV4}') THEN 'full'
      WHEN regexp_full_match(t, '[0-9A-Fa-f]{{32,128}}') THEN 'hashed'
      WHEN regexp_full_match(t, '[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+(%.+)?') THEN 'full'
      WHEN regexp_matches(t, '[*xX]') THEN 'masked'
      ELSE 'other' END""",
    f"""CREATE MACRO ik_is_secret(t) AS CASE
      WHEN t IS NULL OR length(t) < 16 OR contains(t, '*') OR contains(t, '...')
        OR contains(t, '…') THEN false
      ELSE regexp_matches(t, '(?i){SECRET_PATTERN}') END""",
    # The secret itself, so that its hash equals the hash a gateway stores.
    "CREATE MACRO ik_bare_secret(t) AS"
    " regexp_replace(t, '(?i)^(bearer|basic|api-key|token)\\s+', '')",
    "CREATE MACRO ik_finite(x) AS CASE WHEN isfinite(x) THEN x END",
)
