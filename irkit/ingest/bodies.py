"""Reading request and response bodies of every known model dialect into one shape, in SQL.

Gateways wrap bodies differently but pass the model's own body through, so one reader serves all
formats: OpenAI chat, completions and Responses; Anthropic messages (whole and streamed); Bedrock
Converse, Titan, Llama, Mistral; Gemini; Cohere; Ollama; text-generation-inference.

Sources: ``openai`` 3.54 ``types/chat``, ``types/completion*``, ``types/responses``; ``anthropic``
2.12 ``types/messages``; the Amazon Bedrock user guide, "Inference request parameters and response
fields for foundation models"; the Gemini API reference, ``GenerateContentResponse``.

Dialects are told apart by which keys are present, inside ``CASE``, so that the parsing of a dialect
costs nothing on records of another one.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Request parameters and where the dialects keep them; the first present one wins.
REQUEST_TEXT: Mapping[str, tuple[str, ...]] = {
    "rq_model": ("$.model", "$.modelId", "$.model_name"),
    "rq_temperature": (
        "$.temperature",
        "$.inferenceConfig.temperature",
        "$.textGenerationConfig.temperature",
        "$.generationConfig.temperature",
        "$.generation_config.temperature",
        "$.parameters.temperature",
        "$.options.temperature",
    ),
    "rq_top_p": (
        "$.top_p",
        "$.inferenceConfig.topP",
        "$.textGenerationConfig.topP",
        "$.generationConfig.topP",
        "$.parameters.top_p",
        "$.options.top_p",
        "$.p",
    ),
    "rq_max_tokens": (
        "$.max_tokens",
        "$.max_completion_tokens",
        "$.max_output_tokens",
        "$.max_gen_len",
        "$.max_tokens_to_sample",
        "$.inferenceConfig.maxTokens",
        "$.textGenerationConfig.maxTokenCount",
        "$.generationConfig.maxOutputTokens",
        "$.parameters.max_new_tokens",
        "$.options.num_predict",
    ),
    "rq_n": ("$.n", "$.generationConfig.candidateCount", "$.num_generations"),
    "rq_best_of": ("$.best_of", "$.parameters.best_of"),
    "rq_seed": ("$.seed", "$.generationConfig.seed", "$.parameters.seed", "$.options.seed"),
    "rq_logprobs": ("$.logprobs", "$.generationConfig.responseLogprobs", "$.parameters.details"),
    "rq_top_logprobs": (
        "$.top_logprobs",
        "$.generationConfig.logprobs",
        "$.parameters.top_n_tokens",
    ),
    "rq_include": ("$.include",),
    "rq_echo": ("$.echo",),
    "rq_stream": ("$.stream",),
    "rq_user": ("$.user", "$.safety_identifier", "$.metadata.user_id"),
    "rq_input_text": ("$.inputText",),
}

REQUEST_JSON: Mapping[str, tuple[str, ...]] = {
    "rq_messages": ("$.messages",),
    "rq_contents": ("$.contents",),
    "rq_prompt": ("$.prompt",),
    "rq_input": ("$.input",),
    "rq_inputs": ("$.inputs",),
    "rq_query": ("$.query", "$.question", "$.text", "$.message"),
    "rq_system": ("$.system", "$.instructions", "$.systemInstruction", "$.system_instruction"),
    "rq_stop": (
        "$.stop",
        "$.stop_sequences",
        "$.inferenceConfig.stopSequences",
        "$.textGenerationConfig.stopSequences",
        "$.generationConfig.stopSequences",
        "$.parameters.stop",
        "$.options.stop",
    ),
    "rq_logit_bias": ("$.logit_bias",),
    "rq_vectors": (
        *("$.instances[0]", "$.dataframe_split.data", "$.dataframe_records[0]"),
        *("$.data.ndarray", "$.data.tensor.values", "$.inputs[0].data", "$.inputs[0][0]"),
    ),
    "rq_top_k": (
        "$.top_k",
        "$.additionalModelRequestFields.top_k",
        "$.generationConfig.topK",
        "$.parameters.top_k",
        "$.options.top_k",
    ),
    "rq_presence_penalty": ("$.presence_penalty",),
    "rq_frequency_penalty": ("$.frequency_penalty",),
    "rq_repetition_penalty": ("$.repetition_penalty", "$.parameters.repetition_penalty"),
    "rq_min_p": ("$.min_p",),
    "rq_min_tokens": ("$.min_tokens",),
    "rq_ignore_eos": ("$.ignore_eos",),
    "rq_prompt_logprobs": ("$.prompt_logprobs",),
    "rq_response_format": ("$.response_format.type", "$.text.format.type"),
    "rq_suffix": ("$.suffix",),
    "rq_reasoning_effort": ("$.reasoning_effort", "$.reasoning.effort"),
}

#: Parameters that have no column of their own; kept in ``params_json`` under these names.
OTHER_PARAMS = (
    *("top_k", "presence_penalty", "frequency_penalty", "repetition_penalty", "min_p"),
    *("min_tokens", "ignore_eos", "prompt_logprobs", "response_format", "suffix"),
    "reasoning_effort",
)

RESPONSE_TEXT: Mapping[str, tuple[str, ...]] = {
    "rs_id": ("$.id", "$.responseId", "$[0].id", "$[0].message.id"),
    "rs_object": ("$.object", "$[0].object"),
    "rs_embedding": ("$.embedding[0]", "$.data[0].embedding[0]", "$.embeddings[0]"),
    "rs_created": ("$.created", "$.created_at", "$[0].created"),
    "rs_model": ("$.model", "$.modelVersion", "$[0].model", "$[0].message.model"),
    "rs_fingerprint": ("$.system_fingerprint", "$[0].system_fingerprint"),
    "rs_stop_reason": (
        "$.stop_reason",
        "$.stopReason",
        "$.finish_reason",
        "$.done_reason",
        "$.incomplete_details.reason",
    ),
    "rs_text": (
        "$.output_text",
        "$.generation",
        "$.generated_text",
        "$.completion",
        "$.outputText",
        "$.text",
        "$.answer",
    ),
    "rs_input_tokens": (
        "$.usage.prompt_tokens",
        "$.usage.input_tokens",
        "$.usage.inputTokens",
        "$.prompt_token_count",
        "$.inputTextTokenCount",
        "$.usageMetadata.promptTokenCount",
        "$.prompt_eval_count",
        "$[0].message.usage.input_tokens",
    ),
    "rs_output_tokens": (
        "$.usage.completion_tokens",
        "$.usage.output_tokens",
        "$.usage.outputTokens",
        "$.generation_token_count",
        "$.usageMetadata.candidatesTokenCount",
        "$.eval_count",
        "$.results[0].tokenCount",
    ),
    "rs_latency_ms": ("$.metrics.latencyMs",),
    "rs_error": (
        "$.error.code",
        "$.error.type",
        "$.error.status",
        "$.error.message",
        "$.error",
        "$.__type",
    ),
    "rs_error_filter": ("$.error.innererror.code", "$.error.code"),
    "rs_guardrail": ('$."amazon-bedrock-guardrailAction"',),
}

RESPONSE_JSON: Mapping[str, tuple[str, ...]] = {
    "rs_turns": ("$.output_messages",),
    "rs_choices": ("$.choices",),
    "rs_content": ("$.content",),
    "rs_output": ("$.output",),
    "rs_results": ("$.results",),
    "rs_predictions": (
        *("$.predictions[0]", "$.data.ndarray", "$.data.tensor.values", "$.outputs[0].data"),
        "$.outputs[0][0]",
    ),
    "rs_outputs": ("$.outputs", "$.generations"),
    "rs_candidates": ("$.candidates",),
    "rs_message": ("$.message",),
    "rs_response": ("$.response", "$.result"),
}

_TOP = '[{"token":"VARCHAR","logprob":"DOUBLE"}]'
_LOGPROBS = (
    '{"content":[{"token":"VARCHAR","logprob":"DOUBLE","top_logprobs":' + _TOP + "}],"
    '"tokens":["VARCHAR"],"token_logprobs":["DOUBLE"],"top_logprobs":["JSON"]}'
)
CHOICES = (
    '[{"index":"INTEGER","finish_reason":"VARCHAR","text":"VARCHAR","message":{"content":"JSON",'
    '"refusal":"VARCHAR","reasoning_content":"VARCHAR","tool_calls":"JSON",'
    '"function_call":"JSON"},"logprobs":' + _LOGPROBS + "}]"
)
_CHUNKS = (
    '[{"choices":[{"index":"INTEGER","finish_reason":"VARCHAR","text":"VARCHAR","delta":'
    '{"content":"VARCHAR","refusal":"VARCHAR","reasoning_content":"VARCHAR"},"logprobs":'
    + _LOGPROBS
    + "}]}]"
)
_EVENTS = (
    '[{"index":"INTEGER","type":"VARCHAR","delta":{"text":"VARCHAR","thinking":"VARCHAR",'
    '"partial_json":"VARCHAR","stop_reason":"VARCHAR"},"completion":"VARCHAR",'
    '"generation":"VARCHAR","outputText":"VARCHAR","generated_text":"VARCHAR",'
    '"outputs":[{"text":"VARCHAR","stop_reason":"VARCHAR"}],"stop_reason":"VARCHAR",'
    '"completionReason":"VARCHAR","contentBlockDelta":{"delta":{"text":"VARCHAR"}},'
    '"messageStop":{"stopReason":"VARCHAR"},"usage":{"output_tokens":"BIGINT"},'
    '"candidates":[{"content":{"parts":[{"text":"VARCHAR"}]},"finishReason":"VARCHAR"}],'
    '"amazon-bedrock-invocationMetrics":{"inputTokenCount":"BIGINT","outputTokenCount":"BIGINT",'
    '"invocationLatency":"DOUBLE"},"amazon-bedrock-guardrailAction":"VARCHAR"}]'
)
MESSAGES = (
    '[{"role":"VARCHAR","author":"VARCHAR","type":"VARCHAR","content":"JSON","parts":"JSON",'
    '"tool_calls":"JSON","reasoning_content":"VARCHAR"}]'
)
_TURNS = MESSAGES.replace('"role"', '"finish_reason":"VARCHAR","role"')
_GEMINI = (
    '[{"index":"INTEGER","content":{"parts":"JSON"},"finishReason":"VARCHAR","logprobsResult":'
    '{"chosenCandidates":[{"token":"VARCHAR","logProbability":"DOUBLE"}],"topCandidates":'
    '[{"candidates":[{"token":"VARCHAR","logProbability":"DOUBLE"}]}]}}]'
)
_RESPONSES = (
    '[{"type":"VARCHAR","arguments":"VARCHAR","content":[{"type":"VARCHAR","text":"VARCHAR",'
    '"refusal":"VARCHAR","logprobs":[{"token":"VARCHAR","logprob":"DOUBLE","top_logprobs":'
    + _TOP
    + "}]}]}]"
)
_PLAIN = (
    '[{"text":"VARCHAR","outputText":"VARCHAR","generated_text":"VARCHAR","message":"JSON",'
    '"stop_reason":"VARCHAR","completionReason":"VARCHAR","finish_reason":"VARCHAR"}]'
)

#: Macros that build the canonical lists; ``ik_choice`` fixes the type that all dialects share.
BODY_MACROS: tuple[str, ...] = (
    """CREATE MACRO ik_choice(i, body, finish) AS struct_pack(
      choice := i::INTEGER, body := coalesce(body, ''), finish := finish,
      tokens := NULL::VARCHAR[], lps := NULL::DOUBLE[],
      tops := NULL::STRUCT(token VARCHAR, logprob DOUBLE)[][], scalars := 0::BIGINT)""",
    # Legacy alternatives {token: logprob}: pairs, because a map would refuse a repeated token.
    """CREATE MACRO ik_pairs(j) AS CASE WHEN starts_with(j, '{') THEN list_transform(
      list_zip(json_keys(j), json_extract(j, '$.*')::VARCHAR[]),
      lambda z: struct_pack(token := z[1], logprob := TRY_CAST(z[2] AS DOUBLE))) END""",
    "CREATE MACRO ik_count(l) AS len(list_filter(l, lambda x: x IS NOT NULL))",
    """CREATE MACRO ik_lp_tokens(p) AS CASE WHEN p.content IS NOT NULL
      THEN list_transform(p.content, lambda t: t.token) ELSE p.tokens END""",
    """CREATE MACRO ik_lp_values(p) AS CASE WHEN p.content IS NOT NULL
      THEN list_transform(p.content, lambda t: t.logprob) ELSE p.token_logprobs END""",
    """CREATE MACRO ik_lp_tops(p) AS CASE WHEN p.content IS NOT NULL
      THEN list_transform(p.content, lambda t: t.top_logprobs)
      ELSE list_transform(p.top_logprobs, lambda j: ik_pairs(j::VARCHAR)) END""",
    """CREATE MACRO ik_scalars(p) AS CASE WHEN p.content IS NOT NULL
      THEN ik_count(list_transform(p.content, lambda t: t.logprob))
        + coalesce(list_sum(list_transform(p.content, lambda t: len(t.top_logprobs))), 0)
      ELSE coalesce(ik_count(p.token_logprobs), 0) + coalesce(list_sum(list_transform(
        p.top_logprobs, lambda j: CASE WHEN starts_with(j::VARCHAR, '{')
          THEN len(json_keys(j)) END)), 0) END""",
    """CREATE MACRO ik_message_text(m) AS CASE
      WHEN m.tool_calls IS NULL AND m.function_call IS NULL AND m.refusal IS NULL
        AND m.reasoning_content IS NULL
      THEN ik_text(m.content::VARCHAR)
      ELSE concat_ws(chr(10), nullif(m.reasoning_content, ''),
        nullif(ik_text(m.content::VARCHAR), ''), nullif(m.refusal, ''),
        ik_calls(m.tool_calls::VARCHAR), json_extract_string(m.function_call, '$.arguments'))
      END""",
    """CREATE MACRO ik_choice_text(c) AS
      coalesce(c.text, ik_message_text(c.message), '')""",
    """CREATE MACRO ik_as_choices(l) AS list_transform(l,
      lambda c, i: struct_pack(
        choice := coalesce(c.index, (i - 1)::INTEGER),
        body := ik_choice_text(c), finish := c.finish_reason,
        tokens := CASE WHEN c.logprobs IS NOT NULL THEN ik_lp_tokens(c.logprobs) END,
        lps := CASE WHEN c.logprobs IS NOT NULL THEN ik_lp_values(c.logprobs) END,
        tops := CASE WHEN c.logprobs IS NOT NULL THEN ik_lp_tops(c.logprobs) END,
        scalars := CASE WHEN c.logprobs IS NOT NULL THEN ik_scalars(c.logprobs) ELSE 0 END
          ::BIGINT))""",
    f"CREATE MACRO ik_openai(j) AS ik_as_choices(from_json(j, '{CHOICES}'))",
    # The chunks of one choice; ``f`` are all chunks' choices in order.
    "CREATE MACRO ik_of(f, k) AS list_filter(f, lambda c: coalesce(c.index, 0) = k)",
    "CREATE MACRO ik_present(l) AS list_filter(l, lambda x: x IS NOT NULL)",
    """CREATE MACRO ik_joined(f, k) AS struct_pack(choice := k::INTEGER,
      body := array_to_string(list_transform(ik_of(f, k), lambda c: concat(c.text,
        c.delta.reasoning_content, c.delta.content, c.delta.refusal)), ''),
      finish := ik_present(list_transform(ik_of(f, k), lambda c: c.finish_reason))[-1],
      tokens := flatten(ik_present(list_transform(ik_of(f, k),
        lambda c: ik_lp_tokens(c.logprobs)))),
      lps := flatten(ik_present(list_transform(ik_of(f, k), lambda c: ik_lp_values(c.logprobs)))),
      tops := flatten(ik_present(list_transform(ik_of(f, k), lambda c: ik_lp_tops(c.logprobs)))),
      scalars := coalesce(list_sum(list_transform(ik_of(f, k),
        lambda c: ik_scalars(c.logprobs))), 0)::BIGINT)""",
    f"""CREATE MACRO ik_chunks(j) AS list_transform(
      [flatten(ik_present(list_transform(from_json(j, '{_CHUNKS}'), lambda e: e.choices)))],
      lambda f: list_transform(
        list_sort(list_distinct(list_transform(f, lambda c: coalesce(c.index, 0)))),
        lambda k: ik_joined(f, k)))[1]""",
    # Streamed events of the other dialects, as one choice.
    f"""CREATE MACRO ik_events(j) AS list_transform([from_json(j, '{_EVENTS}')],
      lambda e: [ik_choice(0,
        array_to_string(list_transform(e, lambda x: CASE
          WHEN x.type = 'content_block_start' AND x.index > 0 THEN chr(10)
          ELSE coalesce(x.delta.text, x.delta.thinking, x.delta.partial_json, x.completion,
            x.generation, x.outputText, x.generated_text, x.contentBlockDelta.delta.text,
            x.outputs[1].text, array_to_string(list_transform(
              x.candidates[1].content.parts, lambda p: p.text), '')) END), ''),
        ik_present(list_transform(e, lambda x: coalesce(x.delta.stop_reason, x.stop_reason,
          x.completionReason, x.messageStop.stopReason, x.outputs[1].stop_reason,
          x.candidates[1].finishReason)))[-1])])[1]""",
    f"""CREATE MACRO ik_event_usage(j) AS list_transform([from_json(j, '{_EVENTS}')],
      lambda e: struct_pack(
        input := ik_present(list_transform(e,
          lambda x: x."amazon-bedrock-invocationMetrics".inputTokenCount))[-1],
        output := coalesce(ik_present(list_transform(e,
          lambda x: x."amazon-bedrock-invocationMetrics".outputTokenCount))[-1],
          ik_present(list_transform(e, lambda x: x.usage.output_tokens))[-1]),
        latency := ik_present(list_transform(e,
          lambda x: x."amazon-bedrock-invocationMetrics".invocationLatency))[-1],
        blocked := len(list_filter(e,
          lambda x: x."amazon-bedrock-guardrailAction" = 'INTERVENED')) > 0))[1]""",
    f"""CREATE MACRO ik_gemini(j) AS list_transform(from_json(j, '{_GEMINI}'),
      lambda c, i: struct_pack(choice := coalesce(c.index, (i - 1)::INTEGER),
        body := coalesce(ik_text(c.content.parts::VARCHAR), ''), finish := c.finishReason,
        tokens := list_transform(c.logprobsResult.chosenCandidates, lambda t: t.token),
        lps := list_transform(c.logprobsResult.chosenCandidates, lambda t: t.logProbability),
        tops := list_transform(c.logprobsResult.topCandidates, lambda t:
          list_transform(t.candidates,
            lambda a: struct_pack(token := a.token, logprob := a.logProbability))),
        scalars := (coalesce(len(c.logprobsResult.chosenCandidates), 0)
          + coalesce(list_sum(list_transform(c.logprobsResult.topCandidates,
              lambda t: len(t.candidates))), 0))::BIGINT))""",
    f"""CREATE MACRO ik_responses(j, finish) AS list_transform([from_json(j, '{_RESPONSES}')],
      lambda o: list_transform(
        [flatten(ik_present(list_transform(o, lambda x: x.content)))],
        lambda parts: [struct_pack(choice := 0::INTEGER,
          body := concat_ws(chr(10),
            nullif(array_to_string(list_transform(parts, lambda p: coalesce(p.text, p.refusal)),
              chr(10)), ''),
            nullif(array_to_string(list_transform(o, lambda x: x.arguments), chr(10)), '')),
          finish := finish,
          tokens := flatten(ik_present(list_transform(parts,
            lambda p: list_transform(p.logprobs, lambda t: t.token)))),
          lps := flatten(ik_present(list_transform(parts,
            lambda p: list_transform(p.logprobs, lambda t: t.logprob)))),
          tops := flatten(ik_present(list_transform(parts,
            lambda p: list_transform(p.logprobs, lambda t: t.top_logprobs)))),
          scalars := coalesce(list_sum(list_transform(parts, lambda p: coalesce(len(p.logprobs), 0)
            + coalesce(list_sum(list_transform(p.logprobs,
                lambda t: len(t.top_logprobs))), 0))), 0)::BIGINT)])[1])[1]""",
    # Answers as messages of role and parts (OpenTelemetry GenAI conventions, v1.37 and later).
    f"""CREATE MACRO ik_turns(j) AS list_transform(from_json(j, '{_TURNS}'),
      lambda c, i: ik_choice((i - 1)::INTEGER, ik_turn_text(c), c.finish_reason))""",
    f"""CREATE MACRO ik_plain(j) AS list_transform(from_json(j, '{_PLAIN}'),
      lambda c, i: ik_choice((i - 1)::INTEGER,
        coalesce(c.text, c.outputText, c.generated_text, ik_text(json_extract(c.message,
          '$.content')::VARCHAR)),
        coalesce(c.stop_reason, c.completionReason, c.finish_reason)))""",
    """CREATE MACRO ik_message_role(m) AS CASE
      WHEN m.role IN ('user', 'assistant', 'system', 'tool') THEN m.role
      ELSE ik_role(coalesce(m.role, m.author, CASE m.type
        WHEN 'function_call_output' THEN 'tool' WHEN 'function_call' THEN 'assistant' END)) END""",
    # A turn that only brings a tool's answer back is the tool's, whatever role it is sent in.
    """CREATE MACRO ik_turn_role(m) AS CASE
      WHEN starts_with(coalesce(m.content, m.parts)::VARCHAR, '[')
        AND regexp_matches(coalesce(m.content, m.parts)::VARCHAR,
          '^\\[\\s*\\{\\s*"(type"\\s*:\\s*"tool_result|toolResult|functionResponse)"')
      THEN 'tool' ELSE ik_message_role(m) END""",
    """CREATE MACRO ik_turn_text(m) AS CASE
      WHEN m.tool_calls IS NULL AND m.reasoning_content IS NULL
      THEN coalesce(ik_text(coalesce(m.content, m.parts)::VARCHAR), '')
      ELSE concat_ws(chr(10), nullif(m.reasoning_content, ''),
        nullif(ik_text(coalesce(m.content, m.parts)::VARCHAR), ''),
        ik_calls(m.tool_calls::VARCHAR)) END""",
    """CREATE MACRO ik_as_messages(l) AS list_transform(l,
      lambda m: struct_pack(role := ik_turn_role(m), body := ik_turn_text(m)))""",
    f"CREATE MACRO ik_messages(j) AS ik_as_messages(from_json(j, '{MESSAGES}'))",
    """CREATE MACRO ik_prompts(j) AS CASE
      WHEN starts_with(j, '"') THEN [json_extract_string(j, '$')]
      WHEN regexp_matches(j, '^\\[\\s*["\\[]')
      THEN list_transform(json_extract(j, '$[*]')::VARCHAR[],
        lambda p: CASE WHEN starts_with(p, '"') THEN json_extract_string(p, '$') ELSE p END)
      WHEN j IS NOT NULL AND j <> 'null' THEN [j] END""",
)
