"""The command line with which any reader can repeat an evaluation; for one by lm-eval, it needs the harness alone.

It is one line for a POSIX shell: it installs the recorded versions, writes the suite's own task files where there are
any, and runs `lm_eval` with the arguments of the worker. A results file is untrusted input: values that do not have the
expected form are left out or refused, and all others are quoted.

`notes` name the parts of the evaluation that the line cannot repeat; `steward reproduce` repeats all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from leaderboard.command_lines import (
    MAX_LINE,
    MAX_NAMED,
    NotReproducible,
    ReproductionCommand,
    installation,
    is_version,
    other_packages,
    pins,
    quoted,
)
from leaderboard.evaluator_line import evaluator_line
from leaderboard.predictions import PREDICTIONS
from leaderboard.request_paths import is_model
from leaderboard.results import ResultsFile
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import Suite
from leaderboard.task_configs import task_configs

TASKS_FOLDER, RESULTS_FOLDER = "steward-tasks", "steward-results"
"""Folders that the command creates: for the suite's own tasks, and for its results."""
DEFAULT_SEEDS = (0, 1234, 1234, 1234)
"""The harness's default seeds of `random`, numpy, torch and the sampler of examples, for results that name none."""
_DTYPES = frozenset({"auto", "bfloat16", "float16", "float32"})
_EXTRAS = "[ifeval,math]"
_DEVICE = re.compile(r"cpu|cuda(:\d{1,3})?")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_QUANTISED = (
    "Steward reduces the weights of this model to {precision} while it loads them, and the harness has no setting for "
    "that which works with its present libraries."
)
_PREDICTIONS = "Its answers are predictions that were submitted as a file: others cannot compute them again."
_NO_MODEL = "The results name a model that cannot exist on the Hub."
_NO_BASE = "The results do not name the commit of the base model."
_RESTRICTED = "The board's own tasks ask restricted questions, so their task files are not shown."
_NO_QUESTIONS = "The results do not name the dataset and the commit of the questions."
_NO_WEIGHTS = "The results name a type of weights that Steward does not know."
_TOO_LONG = "The board's own tasks are too many for one command line."

_QUESTIONS = "Steward read the questions of {repos} at these commits; the harness reads their newest ones."
_GROUPS = "The task files of {groups} say how many examples each task has. Steward's numbers: {benchmarks}."
_IGNORED = "The harness keeps tasks at no examples whose own file says 0; Steward does not."
_GATED = "Some questions are in gated datasets: ask for access on their pages, then log in with: hf auth login"
_DATE = "A chat template that prints today's date printed 26 July 2024 for Steward."
_ENGINE = "The engine {name} computed the answers: the last digits of log-likelihoods differ from the harness's own."
_HARDWARE = "It ran on {hardware}; on another machine the last digits may differ."
_TOKENIZER = (
    "If the folder {folder} has a tokenizer, Steward used it: add tokenizer={folder} to the model's arguments then."
)
_PYTHON = "It ran with Python {version}."
_PACKAGES = (
    "The worker names more packages, which the line does not install: {names}. Look at what they are before you do."
)


def reproduction_command(results: ResultsFile, suite: Suite) -> ReproductionCommand:
    """Return the command line that repeats the evaluation of `suite` with these results. Raises NotReproducible."""
    block, config = results.block, _config(results.data)
    if block.precision == PREDICTIONS:
        raise NotReproducible(_PREDICTIONS)
    if suite.evaluator is not None:
        return evaluator_line(block, suite)
    steps = [*_weights_steps(block), *_task_steps(block, suite)]
    common = [*_model_arguments(block, config), *_settings(block, config, suite)]
    steps += [quoted("lm_eval", "--tasks", ",".join(tasks), *shots, *common) for tasks, shots in _runs(suite)]
    command = ReproductionCommand(_install(block, suite), " && ".join(steps), tuple(_notes(block, suite)))
    if len(command.line) > MAX_LINE:
        raise NotReproducible(_TOO_LONG)
    return command


def _config(data: Mapping[str, Any]) -> Mapping[str, Any]:
    config = data.get("config")
    return config if isinstance(config, Mapping) else {}


# --- the packages


def _install(block: StewardBlock, suite: Suite) -> str:
    scoring = block.digests.versions if block.digests is not None else {}
    pinned = {**dict(pins(scoring)), **dict(pins(block.versions))}
    if block.digests is None and not suite.own:  # the packages of its metrics are not recorded
        pinned = {name + _EXTRAS * (name == "lm-eval"): version for name, version in pinned.items()}
    packages = [f"{name}=={pinned[name]}" for name in sorted(pinned)] or [f"lm-eval{_EXTRAS}"]
    return installation(packages)


# --- the model


def _weights_steps(block: StewardBlock) -> Iterator[str]:
    """Yield the download of an adapter or a delta, which the harness would read at the commit of its base model."""
    if not is_model(block.model):
        raise NotReproducible(_NO_MODEL)
    if block.weight_type not in ("Original", "Adapter", "Delta"):
        raise NotReproducible(_NO_WEIGHTS)
    if block.weight_type != "Original":
        folder = _weights_folder(block)
        yield quoted("hf", "download", block.model, "--revision", block.revision, "--local-dir", folder)


