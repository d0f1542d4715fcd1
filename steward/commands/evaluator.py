"""`steward evaluator`: `check` tries an evaluator in a worker's sandbox and reports what is wrong with it; `run`
evaluates one model by it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import AsJson, in_sentences
from steward.commands.output import ending, say
from steward.exit_statuses import MISCONFIGURED

if TYPE_CHECKING:
    from leaderboard.suites import Suite
    from workers.jobs.evaluator_check import EvaluatorFinding
    from workers.jobs.evaluator_run import LocalResults

FAILED = 1
MARKS = {True: "ok", False: "FAIL", None: "-"}
_NO_EVALUATOR = (
    "the suite {suite} names no evaluator: add the section `evaluator`, as docs/writing-an-evaluator.md says."
)
_QUESTIONS = "name a folder of questions for {repos}: --questions FOLDER, or --questions REPO=FOLDER for each."

_BEGINNING = "{name} {version} is tried in several runs, each of {seconds:g} seconds at most (--seconds)."

evaluator = typer.Typer(help="Look at programs that evaluate models in the place of lm-eval.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `steward`."""
    app.add_typer(evaluator, name="evaluator")


@evaluator.command()
@in_sentences
def check(
    suite: Annotated[str, typer.Option(help="The suite file, which names the evaluator, its tasks and its metrics.")],
    questions: Annotated[
        list[str],
        typer.Option(help="The folder with the files of the suite's dataset; REPO=FOLDER where it has several."),
    ],
    command: Annotated[
        list[str] | None,
        typer.Argument(help="Another command than the suite's, after --, as in -- python ./my_evaluator.py."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="The folder of a model; without it, a tiny random Llama."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Questions of each task that are asked.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit of each run.")] = 300.0,
    as_json: AsJson = False,
) -> None:
    """Try an evaluator in the worker's sandbox, in several runs, and say in plain words what is wrong with it.

    It needs no Hub and no queue server. Exit status 1 if the evaluator is not fit for a leaderboard, 2 if it could not
    be tried.
    """
    from leaderboard.suites import find_suite
    from workers.errors import WorkerError
    from workers.jobs.evaluator_check import check_evaluator, failures
    from workers.jobs.evaluator_trial import EvaluatorTrial

    chosen = _with_command(find_suite(suite), command)
    folders = _folders(chosen, questions)
    findings: list[EvaluatorFinding] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="steward-evaluator-") as folder,
            EvaluatorTrial.opened(chosen, Path(folder), folders, model) as trial,
        ):
            if not as_json:
                say(_beginning(chosen, seconds))
            for finding in check_evaluator(trial, seconds=seconds, limit=limit):
                findings.append(finding)
                if not as_json:
                    say(finding_line(finding))
    except (WorkerError, OSError) as error:
        raise ending(f"the evaluator cannot be tried here: {error}", MISCONFIGURED) from error
    failed = failures(findings)
    if as_json:
        print(json.dumps({"passed": not failed, "findings": [asdict(finding) for finding in findings]}))
    else:
        say(_conclusion(chosen, failed))
    raise typer.Exit(FAILED if failed else 0)


