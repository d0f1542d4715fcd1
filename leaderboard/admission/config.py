"""Rules about the model's code and config: the installed stable transformers loads it, and nothing else is run."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import ConfigFacts, ConfigState
from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, names, table

REASONS = table(
    (
        Reason(
            "config-missing",
            "{model} has no config.json at this revision, so nobody can tell how to load it.",
            "Upload the model with save_pretrained(), which writes one, and submit the new commit.",
        ),
        Reason(
            "config-unreadable",
            "The config.json of {model} cannot be loaded: {error}.",
            "Check that AutoConfig.from_pretrained() loads it, and submit the new commit.",
        ),
        Reason(
            "unknown-architecture",
            "The config of {model} names an architecture ('{kind}') that {version} does not know.",
            "Check model_type in config.json. A new architecture can be submitted once it is in a stable release.",
        ),
        Reason(
            "config-absurd",
            "Loading the config of {model} took more time or memory than any real model needs.",
            "Check the sizes and lists in config.json.",
        ),
        Reason(
            "remote-code-needed",
            "{model} needs code from its own repo (trust_remote_code=True, the field auto_map of config.json or of "
            "tokenizer_config.json). Only "
            "models that are integrated into a stable version of transformers are evaluated, as possibly unsafe code "
            "is not run here.",
            "Submit it again once its architecture is in a stable release. If it is already, remove auto_map.",
        ),
        Reason(
            "python-files",
            "The repo of {model} holds Python code ({files}). Only models that are integrated into a stable version of "
            "transformers are evaluated, as possibly unsafe code is not run here.",
            "If the model loads without that code, remove the files and submit the new commit.",
        ),
        Reason(
            "not-causal",
            "{model} is no model that continues a text ('{architecture}'), which is what the benchmarks ask for.",
            "Submit a model for causal language modelling; if it is one, mend architectures in config.json.",
        ),
    )
)
_REASON_CODES: dict[ConfigState, str] = {
    "missing": "config-missing",
    "unreadable": "config-unreadable",
    "unknown-architecture": "unknown-architecture",
    "too-costly": "config-absurd",
}


def _own(it: Submission) -> ConfigFacts | None:
    """The config of this very repo: that of an adapter's base model is looked at as the base model's."""
    return None if it.weight_type == "Adapter" or it.is_bare_adapter else it.model.config


def _own_known(it: Submission) -> bool:
    return _own(it) is not None


def _loads(it: Submission) -> Iterator[Problem]:
    config = _own(it)
    assert config is not None
    code = _REASON_CODES.get(config.state)
    if code is not None:
        version = f"transformers {config.transformers}" if config.transformers else "the installed transformers"
        error = config.error.rstrip(".") or "it is not what transformers expects"
        words = {"kind": config.model_type or "none", "version": version, "error": error}
        yield REASONS[code].problem(model=it.name, **words)


def _remote_code(it: Submission) -> Iterator[Problem]:
    config, tokenizer = it.model.config, it.model.tokenizer
    if "remote-code" in (config.state if config else "", tokenizer.state if tokenizer else ""):
        yield REASONS["remote-code-needed"].problem(model=it.name)


def _python_files(it: Submission) -> Iterator[Problem]:
    found_here = [file.name for file in it.model.files if file.name.casefold().endswith((".py", ".pyc", ".so"))]
    if found_here:
        yield REASONS["python-files"].problem(model=it.name, files=names(found_here))


def _causal(it: Submission) -> Iterator[Problem]:
    config = _own(it)
    assert config is not None
    if not config.is_causal:
        yield REASONS["not-causal"].problem(model=it.name, architecture=config.architecture or config.model_type)


def _causal_known(it: Submission) -> bool:
    config = _own(it)
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
        "`trust_remote_code=True`, and so `auto_map` in a config, is a refusal.",
        "FAQ: “as we don't want to run possibly unsafe code on our cluster”",
        _remote_code,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "python-files",
        "There is no code in its repo",
        "Python files beside the weights are a refusal too, needed or not.",
        "FAQ: “as we don't want to run possibly unsafe code on our cluster”",
        _python_files,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "causal",
        "It continues texts",
        "An architecture for causal language modelling; not, say, for embeddings, and none with an encoder.",
        "FAQ: failures come from “wrong parameters selected for eval”",
        _causal,
        _causal_known,
        of_base=True,
    ),
)