def _weights_folder(block: StewardBlock) -> str:
    return f"steward-weights-{block.revision[:12]}"


def _model_arguments(block: StewardBlock, config: Mapping[str, Any]) -> list[str]:
    given = config.get("model_args")
    given = given if isinstance(given, Mapping) else {}
    if any(str(name).startswith("load_in_") for name in given):
        raise NotReproducible(_QUANTISED.format(precision=block.precision))
    dtype = given.get("dtype", block.precision)
    arguments = {"pretrained": block.model, "revision": block.revision}
    if block.weight_type != "Original":
        if not (block.base_model and is_model(block.base_model) and block.base_revision):
            raise NotReproducible(_NO_BASE)
        arguments = {"pretrained": block.base_model, "revision": block.base_revision}
        arguments["peft" if block.weight_type == "Adapter" else "delta"] = _weights_folder(block)
    arguments["dtype"] = dtype if isinstance(dtype, str) and dtype in _DTYPES else "auto"
    arguments["use_safetensors"] = "True"
    return ["--model", "hf", "--model_args", ",".join(f"{name}={value}" for name, value in arguments.items())]


# --- the tasks


def _task_steps(block: StewardBlock, suite: Suite) -> Iterator[str]:
    """The files of the suite's own tasks. JSON on one line is YAML, too."""
    if not suite.own:
        return
    if suite.restricted:
        raise NotReproducible(_RESTRICTED)
    if len(block.datasets) != 1:
        raise NotReproducible(_NO_QUESTIONS)
    ((repo, revision),) = block.datasets.items()
    if not (is_model(repo) and _COMMIT.fullmatch(revision)):
        raise NotReproducible(_NO_QUESTIONS)
    yield quoted("mkdir", "-p", TASKS_FOLDER)
    for name, task in task_configs(suite, repo=repo, revision=revision).items():
        yield f"{quoted('printf', '%s', json.dumps(task))} > {quoted(f'{TASKS_FOLDER}/{name}.yaml')}"


def _runs(suite: Suite) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the tasks of each run of the harness, and the arguments that set the number of their examples.

    The harness takes one number for all tasks of a run. For the suite's own tasks, and for a group of the harness that
    contains several benchmarks, the task files set it.
    """
    if suite.own:
        yield suite.run, ()
        return
    numbers = _examples(suite)
    for number in dict.fromkeys(numbers.values()):
        shots = ("--num_fewshot", str(number)) if number is not None else ()
        yield tuple(name for name in suite.run if numbers[name] == number), shots


def _examples(suite: Suite) -> dict[str, int | None]:
    """Return task or group → the number of examples that the suite sets; None for a group of several benchmarks."""
    shots = {**suite.shots, **{benchmark.source: benchmark.shots for benchmark in suite.benchmarks}}
    return {name: shots.get(name) for name in suite.run}


# --- the settings


def _settings(block: StewardBlock, config: Mapping[str, Any], suite: Suite) -> Iterator[str]:
    if suite.own:
        yield from ("--include_path", TASKS_FOLDER)
    if block.use_chat_template:
        yield from ("--apply_chat_template", "--fewshot_as_multiturn")
    device = config.get("device")
    if isinstance(device, str) and _DEVICE.fullmatch(device):
        yield from ("--device", device)
    yield from ("--batch_size", str(block.batch_size))
    names = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")
    seeds = [config.get(name) for name in names]
    known = all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds)
    yield from ("--seed", ",".join(map(str, seeds if known else DEFAULT_SEEDS)))
    yield from ("--log_samples", "--output_path", RESULTS_FOLDER)


def _notes(block: StewardBlock, suite: Suite) -> Iterator[str]:
    python = block.versions.get("python", "")
    if is_version(python):
        yield _PYTHON.format(version=python)
    scoring = block.digests.versions if block.digests is not None else {}
    if packages := other_packages({**block.versions, **scoring}):
        yield _PACKAGES.format(names=", ".join(packages[:MAX_NAMED]))
    if block.weight_type != "Original":
        yield _TOKENIZER.format(folder=_weights_folder(block))
    if not suite.own and block.datasets:
        repos = ", ".join(f"{repo}@{commit[:8]}" for repo, commit in sorted(block.datasets.items()))
        yield _QUESTIONS.format(repos=repos)
    numbers = {} if suite.own else _examples(suite)
    if groups := [name for name, number in numbers.items() if number is None]:
        benchmarks = ", ".join(f"{benchmark.name} {benchmark.shots}" for benchmark in suite.benchmarks)
        yield _GROUPS.format(groups=", ".join(groups), benchmarks=benchmarks)
    if any(numbers.values()):
        yield _IGNORED
    if suite.restricted:
        yield _GATED
    if block.use_chat_template:
        yield _DATE
    if block.engine is not None:
        yield _ENGINE.format(name=block.engine.engine)
    if block.hardware:
        yield _HARDWARE.format(hardware=block.hardware)
