"""SQL that reads feature vectors and class scores out of the bodies of prediction calls.

One reader serves every model server, because their bodies follow few protocols: V1 (``instances``,
``predictions``), V2 or Open Inference (``inputs``/``outputs`` tensors with ``shape``), TensorFlow
Serving (columnar ``inputs``), Seldon (``data.ndarray``, ``data.tensor``), MLflow and Databricks
(``dataframe_split``, ``dataframe_records``), Amazon SageMaker (CSV lines, ``features``, answers of
the built-in algorithms), and bare JSON lists.

Sources: KServe "Data plane" V1 and V2 protocol pages; ``mlserver`` 1.7 ``types``; MLflow "Deploy
models: accepted inputs"; SageMaker developer guide, "Common data formats for inference".

Every macro is total: odd input gives NULL or an empty list, never an error.
"""

from __future__ import annotations

#: Most rows of one call, and most values of one row, that are kept; the body itself stays whole.
MOST_ROWS, MOST_VALUES = 20_000, 4096

_TENSORS = '[{"name":"VARCHAR","shape":["BIGINT"],"data":"JSON"}]'

#: Where a request keeps its rows, a response its answers; the first present one wins.
_ASKED = (
    *("$.instances", "$.dataframe_records", "$.dataframe_split.data", "$.data.ndarray"),
    *("$.data.tensor.values", "$.inputs", "$.features", "$.signature_inputs", "$.input"),
)
_ANSWERED = (
    *("$.predictions", "$.outputs", "$.data.ndarray", "$.data.tensor.values"),
    *("$.probabilities", "$.scores", "$.result", "$.output"),
)
_LABEL = (
    *("$.predicted_label", "$.label", "$.predicted_class", "$.class", "$.class_name"),
    "$.prediction",
)
_SCORES = (
    *("$.probabilities", "$.class_probabilities", "$.probs", "$.scores", "$.probability"),
    *("$.score", "$.confidence"),
)


