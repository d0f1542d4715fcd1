"""The evaluation of a model by Steward and by the `lm_eval` command: results, answers to each question, and cost."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi

from benchmarks.demo import wait_for
from benchmarks.evaluation import status
from benchmarks.suites.comparison import Answer, Answers, Cost, SideResult, count_requests
from leaderboard.attempts import attempt_id
from leaderboard.boards import RESTRICTED
from leaderboard.details import table_path
from leaderboard.suites import Suite
from redis_state.attempts import Attempts
from redis_state.keys import Keys
from redis_state.redis import connect
from steward.demo.story import DemoSubmission, submit
from steward.demo.world import ORG, WORKER

PATIENCE = 12 * 3600


def by_steward(stage: Any, suite: Suite, model: str, revision: str) -> SideResult:
    """Submit the model, wait for the published result, and read it from the Hub."""
    submission = DemoSubmission(model, "ada", by_pull_request=False, status="FINISHED", cause=None)
    worker = next(child.process.pid for child in stage.children.started if child.name == "worker")
    attempts, attempt = Attempts(connect(stage.valkey.url), Keys(ORG)), attempt_id(ORG, submission.path, revision, 1)
    before, began = processor_seconds(worker), time.monotonic()
    submit(stage.hub_url, stage.world, submission, revision)
    ended = wait_for(stage, lambda: attempts.outcome(attempt), seconds=PATIENCE, every=1)
    assert ended is not None  # `wait_for` returns only true values
    outcome, log = ended
    if outcome.details is None:
        raise RuntimeError(f"the evaluation failed: {outcome.failure}")
    wait_for(stage, lambda: status(stage, submission.path) == "FINISHED")
    seconds, processor = time.monotonic() - began, processor_seconds(worker) - before
    api, details = HfApi(stage.hub_url, token=stage.world.tokens[WORKER]), outcome.details

    def read(path: str, *, restricted: bool) -> bytes:
        repo = details.repo + RESTRICTED if restricted else details.repo
        where = {"repo_type": "dataset", "cache_dir": stage.folder / "read"}
        return Path(api.hf_hub_download(repo, path, **where)).read_bytes()

    data = json.loads(read(details.results_path, restricted=False))
    file_time = details.results_path.removeprefix("results_").removesuffix(".json")
    answers = {
        task.name: published_answers(read(table_path(task.name, file_time), restricted=benchmark.restricted))
        for benchmark in suite.benchmarks
        for task in benchmark.tasks
    }
    peak = re.search(r"the child has ended; peak memory (\d+) MiB", log)
    assert peak is not None, log
    cost = Cost(seconds, processor, count_requests(answers), int(peak[1]))
    return SideResult(data["results"], answers, cost, data["steward"].get("engine") or {})


def by_command(stage: Any, suite: Suite, model: str, revision: str, options: argparse.Namespace) -> SideResult:
    """Run the `lm_eval` command as its documentation says, and read its files."""
    out, (group,) = stage.folder / "command", suite.run if len(suite.run) == 1 else ("all",)
    out.mkdir()
    if group == "all":  # tasks with shots of their own
        tasks = [{"task": name, "num_fewshot": count} for name, count in suite.shots.items()]
        (out / "all.yaml").write_text(yaml.safe_dump({"group": "all", "task": tasks}))
    limit = options.command_questions
    command = [
        str(Path(sys.executable).with_name("lm_eval")), "run", "--model", "hf",
        "--model_args", f"pretrained={model},revision={revision},dtype=float32",
        "--tasks", group, "--include_path", str(out), "--batch_size", str(options.batch_size),
        "--device", "cpu", "--output_path", str(out), "--log_samples", *(["--limit", str(limit)] if limit else []),
    ]  # fmt: skip
    settings = {"HF_HOME": str(stage.folder / "command-home"), "NLTK_DATA": str(stage.folder / "nltk")}
    settings["HF_TOKEN"] = stage.world.tokens[WORKER]  # the worker may read the gated dataset
    began, log = time.monotonic(), stage.folder / "command.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=stage.environment(**settings), stdout=output, stderr=output)
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise RuntimeError(f"the command failed: {log.read_text('utf-8', 'replace')[-3000:]}")
    seconds = time.monotonic() - began
    results = json.loads(next(out.glob("*/results_*.json")).read_text())["results"]
    answers = {task: command_answers(next(out.glob(f"*/samples_{task}_2*.jsonl"))) for task in suite.tasks}
    cost = Cost(seconds, usage.ru_utime + usage.ru_stime, count_requests(answers), usage.ru_maxrss >> 10)
    return SideResult(results, answers, cost, {})


def published_answers(table: bytes) -> Answers:
    """The answers in a table of a details repo."""
    import pyarrow.parquet as pq

    rows = pq.read_table(BytesIO(table), columns=["doc_id", "continuations", "responses"]).to_pylist()
    return {row["doc_id"]: _answer(json.loads(row["continuations"]), json.loads(row["responses"])) for row in rows}


def command_answers(file: Path) -> Answers:
    """The answers in a file of samples."""
    answers: Answers = {}
    with file.open() as lines:
        for sample in map(json.loads, lines):
            asked = sample["arguments"]
            choices = [asked[key].get("arg_1") for key in sorted(asked, key=lambda key: int(key.rpartition("_")[2]))]
            answers[sample["doc_id"]] = _answer(choices, sample["resps"])
    return answers


def _answer(choices: Sequence[Any], responses: Sequence[Sequence[Any]]) -> Answer:
    first = [response[0] for response in responses]
    if isinstance(first[0], str):
        return Answer(text=first[0])
    return Answer(tuple(float(value) for value, _ in first), tuple(len(choice) for choice in choices))


def processor_seconds(pid: int) -> float:
    """The processor time of a process and of all its descendants, those that have ended included."""
    fields: dict[int, list[str]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended; its parent counts it
    family, size = {pid}, 0
    while len(family) > size:
        size = len(family)
        family |= {child for child, values in fields.items() if int(values[1]) in family}
    return sum(sum(map(int, fields[member][11:15])) for member in family) / os.sysconf("SC_CLK_TCK")
