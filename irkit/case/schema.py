"""The case database: migrations in order, never edited once released, only appended to.

Tables hold facts derived from preserved evidence; everything but ``review``, ``review_sample``,
``step_state`` and ``custody`` decisions can be rebuilt from evidence and settings.  Times are UTC
``TIMESTAMP``.
Texts are stored once in ``text`` under a 128-bit content hash (first 32 hex digits of SHA-256,
which unlike a short or broken hash an attacker cannot make collide) and referenced everywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema's history."""

    version: int
    title: str
    statements: tuple[str, ...]


EVIDENCE = """
CREATE TABLE evidence_source (
  source_id INTEGER NOT NULL, path VARCHAR NOT NULL, original_path VARCHAR NOT NULL,
  sha256 VARCHAR NOT NULL, bytes BIGINT NOT NULL, mtime TIMESTAMP, storage VARCHAR NOT NULL,
  state VARCHAR NOT NULL, checked_at TIMESTAMP, acquired_at TIMESTAMP, acquired_by VARCHAR,
  container VARCHAR, framing VARCHAR, format VARCHAR, format_confidence DOUBLE, votes JSON,
  parser_version VARCHAR, entries BIGINT, records BIGINT, blanks BIGINT, quarantined BIGINT,
  min_event_time TIMESTAMP, max_event_time TIMESTAMP, capability JSON, note VARCHAR,
  PRIMARY KEY (source_id))
"""

#: A digest in hexadecimal.  It compresses to half at best, and finding that out by trying every
#: method costs more than writing it as it is.
ID = "VARCHAR USING COMPRESSION uncompressed"

QUERY_RECORD = f"""
CREATE TABLE query_record (
  record_id {ID} NOT NULL, source_id INTEGER NOT NULL, source_format VARCHAR NOT NULL,
  entry_no BIGINT NOT NULL, sub_no INTEGER NOT NULL, byte_offset BIGINT, raw_sha256 {ID},
  request_id VARCHAR, provider_response_id VARCHAR, correlation_id VARCHAR, trace_id VARCHAR,
  event_time TIMESTAMP, event_time_end TIMESTAMP, event_time_kind VARCHAR,
  provider VARCHAR, operation VARCHAR, endpoint VARCHAR,
  model_requested VARCHAR, model_served VARCHAR, model_version VARCHAR, system_fingerprint VARCHAR,
  credential_id VARCHAR, credential_kind VARCHAR, principal_id VARCHAR, end_user_id VARCHAR,
  tenant_id VARCHAR, session_id VARCHAR, client_ip VARCHAR, client_ip_kind VARCHAR,
  user_agent VARCHAR,
  temperature DOUBLE, top_p DOUBLE, n INTEGER, best_of INTEGER, seed BIGINT, max_tokens INTEGER,
  stop VARCHAR[], logprobs_requested BOOLEAN, top_logprobs INTEGER, echo BOOLEAN,
  logit_bias JSON, logit_bias_size INTEGER, stream BOOLEAN, params_json JSON, params_known BOOLEAN,
  system_text_id {ID}, prompt_text_id {ID}, response_text_id {ID},
  prompt_chars BIGINT, response_chars BIGINT, turn_count INTEGER, choice_count INTEGER,
  finish_reason VARCHAR, has_logprobs BOOLEAN, mean_logprob DOUBLE, min_logprob DOUBLE,
  token_count_lp INTEGER, scalars_returned BIGINT,
  input_tokens BIGINT, output_tokens BIGINT, status_code INTEGER, outcome VARCHAR,
  error_type VARCHAR, latency_ms DOUBLE, content_state VARCHAR NOT NULL,
  record_kind VARCHAR NOT NULL, duplicate_of VARCHAR, tags JSON, parse_warnings VARCHAR[])
"""

