"""Evaluates a whole suite at its real shape through Steward, and compares it with the `lm_eval` command.

    python -m benchmarks.suites [--suite open-llm-v2|open-llm-v1] [--questions 30|real] [--model smollm2|two-layers]
                                [--command-questions N] [--batch-size 8] [--json]

The datasets are generated (`benchmarks.suite_datasets`), with `--questions` in each task. Starts the demo's processes
with `engine: shared-prefix`, submits the model, and waits for the published result. The command then runs on the same
model and datasets, with the first N questions of each task (0: not at all; all by default).

Each log-likelihood that the command computed is compared with the one that Steward published. The exit code is 1 if an
answer or an accuracy differs, or a log-likelihood by more than the engine's tolerance: 0.0001, or a millionth of it.
Texts are only counted: they may differ after a near tie. Processor seconds hold on a busy machine, too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CommitOperationAdd, HfApi, constants

from benchmarks.demo import has_worker, wait_for
from benchmarks.evaluation import status
from benchmarks.suite_datasets import GATED, LEFT_OUT, MAKERS, datasets_of, files
from leaderboard.attempts import attempt_id
from leaderboard.boards import RESTRICTED
from leaderboard.details import table_path
from leaderboard.suites import Suite, find_suite
from redis_state.attempts import Attempts
from redis_state.keys import Keys
from redis_state.redis import connect
from steward.children import Children
from steward.demo.models import DemoModel, upload
from steward.demo.stage import STEWARD, build_stage
from steward.demo.story import DemoSubmission, submit
from steward.demo.world import MAINTAINER, ORG, WORKER, World
from steward.valkey import free_port

PATIENCE = 12 * 3600
TOLERANCE, RELATIVE = 1e-4, 1e-6
MODELS = {"smollm2": "ada/SmolLM2-135M-Instruct", "two-layers": "ada/two-layers"}


@dataclass(frozen=True)
class Cost:
    """What one side needed; `requests` are log-likelihoods and texts."""

    seconds: float
    processor_seconds: float
    requests: int
    peak_mib: int


@dataclass(frozen=True)
class TaskFigures:
    """One task: its score on both sides, and the answers to questions that both sides answered.

    `differing`: questions with another best answer, or texts that are not the same.
    """

    name: str
    metric: str
    score: float
    command_score: float | None
    questions: int
    requests: int
    compared: int
    differing: int
    max_difference: float | None
    agrees: bool


@dataclass(frozen=True)
class Answer:
    """The responses to one question: a log-likelihood for each choice, with its length, or one text."""

    values: tuple[float, ...] = ()
    lengths: tuple[int, ...] = ()
    text: str = ""

    def best(self) -> tuple[int, int]:
        """The best choices by log-likelihood and by log-likelihood in relation to its length."""
        by_length = [value / max(1, length) for value, length in zip(self.values, self.lengths, strict=True)]
        return self.values.index(max(self.values)), by_length.index(max(by_length))


Answers = dict[int, Answer]


@dataclass(frozen=True)
class SideResult:
    """The harness's results (task → metrics), the answers to the questions of each task, and the cost."""

    results: dict[str, dict[str, Any]]
    answers: dict[str, Answers]
    cost: Cost
    engine: dict[str, Any]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=("open-llm-v2", "open-llm-v1"), default="open-llm-v2")
    parser.add_argument("--questions", type=_questions, default=30, help="questions of each task, or `real`")
    parser.add_argument("--model", choices=MODELS, default="two-layers")
    parser.add_argument("--command-questions", type=int, help="questions of each task for the command; 0: none")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    constants.HF_HUB_DISABLE_XET = True  # the library is imported, so its environment variable would come too late
    suite, theirs = find_suite(options.suite), None
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, started(Path(folder), options) as stage:
        revision = upload_model(stage, options.model)
        ours = by_steward(stage, suite, MODELS[options.model], revision)
        print_cost("steward", ours.cost)
        if options.command_questions != 0:
            theirs = by_command(stage, suite, MODELS[options.model], revision, options)
    whole = options.command_questions is None or options.command_questions == options.questions
    tasks = compare(suite, ours, theirs, whole=whole)
    show(options, tasks, ours, theirs)
    equal = all(task.agrees for task in tasks)
    if options.json:
        sides = {"steward": asdict(ours.cost), "command": theirs and asdict(theirs.cost)}
        left_out = LEFT_OUT if options.suite == "open-llm-v2" else ()
        print(json.dumps({"suite": options.suite, "questions": options.questions or "real", "model": options.model,
                          "tasks": [asdict(task) for task in tasks], **sides, "engine": ours.engine,
                          "left_out": left_out, "equal": equal}))  # fmt: skip
    return 0 if equal else 1