@evaluator.command()
@in_sentences
def run(
    suite: Annotated[str, typer.Option(help="The suite file, which names the evaluator, its tasks and its metrics.")],
    questions: Annotated[
        list[str],
        typer.Option(help="The folder with the files of the suite's dataset; REPO=FOLDER where it has several."),
    ],
    model: Annotated[Path, typer.Option(exists=True, file_okay=False, help="The folder of the model.")],
    output: Annotated[Path, typer.Option(help="A folder for results.json and the samples.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(help="Another command than the suite's, after --, as in -- python ./my_evaluator.py."),
    ] = None,
    name: Annotated[str, typer.Option(help="The model's id (org/name), for the results.")] = "local/model",
    revision: Annotated[str, typer.Option(help="The model's commit, for the results.")] = "0" * 40,
    precision: Annotated[str, typer.Option(help="The precision, as in requests.")] = "bfloat16",
    batch_size: Annotated[int, typer.Option(min=1, max=4096, help="Questions at once.")] = 1,
    chat_template: Annotated[bool, typer.Option("--chat-template", help="Use the model's chat template.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:0, or auto: the GPUs if there are any.")] = "auto",
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only so many questions of each task.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit.")] = 8 * 3600.0,
    as_json: AsJson = False,
) -> None:
    """Evaluate a model once by the evaluator of a suite, in the worker's sandbox, and show the scores.

    The command line that /reproduce shows ends with this. It needs no Hub and no queue server, and publishes nothing.
    Exit status 1 if the evaluation fails, 2 if it cannot run here.
    """
    from leaderboard.suites import find_suite
    from workers.errors import EvaluationFailed, WorkerError
    from workers.jobs.evaluator_run import LocalEvaluation, evaluate_locally

    chosen = _with_command(find_suite(suite), command)
    evaluation = LocalEvaluation(
        chosen,
        model,
        _folders(chosen, questions),
        name,
        revision,
        precision,
        batch_size=batch_size,
        chat_template=chat_template,
        device=device,
        limit=limit,
        seconds=seconds,
    )
    try:
        results = evaluate_locally(evaluation, output)
    except EvaluationFailed as error:
        raise ending(f"The evaluation failed: {error}", FAILED) from error
    except (WorkerError, OSError, ValueError) as error:
        raise ending(f"The evaluator cannot run here: {error}", MISCONFIGURED) from error
    _print_results(results, output, as_json=as_json)


def _print_results(results: LocalResults, output: Path, *, as_json: bool) -> None:
    digests, scores = results.digests, results.scores
    if as_json:
        facts = {"average": scores.average, "benchmarks": scores.by_name, "asked": digests.asked}
        print(json.dumps({**facts, "scored": digests.scored, "output": str(output)}))
        return
    lines = [f"{benchmark:40} {value:8.4f}" for benchmark, value in scores.by_name.items()]
    say("\n".join([*lines, f"{'Average':40} {scores.average:8.4f}", f"Asked: {digests.asked[:12]}"]))


def _with_command(suite: Suite, command: list[str] | None) -> Suite:
    if suite.evaluator is None:
        raise ending(_NO_EVALUATOR.format(suite=suite.name), MISCONFIGURED)
    if not command:
        return suite
    return suite.model_copy(update={"evaluator": suite.evaluator.model_copy(update={"command": tuple(command)})})


def _folders(suite: Suite, questions: list[str]) -> Mapping[str, Path]:
    """Return the folder of each dataset of the suite. Ends the command unless `questions` name one for each."""
    repos = [source.repo for source in suite.datasets]
    named = {repos[0]: Path(questions[0])} if len(repos) == len(questions) == 1 and "=" not in questions[0] else {}
    for words in questions if not named else ():
        repo, _, folder = words.partition("=")
        named[repo] = Path(folder)
    if set(named) != set(repos) or not all(folder.is_dir() for folder in named.values()):
        raise ending(_QUESTIONS.format(repos=", ".join(repos)), MISCONFIGURED)
    return named


def _beginning(suite: Suite, seconds: float) -> str:
    assert suite.evaluator is not None
    return _BEGINNING.format(name=suite.evaluator.name, version=suite.evaluator.version, seconds=seconds)


def finding_line(finding: EvaluatorFinding) -> str:
    """Return one finding of a check, with its mark."""
    words = f": {finding.words}" if finding.words else ""
    log = "".join(f"\n        {line}" for line in finding.log)
    return f"{MARKS[finding.passed]:5} {finding.title}{words}{log}"


def _conclusion(suite: Suite, failed: int) -> str:
    assert suite.evaluator is not None
    name = f"{suite.evaluator.name} {suite.evaluator.version}"
    if not failed:
        return f"{name} keeps the contract: a worker can run it."
    return f"{name} does not keep the contract yet. The files it must leave: docs/reference-evaluator.md."
