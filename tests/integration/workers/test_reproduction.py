"""A published evaluation is repeated: by its command line in a shell, and by `steward reproduce`, which names changes.

`make long` runs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leaderboard.attempts import Outcome
from leaderboard.reproduction import RESULTS_FOLDER, reproduction_command
from leaderboard.results import read_results
from tests.support.workers.real_worker import PATIENCE, RealWorker
from workers.models.tiny_model import model

pytestmark = pytest.mark.timeout(400)
ONLY_WHOLE = pytest.mark.long("takes half a minute")


@pytest.fixture(scope="module")
def evaluated(real_worker: RealWorker) -> Outcome:
    """One evaluation by a worker."""
    revision = real_worker.upload("ada/tiny", model())
    (outcome,) = real_worker.run(real_worker.job("ada/tiny", revision))
    assert outcome.details is not None, outcome.failure
    return outcome


def reproduced(stand: RealWorker, result: str, *options: str) -> tuple[int, Any]:
    """Exit status of `steward reproduce`, and its JSON, or its text if the options do not say `--json`."""
    process = subprocess.run(
        [sys.executable, "-m", "steward.cli", "reproduce", result, *options],
        env=stand.settings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.stdout, process.stderr[-2000:]
    return process.returncode, json.loads(process.stdout) if "--json" in options else process.stdout


@ONLY_WHOLE
def test_another_precision_is_named_from_a_few_recorded_prompts(
    real_worker: RealWorker, evaluated: Outcome, tmp_path: Path
) -> None:
    """`steward reproduce` replays three prompts of each task in another precision, and names it as a reason."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps(real_worker.results(evaluated)))
    _, report = reproduced(
        real_worker, str(file), "--precision", "bfloat16", "--questions", "3", "--engine", "harness", "--json"
    )
    assert (report["replayed"], report["samples"], report["counts"]["other-prompt"]) == (True, 6, 0)
    assert report["verdict"] in ("other-digits", "other-answers")
    assert report["largest_difference"] > 1e-4
    assert "precision: float32 and bfloat16" in report["reasons"]
    first = report["first"]
    assert first["published"]["tokens"] == first["here"]["tokens"] != []
    assert first["published"]["prompt"] == first["here"]["prompt"]
    assert first["published"]["answers"] != first["here"]["answers"]


@ONLY_WHOLE
def test_as_recorded_every_answer_is_the_same(real_worker: RealWorker, evaluated: Outcome) -> None:
    """`steward reproduce` gets the published answers again, in a whole evaluation and from the recorded prompts."""
    options = ("--model", "ada/tiny", "--json")
    status, report = reproduced(real_worker, evaluated.attempt, *options)
    assert (status, report["verdict"], report["counts"]["same"], report["reasons"]) == (0, "same", 22, [])
    assert report["first"] is None
    status, report = reproduced(real_worker, evaluated.attempt, "--questions", "11", *options)
    assert (status, report["replayed"], report["samples"], report["left_out"]) == (0, True, 22, {})
    assert report["verdict"] in ("same", "other-digits")
    assert report["largest_difference"] < 1e-4


@ONLY_WHOLE
def test_prompts_with_a_chat_template_are_asked_again_as_they_were(real_worker: RealWorker, evaluated: Outcome) -> None:
    """`steward reproduce`, given a request's path, replays recorded prompts that contain the chat template."""
    job = real_worker.job("ada/tiny", evaluated.revision, 2, use_chat_template=True)
    (outcome,) = real_worker.run(job)
    results = f"ada/tiny/{outcome.details.results_path}" if outcome.details is not None else ""
    fields = {"model": "ada/tiny", "precision": "float32", "weight_type": "Original", "status": "FINISHED"}
    request = json.dumps({**fields, "steward": {"results": results}}).encode()
    real_worker.upload("trial/requests", {job.path: request}, "dataset")
    real_worker.upload("trial/results", {results: json.dumps(real_worker.results(outcome)).encode()}, "dataset")
    status, report = reproduced(real_worker, job.path, "--questions", "11", "--json")
    assert (status, report["attempt"], report["replayed"], report["samples"]) == (0, outcome.attempt, True, 22)
    assert report["verdict"] in ("same", "other-digits")
    assert report["largest_difference"] < 1e-4


@ONLY_WHOLE
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--shots", "0"), "1 examples and 0 examples"),
        (("--shots", "0", "--questions", "2"), "1 examples and 0 examples"),
        (("--chat-template",), "only the second result used the model's chat template"),
        (("--chat-template", "--questions", "2"), "only the second result used the model's chat template"),
    ],
)
def test_another_prompt_is_named(
    real_worker: RealWorker, evaluated: Outcome, options: tuple[str, ...], reason: str
) -> None:
    """With other examples or a chat template, `steward reproduce` names the reason and shows both prompts' tokens."""
    status, text = reproduced(real_worker, evaluated.attempt, "--model", "ada/tiny", *options)
    assert status == 1
    assert "Another prompt: the model was asked something else." in text
    assert reason in text
    assert text.count("  published ") == text.count("  here ") >= 3
    assert "tokens from" in text


@ONLY_WHOLE
def test_the_line_pasted_into_a_shell_gives_the_same_scores(
    real_worker: RealWorker, evaluated: Outcome, tmp_path: Path
) -> None:
    """The published command line, pasted into a shell, computes the published scores again."""
    results = read_results(json.dumps(real_worker.results(evaluated)).encode(), real_worker.suite)
    line = reproduction_command(results, real_worker.suite).line
    real_worker.paste(line, tmp_path)
    (file,) = (tmp_path / RESULTS_FOLDER).glob("*/results_*.json")
    scores = json.loads(file.read_text())["results"]
    assert scores == results.data["results"]
