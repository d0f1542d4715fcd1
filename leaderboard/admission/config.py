"""Rules about the model's config and code: the installed stable transformers must load it without remote code."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import ConfigFacts, ConfigState
from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, names, table

REASONS = table(
    (
        Reason(
            "config-missing",
            "{model} has no config.json at this revision, so it cannot be loaded.",
            "Save the model with save_pretrained(), which writes a config.json, and submit the new commit.",
        ),
        Reason(
            "config-unreadable",
            "The config.json of {model} cannot be loaded: {error}.",
            "Check that AutoConfig.from_pretrained() loads it, and submit the new commit.",
        ),
        Reason(
            "unknown-architecture",
            "The config of {model} names an architecture ('{kind}') that {version} does not know.",
            "Check model_type in config.json. If the architecture is new, submit again once a stable release has it.",
        ),
        Reason(
            "config-absurd",
            "Loading the config of {model} took more time or memory than any real model needs.",
            "Check the sizes and lists in config.json.",
        ),
        Reason(
            "remote-code-needed",
            "{model} needs code from its own repo (trust_remote_code=True, auto_map in config.json or "
            "tokenizer_config.json). For safety, this leaderboard runs no code from model repos and evaluates only "
            "architectures in a stable release of transformers.",
            "Submit it again once its architecture is in a stable release. If it already is, remove auto_map.",
        ),
        Reason(
            "python-files",
            "The repo of {model} contains code ({files}), which is not accepted even if the model does not need it.",
            "If the model loads without that code, remove the files and submit the new commit.",
        ),
        Reason(
            "not-causal",
            "The architecture of {model} ('{architecture}') is no causal language model, which the benchmarks require.",
            "Submit a causal language model. If it is one, correct architectures in config.json.",
        ),
    )
)
_REASON_CODES: dict[ConfigState, str] = {
    "missing": "config-missing",
    "unreadable": "config-unreadable",
    "unknown-architecture": "unknown-architecture",
    "too-costly": "config-absurd",
}


def _own(submission: Submission) -> ConfigFacts | None:
    """Return the config of this repo; an adapter's base model is checked as a submission of its own."""
    return None if submission.weight_type == "Adapter" or submission.is_bare_adapter else submission.model.config


def _own_known(submission: Submission) -> bool:
    return _own(submission) is not None


def _loads(submission: Submission) -> Iterator[Problem]:
    config = _own(submission)
    assert config is not None
    code = _REASON_CODES.get(config.state)
    if code is not None:
        version = f"transformers {config.transformers}" if config.transformers else "the installed transformers"
        error = config.error.rstrip(".") or "it is not what transformers expects"
        words = {"kind": config.model_type or "none", "version": version, "error": error}
        yield REASONS[code].problem(model=submission.name, **words)


def _remote_code(submission: Submission) -> Iterator[Problem]:
    config, tokenizer = submission.model.config, submission.model.tokenizer
    if "remote-code" in (config.state if config else "", tokenizer.state if tokenizer else ""):
        yield REASONS["remote-code-needed"].problem(model=submission.name)


def _python_files(submission: Submission) -> Iterator[Problem]:
    files = [file.name for file in submission.model.files if file.name.casefold().endswith((".py", ".pyc", ".so"))]
    if files:
        yield REASONS["python-files"].problem(model=submission.name, files=names(files))


def _causal(submission: Submission) -> Iterator[Problem]:
    config = _own(submission)
    assert config is not None
    if not config.is_causal:
        yield REASONS["not-causal"].problem(
            model=submission.name, architecture=config.architecture or config.model_type
        )


def _causal_known(submission: Submission) -> bool:
    config = _own(submission)
    return config is not None and config.state == "loaded" and config.is_causal is not None


RULES = (
    AdmissionRule(
        "config-loads",
        "transformers knows the model",
        "`AutoConfig.from_pretrained()` of the installed stable transformers loads config.json, without remote code.",
        "FAQ: “We only support models that have been integrated into a stable version of the transformers library”",
        _loads,
        _own_known,
        of_base=True,
    ),
    AdmissionRule(
        "remote-code",
        "It needs no code of its own",
        "Models that need `trust_remote_code=True`, and so `auto_map` in a config, are refused.",
        "FAQ: “as we don't want to run possibly unsafe code on our cluster”",
        _remote_code,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "python-files",
        "There is no code in its repo",
        "Models with Python files beside the weights are refused too, even if the files are not needed.",
        "FAQ: “as we don't want to run possibly unsafe code on our cluster”",
        _python_files,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "causal",
        "It is a causal language model",
        "An architecture for causal language modelling, not for embeddings and not with an encoder.",
        "FAQ: failures come from “wrong parameters selected for eval”",
        _causal,
        _causal_known,
        of_base=True,
    ),
)