INITIAL = Migration(
    1,
    "initial schema",
    (
        "CREATE TABLE meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)",
        "CREATE TABLE stage_progress (stage VARCHAR NOT NULL, item VARCHAR NOT NULL,"
        " status VARCHAR NOT NULL, inputs_hash VARCHAR NOT NULL, finished_at TIMESTAMP,"
        " detail JSON, PRIMARY KEY (stage, item))",
        EVIDENCE,
        QUERY_RECORD,
        f"CREATE TABLE text (text_id {ID} NOT NULL, body VARCHAR NOT NULL)",
        # Input messages of a chat in order (system, history, current turn); pos from 0.
        f"CREATE TABLE query_message (record_id {ID} NOT NULL, source_id INTEGER NOT NULL,"
        f" pos INTEGER NOT NULL, role VARCHAR NOT NULL, text_id {ID} NOT NULL)",
        # Every returned choice, choice 0 included.
        f"CREATE TABLE query_choice (record_id {ID} NOT NULL, source_id INTEGER NOT NULL,"
        f" choice INTEGER NOT NULL, text_id {ID} NOT NULL, finish_reason VARCHAR)",
        # Natural-log probabilities of choice 0; with echo the prompt's tokens come first.
        "CREATE TABLE query_logprob (record_id VARCHAR NOT NULL, source_id INTEGER NOT NULL,"
        " tokens VARCHAR[], token_logprobs DOUBLE[], top_logprobs JSON)",
        # Members of an archive, and which entries of their source each holds.
        "CREATE TABLE evidence_member (source_id INTEGER NOT NULL, name VARCHAR NOT NULL,"
        " first_entry BIGINT NOT NULL, entries BIGINT NOT NULL)",
        # Other records of the same call: how each was found, and which columns it filled.
        "CREATE TABLE record_link (record_id VARCHAR NOT NULL, source_id INTEGER NOT NULL,"
        " other_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, method VARCHAR NOT NULL,"
        " confidence VARCHAR NOT NULL, offset_ms DOUBLE, filled VARCHAR[])",
        # Rows of a prediction call, in batch order; a word among the features is a hash in [0, 1),
        # and ``words`` says where.  Probabilities are softmaxed where scores_kind is 'logits'.
        "CREATE TABLE query_item (record_id VARCHAR NOT NULL, source_id INTEGER NOT NULL,"
        " item INTEGER NOT NULL, schema_id VARCHAR, features DOUBLE[], width INTEGER,"
        " words SMALLINT[], scores_kind VARCHAR, class_probs DOUBLE[], class_labels VARCHAR[],"
        " pred_label VARCHAR, top1_prob DOUBLE, margin DOUBLE, entropy DOUBLE, scalars INTEGER)",
        # Column names of named feature vectors, by the hash that query_item refers to.
        "CREATE TABLE query_schema (schema_id VARCHAR NOT NULL, names VARCHAR[] NOT NULL)",
        "CREATE TABLE quarantine (source_id INTEGER NOT NULL, entry_no BIGINT NOT NULL,"
        " byte_offset BIGINT NOT NULL, byte_len BIGINT NOT NULL, sha256 VARCHAR NOT NULL,"
        " error_code VARCHAR NOT NULL, error_text VARCHAR NOT NULL, raw BLOB, state VARCHAR)",
        # Sessions: logged ids, or the gap rule per actor.
        "CREATE TABLE session (session_key VARCHAR NOT NULL, kind VARCHAR NOT NULL,"
        " credential_id VARCHAR, client_ip VARCHAR, started TIMESTAMP, ended TIMESTAMP,"
        " queries BIGINT)",
        "CREATE TABLE record_session (record_id VARCHAR NOT NULL, session_key VARCHAR NOT NULL)",
        # Training corpus as given, numbered in reading order; bodies stay in the corpus files.
        "CREATE TABLE corpus_doc (ordinal BIGINT NOT NULL, doc_id VARCHAR NOT NULL,"
        " subject_id VARCHAR, copies INTEGER, kind VARCHAR, chars BIGINT, sha256 VARCHAR,"
        " source VARCHAR)",
        # Verified maximal runs that a text shares with a training document (char offsets).
        "CREATE TABLE corpus_match (text_id VARCHAR NOT NULL, role VARCHAR NOT NULL,"
        " t_start INTEGER NOT NULL, t_end INTEGER NOT NULL, tokens INTEGER NOT NULL,"
        " doc_id VARCHAR NOT NULL, d_start INTEGER NOT NULL, d_end INTEGER NOT NULL,"
        " df INTEGER NOT NULL, is_tail BOOLEAN NOT NULL, whole_doc BOOLEAN NOT NULL,"
        " method VARCHAR NOT NULL)",
        "CREATE TABLE detector_result (unit_kind VARCHAR NOT NULL, unit VARCHAR NOT NULL,"
        " detector VARCHAR NOT NULL, status VARCHAR NOT NULL, queries INTEGER, bucket INTEGER,"
        " statistic DOUBLE, p_value DOUBLE, p_kind VARCHAR, e_value DOUBLE, summary VARCHAR,"
        " evidence VARCHAR[], calib_n INTEGER, calib_level VARCHAR, params_hash VARCHAR)",
        # Per-query evidence: the curve that the replay screen draws and onset is estimated on.
        "CREATE TABLE query_evidence (record_id VARCHAR NOT NULL, detector VARCHAR NOT NULL,"
        " score DOUBLE, p_value DOUBLE, reason VARCHAR)",
        "CREATE TABLE finding (finding_id VARCHAR NOT NULL, unit_kind VARCHAR NOT NULL,"
        " unit VARCHAR NOT NULL, members VARCHAR[], technique VARCHAR NOT NULL,"
        " runner_up VARCHAR, profile VARCHAR, tier VARCHAR NOT NULL, p_value DOUBLE,"
        " p_kind VARCHAR NOT NULL, q_value DOUBLE, e_value DOUBLE, score DOUBLE,"
        " onset TIMESTAMP, onset_low TIMESTAMP, onset_high TIMESTAMP, first_seen TIMESTAMP,"
        " last_seen TIMESTAMP, queries BIGINT, evidence_request_ids VARCHAR[],"
        " evidence_record_ids VARCHAR[], summary VARCHAR, also VARCHAR[], by_e_values BOOLEAN,"
        " tail_p DOUBLE, pattern_at TIMESTAMP, end_low TIMESTAMP, end_high TIMESTAMP,"
        " dilution DOUBLE, stretches JSON, pattern VARCHAR)",
        "CREATE TABLE calibration (key VARCHAR NOT NULL, value JSON NOT NULL)",
        # PII found in responses (char offsets in that choice's text).
        "CREATE TABLE entity (record_id VARCHAR NOT NULL, choice INTEGER NOT NULL,"
        " e_start INTEGER NOT NULL, e_end INTEGER NOT NULL, entity_type VARCHAR NOT NULL,"
        " recogniser VARCHAR NOT NULL, score DOUBLE, explanation VARCHAR,"
        " provenance VARCHAR NOT NULL, value_hash VARCHAR)",
        # What the NER model found per batch of text pieces: an interrupted run goes on from here.
        "CREATE TABLE text_entity (batch VARCHAR NOT NULL, text_id VARCHAR NOT NULL,"
        " e_start INTEGER NOT NULL, e_end INTEGER NOT NULL, entity_type VARCHAR NOT NULL,"
        " recogniser VARCHAR NOT NULL, score DOUBLE)",
        # One emitted passage tied to one training record (or to none, when unverified).
        "CREATE TABLE exposure (exposure_id VARCHAR NOT NULL, record_id VARCHAR NOT NULL,"
        " choice INTEGER NOT NULL, provenance VARCHAR NOT NULL, level VARCHAR NOT NULL,"
        " doc_id VARCHAR, doc_start INTEGER, doc_end INTEGER, response_start INTEGER NOT NULL,"
        " response_end INTEGER NOT NULL, matched_chars INTEGER NOT NULL,"
        " subtracted_chars INTEGER NOT NULL, leaked_chars INTEGER NOT NULL, df INTEGER,"
        " entity_types VARCHAR[], categories VARCHAR[], method VARCHAR NOT NULL,"
        " value_masked VARCHAR, value_hash VARCHAR)",
        "CREATE TABLE subject (subject_key VARCHAR NOT NULL, subject_id VARCHAR,"
        " label_masked VARCHAR, status VARCHAR NOT NULL, categories VARCHAR[],"
        " special_category BOOLEAN, child BOOLEAN, countries VARCHAR[], exposures INTEGER,"
        " first_exposed TIMESTAMP, last_exposed TIMESTAMP, link_method VARCHAR)",
        "CREATE TABLE exposure_subject (exposure_id VARCHAR NOT NULL,"
        " subject_key VARCHAR NOT NULL)",
        "CREATE TABLE scope_count (name VARCHAR NOT NULL, min BIGINT, best BIGINT, max BIGINT,"
        " method VARCHAR NOT NULL)",
        # Rows of handed-in tables (register, canaries) that could not be used.
        "CREATE TABLE input_aside (file VARCHAR NOT NULL, row BIGINT NOT NULL,"
        " reason VARCHAR NOT NULL)",
        # People's decisions.
        "CREATE TABLE review (exposure_id VARCHAR NOT NULL, verdict VARCHAR NOT NULL,"
        " note VARCHAR, reviewer VARCHAR NOT NULL, reviewed_at TIMESTAMP NOT NULL)",
        # Exposures drawn for review, in random order per frame (record, person) and stratum.
        "CREATE TABLE review_sample (frame VARCHAR NOT NULL, stratum VARCHAR NOT NULL,"
        " item VARCHAR NOT NULL, position INTEGER NOT NULL, exposure_id VARCHAR NOT NULL)",
        "CREATE TABLE step_state (step_id VARCHAR PRIMARY KEY, state VARCHAR NOT NULL,"
        " decision VARCHAR, reason VARCHAR, owner VARCHAR, changed_at TIMESTAMP)",
        # Severity per subject cluster and deadlines, as last assessed.
        "CREATE TABLE severity (cluster VARCHAR NOT NULL, subjects INTEGER, dpc_low DOUBLE,"
        " dpc_high DOUBLE, ei_low DOUBLE, ei_high DOUBLE, cb_low DOUBLE, cb_high DOUBLE,"
        " se_low DOUBLE, se_high DOUBLE, band_low VARCHAR, band_high VARCHAR, reasons JSON)",
        "CREATE TABLE obligation (regime VARCHAR NOT NULL, rule VARCHAR NOT NULL,"
        " applies VARCHAR NOT NULL, reason VARCHAR NOT NULL, instants JSON)",
    ),
)

