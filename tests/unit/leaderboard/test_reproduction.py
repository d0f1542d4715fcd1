"""The command line that repeats an evaluation: its arguments, its quoting, and when there is none."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from leaderboard.command_lines import MAX_LINE, NotReproducible, ReproductionCommand
from leaderboard.comparability import ResultDigests
from leaderboard.engines import EngineUse
from leaderboard.reproduction import reproduction_command
from leaderboard.results import ResultsFile
from leaderboard.scores import Scores
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import Suite, find_suite
from leaderboard.task_configs import task_configs
from tests.support.units.details_samples import STARTER, results

COMMIT, BASE_COMMIT, QUESTIONS = "a" * 40, "b" * 40, "c" * 40
FIRST, SECOND = find_suite("open-llm-v1"), find_suite("open-llm-v2")
HOSTILE = "$(touch pwned)`touch pwned`;touch pwned|'\"\n&& touch pwned # "


def made(suite: Suite = SECOND, config: dict[str, Any] | None = None, **changes: Any) -> ReproductionCommand:
    """The command for results of `suite`."""
    fields: dict[str, Any] = {
        "model": "org/model", "revision": COMMIT, "precision": "bfloat16", "batch_size": 8,
        "datasets": {"org/questions": QUESTIONS}, "suite": suite.name, "suite_digest": suite.digest,
        "versions": {"lm-eval": "0.4.13", "torch": "2.9.1+cu128", "python": "3.11.9", "steward": "1.0"},
    }  # fmt: skip
    block = StewardBlock.model_validate({**results().block.model_dump(), **fields, **changes})
    return reproduction_command(ResultsFile(block, Scores((), 0.0), {"results": {}, "config": config or {}}), suite)


def arguments(command: ReproductionCommand) -> list[list[str]]:
    """Return the arguments of each run of the harness."""
    steps = [shlex.split(step) for step in command.run.split(" && ")]
    return [step for step in steps if step[0] == "lm_eval"]


def test_the_line_of_a_suite_of_the_harness() -> None:
    """The command installs exact versions and runs the harness once with the settings of the evaluation."""
    command = made(config={"device": "cuda:0", "model_args": {"dtype": "bfloat16"}})
    assert command.install == "python -m pip install 'lm-eval[ifeval,math]==0.4.13' torch==2.9.1"
    assert command.run == (
        f"lm_eval --tasks leaderboard --model hf --model_args pretrained=org/model,revision={COMMIT},dtype=bfloat16,"
        "use_safetensors=True --device cuda:0 --batch_size 8 --seed 0,1234,1234,1234 --log_samples "
        "--output_path steward-results"
    )
    assert command.line == f"{command.install} && {command.run}"
    assert any("org/questions@cccccccc" in note for note in command.notes)


def test_tasks_with_different_numbers_of_examples_are_different_runs() -> None:
    """The first suite names each task with its own number of examples; tasks with the same number share a run."""
    runs = [(words[2], words[4]) for words in arguments(made(FIRST))]
    assert runs == [
        ("arc_challenge", "25"), ("hellaswag", "10"), ("mmlu,winogrande,gsm8k", "5"), ("truthfulqa_mc2", "0"),
    ]  # fmt: skip


def test_tasks_of_a_benchmark_have_its_number_of_examples() -> None:
    """Tasks that a suite runs one by one get their benchmark's number of examples; a group of benchmarks gets none."""
    mmlu = next(benchmark for benchmark in FIRST.benchmarks if benchmark.source == "mmlu")
    some = FIRST.model_copy(update={"run": ("arc_challenge", "leaderboard", *(task.name for task in mmlu.tasks[:2]))})
    command = made(some)
    runs = [(words[2], words[4] if words[3] == "--num_fewshot" else "") for words in arguments(command)]
    tasks = ",".join(task.name for task in mmlu.tasks[:2])
    assert runs == [("arc_challenge", "25"), ("leaderboard", ""), (tasks, "5")]
    assert any("The task files of leaderboard say how many" in note for note in command.notes)
    assert not any("The task files of" in note for note in made(FIRST).notes)


def test_a_chat_template_and_seeds_are_named() -> None:
    """The command has the chat template and the seeds of the results; a note gives the date for chat templates."""
    seeds = {"random_seed": 1, "numpy_seed": 2, "torch_seed": 3, "fewshot_seed": 4}
    command = made(config=seeds, use_chat_template=True)
    (words,) = arguments(command)
    assert words[words.index("--apply_chat_template") + 1] == "--fewshot_as_multiturn"
    assert words[words.index("--seed") + 1] == "1,2,3,4"
    assert any("26 July 2024" in note for note in command.notes)
    assert "--apply_chat_template" not in made().run


@pytest.mark.parametrize(("weights", "argument"), [("Adapter", "peft"), ("Delta", "delta")])
def test_an_adapter_or_a_delta_is_downloaded_at_its_own_commit(weights: str, argument: str) -> None:
    """The command downloads an adapter or a delta first, because the harness would use its base model's commit."""
    command = made(weight_type=weights, base_model="org/base", base_revision=BASE_COMMIT)
    folder = f"steward-weights-{COMMIT[:12]}"
    assert command.run.startswith(f"hf download org/model --revision {COMMIT} --local-dir {folder} && ")
    assert f"pretrained=org/base,revision={BASE_COMMIT},{argument}={folder}," in command.run


