"""From evidence to cause. Exception types and texts are as the libraries gave them when real models died so."""

from __future__ import annotations

import signal

import pytest

from leaderboard.failures import CAUSES
from workers.diagnosis import RULES, Evidence, diagnose, evidence_of
from workers.errors import ModelGone

SEEN = {
    "remote code, unknown type": (
        "remote-code-needed",
        Evidence(
            "load",
            "ValueError",
            "The repository /models/m contains custom code which must be executed to correctly load the model. You can "
            "inspect the repository content at https://hf.co//models/m.\nPlease pass the argument "
            "`trust_remote_code=True` to allow custom code to be run.",
        ),
    ),
    "unknown type": (
        "unknown-architecture",
        Evidence(
            "load",
            "ValueError",
            "The checkpoint you are trying to load has model type `zorblax` but Transformers does not recognize this "
            "architecture. This could be because of an issue with the checkpoint, or because your version of "
            "Transformers is out of date.",
            ("KeyError",),
        ),
    ),
    "no type": (
        "unknown-architecture",
        Evidence("load", "ValueError", "Unrecognized model in /m. Should have a `model_type` key in its config.json."),
    ),
    "a model that writes no text": (
        "unknown-architecture",
        Evidence(
            "load",
            "ValueError",
            "Unrecognized configuration class <class 'transformers.models.vit.configuration_vit.ViTConfig'> for this "
            "kind of AutoModel: AutoModelForCausalLM.",
        ),
    ),
    "truncated weights": (
        "weights-corrupted",
        Evidence(
            "load", "SafetensorError", "Error while deserializing header: incomplete metadata, file not fully covered"
        ),
    ),
    "a header of a terabyte": (
        "weights-corrupted",
        Evidence("load", "SafetensorError", "Error while deserializing header: header too large"),
    ),
    "weights of another shape": (
        "weights-corrupted",
        Evidence(
            "load",
            "RuntimeError",
            "You set `ignore_mismatched_sizes` to `False`, thus raising an error. For details look above!",
        ),
    ),
    "no weights": (
        "weights-missing",
        Evidence("load", "OSError", "Error no file named model.safetensors found in directory /models/m."),
    ),
    "a missing shard": (
        "weights-missing",
        Evidence("load", "FileNotFoundError", "No such file or directory: /models/m/model-00002-of-00002.safetensors"),
    ),
    "a config that is no JSON": (
        "config-unreadable",
        Evidence(
            "load",
            "OSError",
            "It looks like the config file at '/models/m/config.json' is not a valid JSON file.",
            ("JSONDecodeError",),
        ),
    ),
    "a config with words for numbers": (
        "config-unreadable",
        Evidence(
            "load",
            "StrictDataclassFieldValidationError",
            "Validation error for field 'hidden_size':\n    TypeError: Field 'hidden_size' expected int, got str",
            ("TypeError",),
        ),
    ),
    "no tokenizer": (
        "tokenizer-missing",
        Evidence(
            "load",
            "ValueError",
            "Couldn't instantiate the backend tokenizer from one of: \n(1) a `tokenizers` library serialization file, "
            "\n(2) a slow tokenizer instance to convert or \n(3) an equivalent slow tokenizer class to instantiate.",
        ),
    ),
    "a tokenizer of {}": (
        "tokenizer-missing",
        Evidence(
            "load",
            "KeyError",
            "'added_tokens'",
            log_tail='  File "/x/transformers/models/auto/tokenization_auto.py", line 700, in from_pretrained',
        ),
    ),
    "a tokenizer of another vocabulary": (
        "tokenizer-mismatch",
        Evidence("prepare", "IndexError", "index out of range in self"),
    ),
    "a chat template that is not there": (
        "chat-template-missing",
        Evidence(
            "prepare",
            "ValueError",
            "Cannot use chat template functions because tokenizer.chat_template is not set and no template argument "
            "was passed!",
        ),
    ),
    "NaN": ("not-a-number", Evidence("evaluate", "NotANumber", "the log-likelihood of an answer is NaN in float16")),
}

NOT_SEEN = {
    "a GPU without memory": (
        "out-of-memory",
        Evidence("evaluate", "OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB."),
    ),
    "the kernel's killer": ("out-of-memory", Evidence("evaluate", signal=signal.SIGKILL)),
    "a full disk": ("disk-full", Evidence("download", "OSError", "[Errno 28] No space left on device")),
    "no way to the Hub": ("network", Evidence("download", "ConnectError", "[Errno 111] Connection refused")),
    "a stop from outside": ("worker-lost", Evidence("evaluate", signal=signal.SIGTERM)),
    "too long": ("time-limit", Evidence("evaluate", stopped="time-limit", signal=signal.SIGKILL)),
    "silence": ("stalled", Evidence("evaluate", stopped="stalled", signal=signal.SIGKILL)),
    "a person's wish": ("cancelled", Evidence("evaluate", stopped="cancelled", signal=signal.SIGKILL)),
    "the harness itself": ("harness-error", Evidence("score", "ZeroDivisionError", "division by zero")),
    "nothing that we know": ("unknown", Evidence("load", "RuntimeError", "the moon is full")),
    "the worker's own words": ("model-gone", Evidence("download", "ModelGone", "org/model cannot be read")),
}


@pytest.mark.parametrize(("cause", "evidence"), [*SEEN.values(), *NOT_SEEN.values()], ids=[*SEEN, *NOT_SEEN])
def test_a_death_is_told_by_its_evidence(cause: str, evidence: Evidence) -> None:
    """The recorded words of each death lead to its cause."""
    assert diagnose(evidence).cause == cause


def test_every_rule_leads_to_a_row_of_the_table() -> None:
    """A rule that names an unknown cause would come out as `unknown` without a word."""
    assert {code for code, _ in RULES} <= CAUSES.keys()


def test_the_decisive_words_are_quoted_without_this_machines_folders() -> None:
    """People see which file it was, not where our disk is."""
    failure = diagnose(SEEN["a missing shard"][1])
    assert "…/model-00002-of-00002.safetensors" in failure.message
    assert "/models" not in failure.message


def test_how_a_process_ended_is_said_where_it_said_nothing_itself() -> None:
    """A killed child leaves no exception, but a signal."""
    assert "SIGKILL" in diagnose(Evidence("evaluate", signal=9)).message


def test_what_led_to_an_exception_is_evidence_too() -> None:
    """A library wraps the error that matters in one of its own."""
    error = RuntimeError("something went wrong")
    error.__cause__ = ModelGone("it is gone")
    evidence = evidence_of(error, "download")
    assert evidence.chain == ("ModelGone",)
    assert diagnose(evidence).cause == "model-gone"
