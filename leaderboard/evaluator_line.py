"""The command line that repeats an evaluation by another evaluator than lm-eval: `steward evaluator run`.

It downloads model and questions at their commits, writes the suite, and runs the evaluator in Steward's sandbox. A
results file is untrusted input: values that do not have the expected form are refused, and all others are quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

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
from leaderboard.evaluators import Evaluator
from leaderboard.request_paths import is_model
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import BadSuite, Suite, parse_suite

SUITE_FILE, QUESTIONS_FOLDER, OUTPUT_FOLDER = "steward-suite.yaml", "steward-questions", "steward-results"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHIPPED = "workers.evaluators."
"""The beginning of the modules of evaluators that are part of Steward."""

_STEWARD = "Steward{version} runs it: in its folder, pip install '.[worker]' comes first."
_PROGRAM = (
    "The evaluator {name} {version} is a program of this board: get it from the board, put it where its command says "
    "({command}), or write another command at the end, after --."
)
_PACKAGES = (
    "The evaluator names these packages: {names}. The line does not install them: get them from the board, because "
    "another one of that name may be in the index."
)
_GATED = "Some questions are in gated datasets: ask for access on their pages, then log in with: hf auth login"
_HARDWARE = "It ran on {hardware}; on another machine the last digits may differ."
_PYTHON = "It ran with Python {version}."
_RESCORED = "Its scores were computed again from the stored answers, so the evaluator may have been an earlier one."
_NO_MODEL = "The results name a model that cannot exist on the Hub."
_WEIGHTS = (
    "There is no command line for adapters and deltas with this evaluator. "
    "Where workers run: steward reproduce {attempt}"
)
_NO_QUESTIONS = "The results do not name the dataset and the commit of the questions."
_TOO_LONG = "The suite is too long for a command line. Where workers run: steward reproduce {attempt}"


def evaluator_line(block: StewardBlock, suite: Suite) -> ReproductionCommand:
    """The command line that repeats the evaluation of `suite` with this block. Raises NotReproducible."""
    evaluator = suite.evaluator
    assert evaluator is not None
    if not is_model(block.model):
        raise NotReproducible(_NO_MODEL)
    if block.weight_type != "Original":
        raise NotReproducible(_WEIGHTS.format(attempt=block.attempt))
    model, datasets = f"steward-model-{block.revision[:12]}", _datasets(block.datasets, suite)
    steps = [quoted("hf", "download", block.model, "--revision", block.revision, "--local-dir", model)]
    for repo, (source, revision) in datasets.items():
        download = ("hf", "download", source, "--repo-type", "dataset", "--revision", revision)
        steps.append(quoted(*download, "--local-dir", f"{QUESTIONS_FOLDER}/{repo}"))
    steps.append(f"{quoted('printf', '%s', _suite_text(suite, block))} > {SUITE_FILE}")
    run = ["steward", "evaluator", "run", "--suite", SUITE_FILE, "--model", model, "--name", block.model]
    run += ["--revision", block.revision, "--precision", block.precision, "--batch-size", str(block.batch_size)]
    for repo in datasets:
        run += ["--questions", f"{repo}={QUESTIONS_FOLDER}/{repo}"]
    run += ["--chat-template"] * block.use_chat_template
    steps.append(quoted(*run, "--output", OUTPUT_FOLDER))
    packages = [f"{name}=={version}" for name, version in sorted(pins(block.versions))]
    install = installation(packages) if packages else ""
    command = ReproductionCommand(install, " && ".join(steps), tuple(_notes(block, suite, evaluator)))
    if len(command.line) > MAX_LINE:
        raise NotReproducible(_TOO_LONG.format(attempt=block.attempt))
    return command


def _datasets(recorded: Mapping[str, str], suite: Suite) -> dict[str, tuple[str, str]]:
    """Repo as the suite names it → the repo and the commit of the questions: the board may have used a copy."""
    named = [dataset.repo for dataset in suite.datasets]
    missing, copies = [repo for repo in named if repo not in recorded], sorted(recorded.keys() - set(named))
    if len(missing) != len(copies) or len(missing) > 1:
        raise NotReproducible(_NO_QUESTIONS)
    sources = {**{repo: repo for repo in named}, **dict(zip(missing, copies, strict=True))}
    datasets = {repo: (source, recorded[source]) for repo, source in sources.items()}
    if not all(is_model(source) and _COMMIT.fullmatch(revision) for source, revision in datasets.values()):
        raise NotReproducible(_NO_QUESTIONS)
    return datasets


def _suite_text(suite: Suite, block: StewardBlock) -> str:
    """The suite as JSON, which is YAML, without the folders of this board's machines."""
    assert suite.evaluator is not None
    evaluator = suite.evaluator.model_copy(update={"command": _command(suite.evaluator)})
    public = suite.model_copy(update={"evaluator": evaluator})
    text = json.dumps(public.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False)
    try:
        is_same = parse_suite(text).digest == suite.digest
    except BadSuite:
        is_same = False
    if not is_same:  # a text that YAML reads differently from JSON
        raise NotReproducible(_TOO_LONG.format(attempt=block.attempt))
    return text


def _command(evaluator: Evaluator) -> tuple[str, ...]:
    """The command with names in the place of paths."""
    program, *arguments = evaluator.command
    name = program.rpartition("/")[2]
    if "/" in program:
        program = "python" if name.startswith("python") else f"./{name}"
    return program, *(f"./{word.rstrip('/').rpartition('/')[2]}" if "/" in word else word for word in arguments)


def _notes(block: StewardBlock, suite: Suite, evaluator: Evaluator) -> Iterator[str]:
    version = block.versions.get("steward", "")
    yield _STEWARD.format(version=f" {version}" if is_version(version) else "")
    if not any(word.startswith(_SHIPPED) for word in evaluator.command):
        command = " ".join(_command(evaluator))
        yield _PROGRAM.format(name=evaluator.name, version=evaluator.version, command=command)
    scoring = block.digests.versions if block.digests is not None else {}
    if packages := other_packages({**block.versions, **scoring}):
        yield _PACKAGES.format(names=", ".join(packages[:MAX_NAMED]))
    python = block.versions.get("python", "")
    if is_version(python):
        yield _PYTHON.format(version=python)
    if suite.restricted:
        yield _GATED
    if block.rescored_from is not None:
        yield _RESCORED
    if block.hardware:
        yield _HARDWARE.format(hardware=block.hardware)
