"""The actions of a board's people and of its old backend while Steward is in shadow."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from localhub.testing import HubWorld
from simulations.adoption.existing_board import OldRequest

REQUESTS, RESULTS, SPACE = "board/requests", "board/results", "board/space"
PEOPLE = [f"person-{number}" for number in range(12)]
MAINTAINER, FORM, BACKEND, BOT = "mira", "form", "old-backend", "steward-bot"
DAY, HOUR = 86_400.0, 3_600.0
GOOD = json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
BAD = json.dumps({"auto_map": {"AutoConfig": "x.Y"}})
Fields = dict[str, Any]
TimedAction = tuple[float, Callable[[], object]]


def token(name: str) -> str:
    """Return the token of an account."""
    return f"hf_{name.replace('-', '_')}"


def new_models(days: int) -> dict[str, str]:
    """Return the models that people will submit, with their configs; one in five is unacceptable."""
    return {f"fresh/model-x{n}": BAD if n % 5 == 4 else GOOD for n in range(6 * days)}


def world(days: int) -> HubWorld:
    """Return a world with accounts, repos, and the models of the coming week."""
    made = (
        HubWorld()
        .users({name: token(name) for name in (*PEOPLE, MAINTAINER, FORM, BACKEND, BOT)})
        .org("board", dict.fromkeys((MAINTAINER, FORM, BACKEND, BOT), "write"))
        .org("board-details")
        .org("fresh")
        .datasets(*(f"board/{name}" for name in ("requests", "results", "logs", "flags")))
        .repo("space", SPACE, sdk="static")
    )
    for model, config in new_models(days).items():
        made.repo("model", model, {"config.json": config, "model.safetensors": "x"})
    return made


class AdoptionUsers:
    """The actions of people: `asked` holds threads with a request to the bot, `paths` the old requests concerned."""

    def __init__(self, hub: Any, seed: int) -> None:
        self.hub = hub
        self.chance = random.Random(seed)
        self.api: dict[str, HfApi] = {}
        self.asked: dict[tuple[str, int], float] = {}
        """By thread, the time of the last request to the bot."""
        self.spoken = set[str]()
        """Names of the people who have done anything since the adoption."""
        self.paths = set[str]()

    def of(self, name: str) -> HfApi:
        """Return the Hub client of `name`."""
        self.spoken.add(name)
        return self.api.setdefault(name, HfApi(self.hub.url, token=token(name)))

    def week(self, days: int, old: list[OldRequest]) -> list[TimedAction]:
        """Return all actions of `days` days, by seconds since their start."""
        models = list(new_models(days))
        acts = [act for day in range(days) for act in self._day(day, models[6 * day : 6 * day + 6], old)]
        return sorted(acts, key=lambda act: act[0])

    def _day(self, day: int, models: list[str], old: list[OldRequest]) -> Iterator[TimedAction]:
        def at() -> float:
            return day * DAY + self.chance.uniform(0, 0.8 * DAY)

        failed = [request for request in old if request.status == "FAILED" and request.kind == 2]
        waiting = [request for request in old if request.status == "PENDING" and request.kind == 2]
        for number, model in enumerate(models):
            yield (
                at(),
                partial(self.pull, [self.new(model)]) if number == 5 else partial(self.submit, model, number < 2),
            )
        mine, theirs, again, links, asks = (failed[5 * day + number] for number in range(5))
        yield at(), partial(self.backend_runs, waiting[day].path)
        yield at(), partial(self.resubmit, again)
        yield at(), partial(self.thank, 1 + 3 * day)
        yield at(), partial(self.ask_in_old_thread, 2 + 3 * day, f"/status {asks.model}")
        yield at(), partial(self.close_old_thread, 3 + 3 * day)
        yield at(), partial(self.report, links)
        yield at(), partial(self.question, "How long does it take until a model is evaluated?")
        yield at(), partial(self.question, "Lovely weather today")
        yield at(), partial(self.pull, [self.again(mine), self.again(theirs)])

    def random_person(self) -> str:
        """Return a random person."""
        return self.chance.choice(PEOPLE)

    # --- files

    def new(self, model: str) -> tuple[str, Fields]:
        """Return path and fields of a request for a new model."""
        fields = {"model": model, "status": "PENDING", "revision": "main", "precision": "float16", "params": 0.1}
        more = {"weight_type": "Original", "base_model": "", "submitted_time": self.now()}
        return f"{model}_eval_request_False_float16_Original.json", {**fields, **more}

    def submit(self, model: str, runs: bool) -> None:
        """Add a request through the form; the old backend evaluates it if `runs`."""
        path, fields = self.new(model)
        self.put(FORM, path, {**fields, "sender": self.random_person()}, f"Add {model} to eval queue")
        if runs:
            self.backend_runs(path)

    def backend_runs(self, path: str) -> None:
        """Let the old backend set a request RUNNING, publish its results, and set it FINISHED."""
        fields = self.read(path)
        self.put(BACKEND, path, {**fields, "status": "RUNNING", "job_id": "77"}, "Start")
        results = json.dumps({"results": {}, "config": {"model_args": f"pretrained={fields['model']}"}}).encode()
        add = CommitOperationAdd(f"{fields['model']}/results_2026-11-01T00-00-00.000000.json", results)
        self.of(BACKEND).create_commit(RESULTS, [add], commit_message="Add results", repo_type="dataset")
        self.put(BACKEND, path, {**fields, "status": "FINISHED", "job_id": "77"}, "Finish")

    def resubmit(self, old: OldRequest) -> None:
        """Submit an old failed request again: the form overwrites its file."""
        self.put(FORM, *self.again(old), f"Add {old.model} to eval queue")
        self.paths.add(old.path)

    def put(self, who: str, path: str, fields: Fields, title: str) -> None:
        """Commit a request file as the backend or the form does."""
        add = CommitOperationAdd(path, json.dumps(fields).encode())
        self.of(who).create_commit(REQUESTS, [add], commit_message=title, repo_type="dataset")

    def read(self, path: str) -> Fields:
        """Return the present fields of a request file."""
        repo = self.hub.state.repos.get("dataset", REQUESTS)
        fields: Fields = json.loads(repo.git.file(repo.git.head(), path))
        return fields

    def now(self) -> str:
        """Return the time as forms write it."""
        return str(self.hub.state.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))

    # --- threads

    def thank(self, number: int) -> None:
        """Write a comment in an old thread that asks for nothing."""
        self.of(self.random_person()).comment_discussion(SPACE, number, "Thanks, that helped.", repo_type="space")

    def ask_in_old_thread(self, number: int, command: str) -> None:
        """Write a command in an old thread."""
        self.of(self.random_person()).comment_discussion(SPACE, number, command, repo_type="space")
        self.note(f"space/{SPACE}", number)

    def close_old_thread(self, number: int) -> None:
        """Close an old thread as a maintainer."""
        self.of(MAINTAINER).change_discussion_status(SPACE, number, "closed", repo_type="space")

    def report(self, old: OldRequest) -> None:
        """Open a thread about an old failure."""
        url = f"https://huggingface.co/datasets/{REQUESTS}/blob/main/{old.path}"
        self.open(f"{old.model} failed", f"Why did my model fail? {url}", asks=True)
        self.paths.add(old.path)

    def question(self, words: str) -> None:
        """Open a thread; a question that only people can answer is no request to the bot."""
        self.open(words, words, asks=words.endswith("?"))

    def pull(self, files: list[tuple[str, Fields]]) -> None:
        """Open an outsider's pull request with these requests."""
        adds = [CommitOperationAdd(path, json.dumps(fields, indent=2).encode()) for path, fields in files]
        made = self.of(self.random_person()).create_commit(
            REQUESTS, adds, commit_message="Please evaluate", repo_type="dataset", create_pr=True
        )
        self.note(f"dataset/{REQUESTS}", int(made.pr_num or 0))
        self.paths.update(path for path, _ in files)

    def again(self, old: OldRequest) -> tuple[str, Fields]:
        """Return the fields of an old request that waits again."""
        return old.path, {**old.fields(), "status": "PENDING", "submitted_time": self.now()}

    def open(self, title: str, text: str, *, asks: bool) -> None:
        """Open a thread in the Community tab."""
        made = self.of(self.random_person()).create_discussion(SPACE, title, description=text, repo_type="space")
        if asks:
            self.note(f"space/{SPACE}", made.num)

    def note(self, repo: str, number: int) -> None:
        """Record a request to the bot in this thread."""
        self.asked[repo, number] = self.hub.state.clock.seconds()
