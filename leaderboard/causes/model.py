"""Causes: the model's config, tokenizer, precision, chat template and generation settings."""

from __future__ import annotations

import signal

from leaderboard.causes.cause import LOADING, Cause
from leaderboard.evidence import both, killed, logged, raised, text_matches

_IN_GENERATE = (
    r"(?:utils\.py\", line \d+, in (?:generate|_sample|_beam_search|_assisted_decoding|_(?:prepare|get|validate)_\w+)"
    r"|(?:logits_process|stopping_criteria)\.py\", line \d+, in \w+|cache_utils\.py\", line \d+, in __init__)"
    r"\n(?: {4}.*\n)+\S"
)
"""Matches a trace whose last frame is in transformers' own `generate` or its parts, not in the model's code."""
_READING_SETTINGS = r"in adjust_generation_fn\n"
"""Matches a trace through the function with which transformers reads generation_config.json."""
_RUNNING = ("prepare", "evaluate", "score")

ROWS = (
    Cause(
        "remote-code-needed",
        "submission",
        "The model can only be loaded by running Python code from its own repo, which we never do.",
        "Contribute the architecture to transformers and submit the model once a stable release has it, or convert the "
        "model to an architecture that transformers has.",
        signs=(
            text_matches(r"trust_remote_code|contains custom code|requires you to execute the .{0,40} file", LOADING),
        ),
    ),
    Cause(
        "not-a-language-model",
        "submission",
        "The model's architecture cannot generate text: {detail}",
        "Submit a causal language model: one that `AutoModelForCausalLM.from_pretrained` loads.",
        signs=(text_matches(r"unrecognized configuration class", LOADING),),
    ),
    Cause(
        "unknown-architecture",
        "submission",
        "The installed release of transformers does not know the model's architecture: {detail}",
        "Check `model_type` and `architectures` in config.json. If the architecture is new, submit again once "
        "it is in a stable release of transformers.",
        signs=(
            text_matches(r"does not recognize this architecture"),
            text_matches(r"unrecognized model in|should have a `?model_type`? key", LOADING),
        ),
    ),
    Cause(
        "generation-settings",
        "submission",
        "The model's generation settings are invalid: {detail}",
        "Check that `model.generate` works with these settings, or remove generation_config.json, and submit the new "
        "commit.",
        signs=(
            raised("GenerationAbsurd"),
            text_matches(
                r"generation[_ ]?config|generation flags|num_beams|num_return_sequences|logits_?processor"
                r"|Generate\w+Output",
                ("load", "prepare", "evaluate"),
            ),
            logged(_READING_SETTINGS, LOADING),
            logged(_IN_GENERATE, ("evaluate",)),
            both(
                text_matches(r"Torch not compiled with CUDA"), logged(r"cache_utils\.py\", line \d+, in", ("evaluate",))
            ),
        ),
    ),
    Cause(
        "config-missing",
        "submission",
        "The repo has no config.json.",
        "Save the model with `save_pretrained`, which writes one, and submit the new commit.",
        signs=(raised("ConfigMissing"),),
    ),
    Cause(
        "config-absurd",
        "submission",
        "config.json describes an impossibly large model: {detail}",
        "Check the sizes in config.json, which must match the weights, and submit the new commit.",
        signs=(raised("ConfigAbsurd"),),
    ),
    Cause(
        "config-invalid",
        "submission",
        "config.json contains values that the architecture does not support: {detail}",
        "Check that `AutoConfig.from_pretrained` and `AutoModelForCausalLM.from_config` accept it, and submit the new "
        "commit.",
        signs=(
            raised("StrictDataclassFieldValidationError", "StrictDataclassClassValidationError", "ConfigInvalid"),
            both(
                raised("ValueError", "TypeError", "AssertionError", "ZeroDivisionError"),
                logged(r"configuration_\w+\.py", LOADING),
            ),
        ),
    ),
    Cause(
        "config-unreadable",
        "submission",
        "The model's config.json cannot be read: {detail}",
        "Check that `AutoConfig.from_pretrained` loads it without remote code, and submit the new commit.",
        signs=(
            raised("ConfigUnreadable"),
            both(
                text_matches(r"config\.json|not a valid json|can't load the configuration|JSONDecodeError", LOADING),
                raised("OSError", "JSONDecodeError", "ValueError"),
            ),
        ),
    ),
    Cause(
        "tokenizer-missing",
        "submission",
        "The repo has no tokenizer that transformers can load: {detail}",
        "Add the tokenizer's files (tokenizer.json, tokenizer_config.json) to the repo, check that "
        "`AutoTokenizer.from_pretrained` loads them without remote code, and submit the new commit.",
        signs=(
            raised("TokenizerMissing"),
            text_matches(r"can't load tokenizer|couldn't instantiate the backend tokenizer|tokenizer class", LOADING),
        ),
    ),
    Cause(
        "tokenizer-unreadable",
        "submission",
        "The tokenizer's files cannot be read: {detail}",
        "Save the tokenizer with `save_pretrained`, check that `AutoTokenizer.from_pretrained` loads it, and submit "
        "the new commit.",
        signs=(
            text_matches(
                r"tokenizer\.json|sentencepiece|tiktoken|did not match any variant|expected value at line", LOADING
            ),
            logged(r"tokenization_\w+\.py", LOADING),
        ),
    ),
    Cause(
        "tokenizer-mismatch",
        "submission",
        "The tokenizer has tokens that are outside the model's vocabulary: {detail}",
        "Check that the tokenizer belongs to the model: its largest token id must be below `vocab_size` in "
        "config.json. Then submit the new commit.",
        signs=(text_matches(r"index out of range in self|device-side assert", _RUNNING),),
    ),
    Cause(
        "not-a-number",
        "submission",
        "The model computes NaN or infinite values instead of probabilities: {detail}",
        "Weights trained in bfloat16 often overflow in float16: submit the model in the precision of its training, and "
        "check that it generates text in that precision.",
        signs=(raised("NotANumber"), text_matches(r"probability tensor contains either .?inf", _RUNNING)),
    ),
    Cause(
        "precision-unusable",
        "submission",
        "The model does not work in the requested precision: {detail}",
        "Submit the model in the precision of its training.",
        signs=(
            text_matches(r"not implemented for '(?:Half|BFloat16|Char|Byte|Float8\w*)'"),
            text_matches(r"expected .{0,60}same dtype|must have the same dtype|expected scalar type"),
        ),
    ),
    Cause(
        "quantisation-unusable",
        "submission",
        "The model's quantisation is not supported here: {detail}",
        "Correct `quantization_config` in config.json and submit the new commit, or submit it in the precision of its "
        "weights.",
        signs=(
            raised("NotQuantised"),
            text_matches(
                r"quantization_config|quantization method|bitsandbytes|gptq|awq|unknown quantization type", LOADING
            ),
        ),
    ),
    Cause(
        "chat-template-endless",
        "submission",
        "The chat template never ends: {detail}",
        "Test the template with `tokenizer.apply_chat_template` on a short conversation and submit the corrected "
        "commit, or submit without a template.",
        signs=(raised("ChatTemplateEndless"), killed(signal.SIGVTALRM)),
    ),
    Cause(
        "chat-template-broken",
        "submission",
        "The chat template fails with an error: {detail}",
        "Test the template with `tokenizer.apply_chat_template` on a conversation with a system prompt and several "
        "turns and submit the corrected commit, or submit without a template.",
        signs=(raised("ChatTemplateBroken"),),
    ),
    Cause(
        "chat-template-missing",
        "submission",
        "The request asks for a chat template, but the tokenizer has none: {detail}",
        "Add a chat template to the tokenizer and submit the new commit, or submit without a template.",
        signs=(text_matches(r"chat[_ ]template", ("load", "prepare", "evaluate")),),
    ),
    Cause(
        "generation-endless",
        "submission",
        "The model generates more tokens than the task allows: {detail}",
        "Remove `max_new_tokens`, `min_new_tokens` and `min_length` from generation_config.json, check that the model "
        "ends its answers, and submit the new commit.",
        signs=(raised("GenerationEndless"),),
    ),
    Cause(
        "context-too-short",
        "submission",
        "The model's context is too short for the suite's questions: {detail}",
        "Check `max_position_embeddings` in config.json. If the value is right, the model cannot be evaluated here.",
        signs=(
            text_matches(
                r"must be less than model's maximum sequence length|longer than the maximum sequence", _RUNNING
            ),
        ),
    ),
    Cause(
        "base-model-missing",
        "submission",
        "The base model of the adapter or delta cannot be downloaded: {detail}",
        "Name a public base model and check that its repo still exists.",
        signs=(raised("BaseModelGone"),),
    ),
    Cause(
        "adapter-unusable",
        "submission",
        "The adapter does not fit its base model: {detail}",
        "Check `base_model_name_or_path` in adapter_config.json, and that `PeftModel.from_pretrained` loads it on that "
        "base model.",
        signs=(
            raised("AdapterUnusable"),
            text_matches(r"adapter_config|target modules .{0,80}not found|peft", LOADING),
        ),
    ),
    Cause(
        "delta-unusable",
        "submission",
        "The delta does not fit its base model: {detail}",
        "Submit it again with the base model from which the delta was made.",
        signs=(raised("DeltaUnusable"), text_matches(r"failed to add delta weights|delta", LOADING)),
    ),
)