#: What preserved gradients give away: one row per artefact, and the training records recognised.
GRADIENTS = (
    "CREATE TABLE gradient_artifact (source_id INTEGER NOT NULL, unit VARCHAR NOT NULL,"
    " round VARCHAR, client VARCHAR, kind VARCHAR NOT NULL, outcome VARCHAR NOT NULL,"
    " detail JSON NOT NULL)",
    "CREATE TABLE gradient_match (source_id INTEGER NOT NULL, item INTEGER NOT NULL,"
    " layer VARCHAR NOT NULL, how VARCHAR NOT NULL, doc_id VARCHAR NOT NULL, subject_id VARCHAR,"
    " kind VARCHAR, cosine DOUBLE NOT NULL, distance DOUBLE NOT NULL, psnr DOUBLE NOT NULL,"
    " sure BOOLEAN NOT NULL, scaling VARCHAR NOT NULL)",
)

MIGRATIONS: tuple[Migration, ...] = (
    INITIAL,
    Migration(2, "gradient artefacts", GRADIENTS),
    Migration(
        3,
        "what membership inference learned",
        (
            "CREATE TABLE membership_harm (finding_id VARCHAR NOT NULL, detail JSON NOT NULL)",
            # Per candidate of an attacker: its score, and what it said about membership.
            "CREATE TABLE membership_guess (finding_id VARCHAR NOT NULL,"
            " record_id VARCHAR NOT NULL, doc_id VARCHAR, member BOOLEAN NOT NULL,"
            " score DOUBLE NOT NULL, guessed BOOLEAN NOT NULL, above_all BOOLEAN NOT NULL)",
        ),
    ),
)