def _questions(text: str) -> int | None:
    return None if text == "real" else int(text)


# --- the processes, the datasets and the model


class SuiteWorld(World):
    """The demo's world, with the organisations that publish the datasets; gated ones are open to the worker."""

    def as_world(self) -> dict[str, Any]:
        """Return the world file with which localhub starts."""
        world: dict[str, Any] = super().as_world()
        publishers = sorted({repo.partition("/")[0] for repo in MAKERS})
        world["orgs"] += [{"name": name, "members": {MAINTAINER: "admin"}} for name in publishers]
        gated = {"type": "dataset", "gated": "manual", "grants": [WORKER]}
        world["repos"] += [{**gated, "id": repo, "files": {}} for repo in GATED]
        return world


@contextmanager
def started(folder: Path, options: argparse.Namespace) -> Iterator[Any]:
    """Start queue server, localhub with the datasets, web server, sync process and worker."""
    (folder / "nltk/tokenizers/punkt_tab").mkdir(parents=True)  # no question needs what would be in it
    with Children(folder / "logs") as children:
        stage = build_stage(folder, children, free_port())
        try:
            stage.world = SuiteWorld(stage.web_url)
            stage.start_hub(port=0)
            for repo, splits in datasets_of(options.suite, options.questions):
                upload_dataset(stage, repo, files(splits))
            stage.write_board(options.suite)
            board = yaml.safe_load((folder / "board.yaml").read_text())
            (folder / "board.yaml").write_text(yaml.safe_dump({**board, "engine": "shared-prefix"}))
            stage.start_bot()
            token = folder / "worker-token"
            token.touch(mode=0o600)
            token.write_text(stage.world.tokens[WORKER])
            settings = {
                "STEWARD_WORKER_TOKEN_FILE": str(token),
                "STEWARD_WORK_DIR": str(folder / "worker"),
                "STEWARD_BATCH_SIZE": str(options.batch_size),
                "NLTK_DATA": str(folder / "nltk"),
            }
            children.start("worker", [*STEWARD, "work"], environment=stage.environment(**settings))
            stage.wait_until_ready()
            wait_for(stage, lambda: has_worker(stage))
            yield stage
        finally:
            children.stop()
            stage.valkey.stop()


def upload_dataset(stage: Any, repo: str, contents: dict[str, bytes]) -> None:
    """Upload a dataset as its publisher."""
    api = HfApi(stage.hub_url, token=stage.world.tokens[MAINTAINER])
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    added = [CommitOperationAdd(path, data) for path, data in contents.items()]
    api.create_commit(repo, added, commit_message="Upload the questions", repo_type="dataset")


def upload_model(stage: Any, name: str) -> str:
    """Upload SmolLM2, or a random model of two layers with its tokenizer, in float32; return the commit."""
    from workers.models.gguf import RECORD, convert, packaged_gguf

    folder = convert(packaged_gguf(), stage.folder / "model", "float32")
    if name == "two-layers":
        two_layers(folder)
    contents: dict[str, bytes | Path] = {
        file.name: file for file in sorted(folder.iterdir()) if file.is_file() and file.name != RECORD
    }
    about = "A model for the measurement of a suite."
    return upload(stage.hub_url, stage.world.tokens["ada"], DemoModel(MODELS[name], about, lambda _: contents), folder)


