"""A real board to walk through: a Hub, the bot and a worker of the demo, and models that were evaluated by it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, constants

from leaderboard.suites import find_suite
from steward.children import Children
from steward.demo.models import CORRUPTED, GOOD, UPLOADS, converted, upload
from steward.demo.run import cache_folder, reserved_port
from steward.demo.stage import Stage, build_stage
from steward.demo.story import DemoSubmission, request_file
from steward.demo.world import FRONT_END, REQUESTS
from steward.testing.waiting import wait_until
from workers.models import tiny_model

CHAT, MERGE, PLAIN = "ada/tiny-llama-chat", "bob/tiny-llama-merge", "chen/tiny-llama-base"
NEW, PULLED = "ada/tiny-llama-new", "chen/tiny-llama-pulled"
"""Models to submit during the walk: by the form, by a pull request."""
BENCHMARKS = {
    "Boolean Expressions": "starter_boolean_expressions",
    "Date Arithmetic": "starter_date_arithmetic",
    "Object Counting": "starter_object_counting",
}
TYPES = {
    CHAT: "💬 : 💬 chat models (RLHF, DPO, IFT, ...)",
    MERGE: "🤝 : 🤝 base merges and moerges",
    PLAIN: "🟢 : 🟢 pretrained",
    GOOD: "💬 : 💬 chat models (RLHF, DPO, IFT, ...)",
}


@dataclass(frozen=True)
class TinyModel:
    """A model with random weights of its own, its licence, and the tags of its card."""

    model: str
    layers: int
    licence: str
    card: str = ""

    def upload(self, stage: Stage) -> str:
        """Upload the model with its owner's token and return the commit."""
        api = HfApi(stage.hub_url, token=stage.world.tokens[self.model.split("/")[0]])
        api.create_repo(self.model, exist_ok=True)
        weights = {
            name: (kind, shape, tiny_model.floats(math.prod(shape), 1_000 * self.layers + at))
            for at, (name, (kind, shape, _)) in enumerate(tiny_model.tensors(self.layers).items())
        }
        config = tiny_model.config(num_hidden_layers=self.layers)
        card = f"---\nlicense: {self.licence}\npipeline_tag: text-generation\n{self.card}---\n# {self.model}\n"
        files = {
            "README.md": f"{card}\nA small model with random weights: it guesses. It shows how the board works.\n" * 4,
            **tiny_model.model(),
            "config.json": json.dumps(config),
            "model.safetensors": tiny_model.safetensors(weights),
        }
        operations = [
            CommitOperationAdd(name, text.encode() if isinstance(text, str) else text) for name, text in files.items()
        ]
        return api.create_commit(self.model, operations, commit_message="Upload the model").oid


EVALUATED = (
    TinyModel(CHAT, 1, "mit", f"base_model: {PLAIN}\n"),
    TinyModel(MERGE, 2, "apache-2.0", f"tags: [merge, mergekit]\nbase_model: [{PLAIN}, {CHAT}]\n"),
    TinyModel(PLAIN, 3, "llama3.1"),
)
LATER = (TinyModel(NEW, 4, "mit", f"base_model: {PLAIN}\n"), TinyModel(PULLED, 5, "bsd-3-clause"))


@contextmanager
def walked_board(folder: Path) -> Iterator[Stage]:
    """Run the demo's processes in `folder`, with four evaluated models and a failed one, until the caller is done."""
    constants.HF_HUB_DISABLE_XET = True  # localhub has no Xet storage
    with Children(folder / "logs") as children, ThreadPoolExecutor(1) as beside, _ports() as (web_port, hub_port):
        model = beside.submit(converted, cache_folder())
        stage = build_stage(folder, children, web_port)
        try:
            stage.start_hub(port=hub_port)
            stage.write_board(some_benchmarks(folder))
            converted_folder = model.result()
            stage.start_worker()
            stage.start_bot()
            stage.wait_until_ready(seconds=300)
            for tiny in EVALUATED:
                submit(stage, tiny.model, tiny.upload(stage))
            for what in UPLOADS:
                revision = upload(stage.hub_url, stage.world.tokens[what.owner], what, converted_folder)
                if what.model in (GOOD, CORRUPTED):
                    submit(stage, what.model, revision)
            for tiny in LATER:
                tiny.upload(stage)
            wait_until(
                lambda: ended(stage, "FINISHED") == len(EVALUATED) + 1 and ended(stage, "FAILED") == 1,
                seconds=1_200,
                interval=0.5,
                check=children.check,
            )
            yield stage
        finally:
            children.stop()
            stage.valkey.stop()


def some_benchmarks(folder: Path) -> str:
    """Write a suite with half of the demo's benchmarks, each of which takes the real model minutes; return its path."""
    whole = find_suite("starter").model_dump(mode="json", exclude_defaults=True)
    some = {
        "name": "starter-some",
        "benchmarks": [benchmark for benchmark in whole["benchmarks"] if benchmark["name"] in BENCHMARKS],
        "definitions": [definition for definition in whole["definitions"] if definition["task"] in BENCHMARKS.values()],
    }
    file = folder / "suite.yaml"
    file.write_text(json.dumps({**whole, **some}))
    return str(file)


@contextmanager
def _ports() -> Iterator[tuple[int, int]]:
    """Reserve a port for the board's pages and one for the Hub."""
    with reserved_port(7_900, print) as web, reserved_port(7_950, print) as hub:
        yield web, hub


def submit(stage: Stage, model: str, revision: str, *, outsider: str = "") -> None:
    """Submit `model` as the leaderboard's form does, or by a pull request of `outsider`."""
    owner = model.split("/")[0]
    submission = DemoSubmission(model, owner, by_pull_request=bool(outsider), status="", cause=None)
    fields = json.loads(request_file(submission, revision))
    fields |= {"model_type": TYPES.get(model, TYPES[PLAIN]), "use_chat_template": model in (CHAT, GOOD)}
    token = stage.world.tokens[outsider or FRONT_END]
    HfApi(stage.hub_url, token=token).create_commit(
        REQUESTS,
        [CommitOperationAdd(submission.path, json.dumps(fields).encode())],
        commit_message=f"Add {model} to the queue",
        repo_type="dataset",
        create_pr=bool(outsider),
    )


def ended(stage: Stage, status: str) -> int:
    """The number of requests with the status `status`."""
    answer = httpx2.get(f"{stage.web_url}/api/requests", params={"status": status}, timeout=30).raise_for_status()
    return len(answer.json()["requests"])