def _paths(paths: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{path}'" for path in paths) + "]"


MACROS: tuple[str, ...] = (
    # All cells of a nested JSON list, its inner brackets taken away.
    """CREATE OR REPLACE TEMP MACRO ik_flat(j) AS CASE
      WHEN starts_with(j, '[') THEN coalesce(TRY(from_json(
        '[' || regexp_replace(j, '[\\[\\]]', '', 'g') || ']', '["VARCHAR"]')), [])
      WHEN j IS NULL OR j = 'null' THEN []
      ELSE [coalesce(TRY(json_extract_string(j, '$')), j)] END""",
    # Cells of one record: its vector, or its fields in the order they were written.
    """CREATE OR REPLACE TEMP MACRO ik_record(j) AS CASE
      WHEN json_extract(j, '$.features') IS NOT NULL
      THEN ik_flat(coalesce(json_extract(j, '$.features.values'),
        json_extract(j, '$.features'))::VARCHAR)
      WHEN json_extract(j, '$.data.features.values') IS NOT NULL
      THEN ik_flat(json_extract(j, '$.data.features.values')::VARCHAR)
      ELSE map_values(from_json(j, '"MAP(VARCHAR, VARCHAR)"')) END""",
    """CREATE OR REPLACE TEMP MACRO ik_fields(j) AS CASE
      WHEN starts_with(j, '{') AND json_extract(j, '$.features') IS NULL
        AND json_extract(j, '$.data.features') IS NULL
      THEN map_keys(from_json(j, '"MAP(VARCHAR, VARCHAR)"')) END""",
    # Rows of a JSON list: of lists, of deeper lists (images), of records, or of single values.
    f"""CREATE OR REPLACE TEMP MACRO ik_grid(j) AS CASE
      WHEN NOT starts_with(j, '[') OR json_array_length(j) > {MOST_ROWS} THEN []
      WHEN regexp_matches(j, '^\\[\\s*\\[\\s*[^\\[\\{{\\s]') THEN list_transform(
        from_json(j, '[["VARCHAR"]]'), lambda r: coalesce(r, []))
      WHEN regexp_matches(j, '^\\[\\s*\\[') THEN
        list_transform(json_extract(j, '$[*]')::VARCHAR[], lambda r: ik_flat(r))
      WHEN regexp_matches(j, '^\\[\\s*\\{{') THEN
        list_transform(json_extract(j, '$[*]')::VARCHAR[], lambda r: ik_record(r))
      ELSE list_transform(from_json(j, '["VARCHAR"]'), lambda v: [v]) END""",
    # Rows of tensors side by side: each is cut into as many parts as the first has rows.
    f"""CREATE OR REPLACE TEMP MACRO ik_side_by_side(flats, n) AS CASE
      WHEN n BETWEEN 1 AND {MOST_ROWS} THEN list_transform(range(n), lambda i: flatten(
        list_transform(flats, lambda f: f[(i * len(f) // n + 1):((i + 1) * len(f) // n)])))
      ELSE [] END""",
    f"""CREATE OR REPLACE TEMP MACRO ik_tensors(j) AS list_transform(
      [from_json(j, '{_TENSORS}')], lambda t: ik_side_by_side(
        list_transform(t, lambda x: ik_flat(x.data::VARCHAR)), t[1].shape[1]))[1]""",
    """CREATE OR REPLACE TEMP MACRO ik_columnar(j) AS list_transform(
      [map_values(from_json(j, '"MAP(VARCHAR, VARCHAR)"'))], lambda c: ik_side_by_side(
        list_transform(c, lambda v: ik_flat(v)), TRY(json_array_length(c[1]))::BIGINT))[1]""",
    """CREATE OR REPLACE TEMP MACRO ik_is_tensors(j) AS
      regexp_matches(j, '^\\[\\s*\\{') AND contains(j, '"shape"') AND contains(j, '"data"')""",
    f"""CREATE OR REPLACE TEMP MACRO ik_csv(t) AS list_transform(
      list_slice(list_filter(string_split(replace(t, chr(13), ''), chr(10)), lambda l: l <> ''),
        1, {MOST_ROWS}), lambda l: string_split(l, ','))""",
    # A request's rows of cells.
    f"""CREATE OR REPLACE TEMP MACRO ik_asked(b) AS CASE
      WHEN NOT regexp_matches(b, '^\\s*[\\[{{]') OR NOT json_valid(b) THEN
        CASE WHEN contains(b, ',') OR TRY_CAST(b AS DOUBLE) IS NOT NULL THEN ik_csv(b) ELSE [] END
      -- A bare list of single values is one vector.
      WHEN regexp_matches(b, '^\\s*\\[\\s*[^\\[\\{{\\s]') THEN [ik_flat(ltrim(b))]
      WHEN starts_with(ltrim(b), '[') THEN ik_grid(ltrim(b))
      ELSE list_transform([list_filter(json_extract(b, {_paths(_ASKED)})::VARCHAR[],
          lambda x: x IS NOT NULL AND x <> 'null')[1]],
        lambda m: CASE
          WHEN ik_is_tensors(m) THEN ik_tensors(m)
          WHEN json_extract(b, '$.data.tensor.shape[0]') IS NOT NULL THEN ik_side_by_side(
            [ik_flat(m)], TRY_CAST(json_extract(b, '$.data.tensor.shape[0]') AS BIGINT))
          WHEN starts_with(m, '{{') THEN ik_columnar(m)
          ELSE ik_grid(m) END)[1] END""",
    # Names of a request's columns, where it says them.
    """CREATE OR REPLACE TEMP MACRO ik_column_names(b) AS CASE
      WHEN NOT starts_with(ltrim(b), '{') OR NOT json_valid(b) THEN NULL
      ELSE coalesce(
        json_extract_string(json_extract(b, '$.dataframe_split.columns'), '$[*]'),
        json_extract_string(json_extract(b, '$.data.names'), '$[*]'),
        ik_fields(coalesce(json_extract(b, '$.dataframe_records[0]'),
          json_extract(b, '$.instances[0]'))::VARCHAR)) END""",
    # One answer: a label, scores and their names.
    f"""CREATE OR REPLACE TEMP MACRO ik_answer(j) AS CASE
      WHEN starts_with(j, '{{') THEN list_transform(
        [list_filter(json_extract(j, {_paths(_SCORES)})::VARCHAR[],
          lambda x: x IS NOT NULL AND x <> 'null')[1]],
        lambda s: struct_pack(
          label := list_filter(json_extract_string(j, {_paths(_LABEL)}),
            lambda x: x IS NOT NULL)[1],
          scores := CASE WHEN starts_with(s, '{{')
            THEN map_values(from_json(s, '"MAP(VARCHAR, VARCHAR)"'))
            WHEN s IS NULL THEN []::VARCHAR[] ELSE ik_flat(s) END,
          names := CASE WHEN starts_with(s, '{{')
            THEN map_keys(from_json(s, '"MAP(VARCHAR, VARCHAR)"')) END))[1]
      ELSE struct_pack(label := NULL::VARCHAR, scores := ik_flat(j), names := NULL::VARCHAR[])
      END""",
    # Tensors of an answer: the widest holds scores, one beside it with a value per row the label.
    f"""CREATE OR REPLACE TEMP MACRO ik_answer_tensors(j) AS list_transform(
      [list_transform(from_json(j, '{_TENSORS}'), lambda x: struct_pack(
        cells := ik_flat(x.data::VARCHAR), n := x.shape[1]))],
      lambda t: list_transform([struct_pack(
          n := CASE WHEN t[1].n BETWEEN 1 AND {MOST_ROWS} THEN t[1].n ELSE 0 END,
          wide := list_filter(t, lambda x: len(x.cells) > t[1].n)[1].cells,
          slim := list_filter(t, lambda x: len(x.cells) = t[1].n)[1].cells)],
        lambda w: list_transform(range(w.n), lambda i: struct_pack(
          label := CASE WHEN w.wide IS NOT NULL THEN w.slim[i + 1] END,
          scores := CASE WHEN w.wide IS NOT NULL
            THEN w.wide[(i * len(w.wide) // w.n + 1):((i + 1) * len(w.wide) // w.n)]
            ELSE [w.slim[i + 1]] END,
          names := NULL::VARCHAR[])))[1])[1]""",
    f"""CREATE OR REPLACE TEMP MACRO ik_list_answers(m) AS CASE
      WHEN json_array_length(m) > {MOST_ROWS} THEN []
      ELSE list_transform(json_extract(m, '$[*]')::VARCHAR[], lambda r: ik_answer(r)) END""",
    f"""CREATE OR REPLACE TEMP MACRO ik_answered(b) AS CASE
      WHEN NOT regexp_matches(b, '^\\s*[\\[{{]') OR NOT json_valid(b) THEN list_transform(
        ik_csv(b), lambda r: struct_pack(label := NULL::VARCHAR, scores := r,
          names := NULL::VARCHAR[]))
      WHEN starts_with(ltrim(b), '[') THEN ik_list_answers(ltrim(b))
      ELSE list_transform([list_filter(json_extract(b, {_paths(_ANSWERED)})::VARCHAR[],
          lambda x: x IS NOT NULL AND x <> 'null')[1]],
        lambda m: CASE
          WHEN m IS NULL THEN [ik_answer(b)]
          WHEN ik_is_tensors(m) THEN ik_answer_tensors(m)
          WHEN json_extract(b, '$.data.tensor.shape[0]') IS NOT NULL THEN list_transform(
            ik_side_by_side([ik_flat(m)],
              TRY_CAST(json_extract(b, '$.data.tensor.shape[0]') AS BIGINT)),
            lambda r: struct_pack(label := NULL::VARCHAR, scores := r, names := NULL::VARCHAR[]))
          WHEN starts_with(m, '[') THEN ik_list_answers(m)
          ELSE [ik_answer(b)] END)[1] END""",
    """CREATE OR REPLACE TEMP MACRO ik_word(c) AS c IS NOT NULL AND trim(c) <> ''
      AND TRY_CAST(c AS DOUBLE) IS NULL AND lower(c) NOT IN ('true', 'false', 'null', 'nan')""",
    # A cell as a number: flags count 0 and 1, and a word is a number that only equality means.
    """CREATE OR REPLACE TEMP MACRO ik_cell(c) AS CASE
      WHEN isfinite(TRY_CAST(c AS DOUBLE)) THEN TRY_CAST(c AS DOUBLE)
      WHEN lower(c) = 'true' THEN 1.0 WHEN lower(c) = 'false' THEN 0.0
      WHEN ik_word(c) THEN (hash(c) >> 12)::DOUBLE / 4503599627370496.0 END""",
)

#: Natural logarithm of a probability, 0 for 0.
_PLOGP = "list_sum(list_transform(probs, lambda p: CASE WHEN p > 0 THEN -p * ln(p) ELSE 0 END))"
#: Rounded probabilities miss a sum of one by up to half a unit of the second digit per class.
_SUM = "abs(list_sum(scores) - 1) <= greatest(0.001, 0.005 * len(scores))"

#: Fills ``query_item`` and ``query_schema`` out of prediction calls.
STATEMENT = f"""
WITH calls AS (
  SELECT q.record_id, q.source_id, i.body AS asked, o.body AS answered
  FROM query_record q LEFT JOIN text i ON i.text_id = q.prompt_text_id
  LEFT JOIN text o ON o.text_id = q.response_text_id
  WHERE q.operation = 'predict' AND q.duplicate_of IS NULL),
read AS (
  SELECT record_id, source_id, coalesce(TRY(ik_asked(asked)), []) AS rows0,
    TRY(ik_column_names(asked)) AS names, coalesce(TRY(ik_answered(answered)), []) AS answers0
  FROM calls),
-- Where one side has a single row, a plain list on the other side is that row's values.
paired AS (
  SELECT record_id, source_id, names,
    CASE WHEN len(answers0) = 1 AND len(rows0) > 1 AND list_bool_and(list_transform(rows0,
        lambda r: len(r) = 1)) THEN [flatten(rows0)] ELSE rows0 END AS rows1,
    CASE WHEN len(rows0) = 1 AND len(answers0) > 1 AND list_bool_and(list_transform(answers0,
        lambda a: len(a.scores) = 1 AND a.label IS NULL))
      THEN [struct_pack(label := NULL::VARCHAR,
        scores := flatten(list_transform(answers0, lambda a: a.scores)),
        names := NULL::VARCHAR[])] ELSE answers0 END AS answers1
  FROM read),
items AS (
  SELECT record_id, source_id, names, rows1, answers1,
    unnest(range(greatest(len(rows1), len(answers1))::BIGINT)) AS item FROM paired),
picked AS (
  SELECT record_id, source_id, names, item::INTEGER AS item,
    list_slice(rows1[item + 1], 1, {MOST_VALUES}) AS cells, len(rows1[item + 1]) AS width,
    answers1[item + 1].label AS label,
    list_slice(answers1[item + 1].scores, 1, {MOST_VALUES}) AS said,
    answers1[item + 1].names AS class_names
  FROM items),
numbered AS (
  SELECT *, list_transform(cells, lambda c: ik_cell(c)) AS features,
    nullif(list_filter(range(len(cells)::BIGINT), lambda i: ik_word(cells[i + 1])), []) AS words,
    list_transform(said, lambda c: CASE WHEN isfinite(TRY_CAST(c AS DOUBLE))
      THEN TRY_CAST(c AS DOUBLE) END) AS scores
  FROM picked),
kinds AS (
  SELECT *, CASE
      WHEN coalesce(len(scores), 0) = 0 THEN CASE WHEN label IS NOT NULL THEN 'label' END
      WHEN NOT list_bool_and(list_transform(scores, lambda s: s IS NOT NULL))
      THEN CASE WHEN len(said) = 1 THEN 'label' END
      WHEN len(scores) > 1 AND list_min(scores) >= 0 AND list_max(scores) <= 1 AND {_SUM}
      THEN 'probabilities'
      WHEN len(scores) > 1 THEN 'logits'
      WHEN label IS NOT NULL AND scores[1] BETWEEN 0 AND 1 THEN 'confidence'
      WHEN scores[1] > 0 AND scores[1] < 1 THEN 'binary'
      WHEN scores[1] = floor(scores[1]) AND abs(scores[1]) < 100000 THEN 'label'
      ELSE 'value' END AS kind
  FROM numbered),
normal AS (
  SELECT *, CASE kind WHEN 'probabilities' THEN scores
      WHEN 'binary' THEN [1 - scores[1], scores[1]]
      WHEN 'logits' THEN list_transform([list_transform(scores,
          lambda s: exp(greatest(s - list_max(scores), -700)))],
        lambda e: list_transform(e, lambda x: x / list_sum(e)))[1] END AS probs
  FROM kinds),
ranked AS (
  SELECT *, CASE WHEN probs IS NOT NULL THEN list_reverse_sort(probs) END AS best,
    CASE WHEN probs IS NOT NULL THEN list_position(probs, list_max(probs)) END AS top
  FROM normal)
SELECT record_id, source_id, item,
  CASE WHEN names IS NOT NULL AND len(names) = width THEN left(md5(to_json(names)::VARCHAR), 16)
    END AS schema_id,
  names, nullif(features, []) AS features, width::INTEGER AS width,
  words::SMALLINT[] AS words, kind AS scores_kind, probs AS class_probs,
  class_names AS class_labels,
  coalesce(label, CASE WHEN kind = 'label'
      THEN coalesce(TRY_CAST(scores[1] AS BIGINT)::VARCHAR, said[1])
    WHEN probs IS NOT NULL THEN coalesce(class_names[top], (top - 1)::VARCHAR) END) AS pred_label,
  CASE WHEN probs IS NOT NULL THEN best[1] WHEN kind = 'confidence'
    THEN greatest(scores[1], 1 - scores[1]) END AS top1_prob,
  CASE WHEN probs IS NOT NULL THEN best[1] - best[2] WHEN kind = 'confidence'
    THEN abs(2 * scores[1] - 1) END AS margin,
  CASE WHEN probs IS NOT NULL THEN {_PLOGP} END AS entropy,
  CASE WHEN kind IN ('label', 'value') OR kind IS NULL THEN 0 ELSE len(scores) END AS scalars
FROM ranked
"""