def two_layers(folder: Path) -> None:
    """Replace the model in `folder` by a random one of the same architecture, with two narrow layers.

    Its weights are large, so that no two answers are nearly as likely, and most of its texts end soon.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    changes = {
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
    }
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, **changes)  # nosec B615  # a folder
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        model.get_output_embeddings().weight[config.eos_token_id] *= 3
    model.save_pretrained(folder)


# --- the evaluation by each side


def by_steward(stage: Any, suite: Suite, model: str, revision: str) -> SideResult:
    """Submit the model, wait for the published result, and read it from the Hub."""
    submission = DemoSubmission(model, "ada", by_pull_request=False, status="FINISHED", cause=None)
    worker = next(child.process.pid for child in stage.children.started if child.name == "worker")
    attempts, attempt = Attempts(connect(stage.valkey.url), Keys(ORG)), attempt_id(ORG, submission.path, revision, 1)
    before, began = processor_seconds(worker), time.monotonic()
    submit(stage.hub_url, stage.world, submission, revision)
    ended = wait_for(stage, lambda: attempts.outcome(attempt), seconds=PATIENCE, every=1)
    assert ended is not None  # it waited for it
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
    settings["HF_TOKEN"] = stage.world.tokens[WORKER]  # which may read the gated dataset
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


def count_requests(answers: dict[str, Answers]) -> int:
    """The number of log-likelihoods and texts."""
    return sum(max(1, len(answer.values)) for found in answers.values() for answer in found.values())


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
    return sum(sum(map(int, fields[one][11:15])) for one in family) / os.sysconf("SC_CLK_TCK")


# --- the comparison


def compare(suite: Suite, ours: SideResult, theirs: SideResult | None, *, whole: bool) -> list[TaskFigures]:
    """Compare each task; `whole`: both sides answered all questions."""
    return [
        compare_task(task.name, benchmark.metrics[0], ours, theirs, whole=whole)
        for benchmark in suite.benchmarks
        for task in benchmark.tasks
    ]


def compare_task(task: str, metric: str, ours: SideResult, theirs: SideResult | None, *, whole: bool) -> TaskFigures:
    """Compare one task."""
    published, computed = ours.answers[task], theirs.answers[task] if theirs else {}
    pairs = [(published[number], answer) for number, answer in computed.items()]
    by_value = any(answer.values for answer in published.values())
    differences = [
        (abs(one - other), abs(other))
        for mine, their in pairs
        for one, other in zip(mine.values, their.values, strict=True)
    ]
    if by_value:
        differing = sum(mine.best() != their.best() for mine, their in pairs)
    else:
        differing = sum(mine.text != their.text for mine, their in pairs)
    close = all(difference <= max(TOLERANCE, RELATIVE * size) for difference, size in differences)
    score = ours.results[task][metric]
    command_score = theirs.results[task][metric] if theirs and whole else None
    same = command_score is None or abs(score - command_score) < TOLERANCE
    return TaskFigures(
        name=task,
        metric=metric,
        score=score,
        command_score=command_score,
        questions=len(published),
        requests=count_requests({task: published}),
        compared=len(pairs),
        differing=differing,
        max_difference=max((difference for difference, _ in differences), default=None),
        agrees=not by_value or (close and same and not differing),
    )


def show(
    options: argparse.Namespace, tasks: Sequence[TaskFigures], ours: SideResult, theirs: SideResult | None
) -> None:
    """Print the scores of each task, the number of compared answers, and the costs of both sides."""
    print(f"\n{'task':56}{'score':>9}{'command':>9}{'questions':>10}{'requests':>9}{'compared':>9}"
          f"{'differing':>10}{'difference':>11}")  # fmt: skip
    for task in tasks:
        command = "" if task.command_score is None else f"{task.command_score:.4f}"
        difference = f"{task.max_difference:.1e}" if task.max_difference is not None else "text" * bool(task.compared)
        print(f"{task.name:56}{task.score:9.4f}{command:>9}{task.questions:10}{task.requests:9}{task.compared:9}"
              f"{task.differing:10}{difference:>11}{'' if task.agrees else '  DIFFERS'}")  # fmt: skip
    if options.suite == "open-llm-v2":
        print(f"left out of IFEval, because their checks need data of NLTK: {', '.join(LEFT_OUT)}")
    print(f"engine: {json.dumps(ours.engine)}\n")
    print_cost("steward", ours.cost)
    if theirs:
        print_cost("command", theirs.cost)
        if ours.cost.requests != theirs.cost.requests:
            print(f"the command answered {options.command_questions} questions of each task")
        compared = [task for task in tasks if task.compared and task.max_difference is not None]
        questions, answers = sum(task.compared for task in compared), sum(task.differing for task in compared)
        print(f"{questions} questions with log-likelihoods compared: {answers} with another answer, "
              f"largest difference {max((task.max_difference or 0 for task in compared), default=0):.1e}")  # fmt: skip


def print_cost(side: str, cost: Cost) -> None:
    """Print one line."""
    print(f"{side}: {cost.seconds:.0f} s, {cost.processor_seconds:.0f} processor seconds, {cost.requests} requests, "
          f"peak memory {cost.peak_mib} MiB", flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