@pytest.mark.parametrize("dtype", ["auto", "$(id)", None, [], {}, 16])
def test_a_quantised_checkpoint_loads_as_it_says(dtype: Any) -> None:
    """The command sets `dtype=auto` for a quantised checkpoint whose results have no valid dtype."""
    assert "dtype=auto," in made(config={"model_args": {"dtype": dtype}}, precision="GPTQ").run


def test_the_engine_and_the_hardware_are_notes() -> None:
    """The engine and the hardware are named in notes, because the harness has no argument for them."""
    engine = EngineUse(engine="shared-prefix", version=1, compared=1, largest_difference=0.0)
    notes = made(engine=engine, hardware="NVIDIA H100").notes
    assert any("shared-prefix" in note for note in notes) and any("NVIDIA H100" in note for note in notes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": HOSTILE}, "name a model that cannot exist"),
        ({"model": "org/model,trust_remote_code=True"}, "name a model that cannot exist"),
        ({"model": "/etc/passwd/.."}, "name a model that cannot exist"),
        ({"weight_type": "Adapter"}, "the commit of the base model"),
        ({"weight_type": "Adapter", "base_model": HOSTILE, "base_revision": BASE_COMMIT}, "the base model"),
        ({"weight_type": "$(id)"}, "a type of weights"),
        ({"config": {"model_args": {"load_in_8bit": True}}, "precision": "8bit"}, "to 8bit while it loads"),
        ({"suite": STARTER, "datasets": {}}, "the commit of the questions"),
        ({"suite": STARTER, "datasets": {HOSTILE: QUESTIONS}}, "the commit of the questions"),
        ({"suite": STARTER, "datasets": {"org/questions": HOSTILE}}, "the commit of the questions"),
    ],
)
def test_there_is_no_line_where_one_would_be_wrong(changes: dict[str, Any], reason: str) -> None:
    """If a command line would be wrong or unsafe, an error says why there is none."""
    suite = changes.pop("suite", SECOND)
    with pytest.raises(NotReproducible, match=reason):
        made(suite, **changes)


def test_a_suite_with_restricted_questions_of_its_own_has_no_line() -> None:
    """A suite with restricted questions has no command, which would show them; nor has one whose line is too long."""
    benchmark = STARTER.benchmarks[0]
    restricted = STARTER.model_copy(update={"benchmarks": (benchmark.model_copy(update={"restricted": True}),)})
    with pytest.raises(NotReproducible, match="restricted"):
        made(restricted)
    with pytest.raises(NotReproducible, match="too many"):
        made(with_prompt("x" * MAX_LINE))


def with_prompt(prompt: str) -> Suite:
    """The starter suite, whose first task has another prompt."""
    first, *others = STARTER.definitions
    changed = first.model_copy(update={"prompt": prompt})
    return STARTER.model_copy(update={"definitions": (changed, *others)})


def test_a_shell_gets_every_word_as_it_is_and_runs_nothing_else(tmp_path: Path) -> None:
    """Shell characters in prompts, versions and settings are quoted: task files are exact, and nothing else runs."""
    suite = with_prompt(HOSTILE + "  %s %d \\n é 'Don''t'\n{{input}}")
    command = made(
        suite,
        {"device": HOSTILE, "model_args": {"dtype": HOSTILE}, "random_seed": HOSTILE},
        versions={"lm-eval": "0.4.13", "torch": HOSTILE, HOSTILE: "1.0", "torch-eval": "6.6.6"},
        hardware=HOSTILE,
    )
    assert "\n" not in command.line and command.line.isascii()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("python", "lm_eval"):
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/{name}.said\n')
        (programs / name).chmod(0o755)
    subprocess.run(["sh", "-c", command.line], cwd=tmp_path, env={"PATH": f"{programs}:/usr/bin:/bin"}, check=True)
    expected = task_configs(suite, repo="org/questions", revision=QUESTIONS)
    written = {file.stem: json.loads(file.read_text()) for file in (tmp_path / "steward-tasks").iterdir()}
    assert written == json.loads(json.dumps(expected))
    assert (tmp_path / "python.said").read_text().split() == ["-m", "pip", "install", "lm-eval==0.4.13"]
    words = (tmp_path / "lm_eval.said").read_text().splitlines()
    assert words[:2] == ["--tasks", "starter"] and "--device" not in words
    assert f"pretrained=org/model,revision={COMMIT},dtype=auto,use_safetensors=True" in words
    assert not list(tmp_path.rglob("pwned*"))


@pytest.mark.parametrize("name", ["torch-eval", "numpy-base", "Evil_Package", "lm.eval", "requests"])
def test_a_worker_chooses_no_package_that_readers_install(name: str) -> None:
    """The command leaves out unknown packages that a worker names, as they may be malicious; a note lists them."""
    digests = ResultDigests.model_construct(versions={"lm_eval.tasks.x": f"sympy 1.14.0, {name} 6.6.6"})
    for changes in ({"versions": {"lm-eval": "0.4.13", name: "6.6.6"}}, {"digests": digests}):
        command = made(**changes)
        assert "6.6.6" not in command.line and name.replace("_", "-") not in command.install
        assert any(f"does not install: {name.replace('_', '-')}." in note for note in command.notes)
    assert "sympy==1.14.0" in made(digests=digests).install
