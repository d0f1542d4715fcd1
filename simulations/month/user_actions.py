"""The actions of people in the month: submit, ask, report, command, rename, flag and appeal, each as a flow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx2
from huggingface_hub import CommitOperationAdd, HfApi, set_client_factory

from bot.core.context import BoardContext
from hub.comments import marker_of
from hub.records import Comment, Repo
from leaderboard.request_paths import RequestPath, parse_path
from redis_state.board.entry import IndexEntry
from simulations.month.event_loop import Flow
from simulations.month.hub_setup import MAINTAINERS, REQUESTS, SPACE, token_of
from simulations.month.models import KINDS
from simulations.month.page_visitors import PageVisitors
from simulations.month.processes import FORM
from simulations.month.schedule import Script, Submission

DIGEST = re.compile(r"`/approve ([0-9a-f]{6,64})`")
SUBMIT_ANSWERS = ("<h2>Submitted</h2>", "It was not submitted", 'id="live-state"')
"""What the page with the answer says in the end; it may lead to the page of the request."""
BUTTON_ANSWERS = ("Done.", "Nothing was changed.", "It was not done.", "Proposed:")
NOT_IN_FORM = ("precision-unknown", "weights-unknown")
"""Refusals that the form on the page leaves no choice for."""
SOON, LATER = 120.0, 600.0
"""Simulated seconds within which people answer."""


@dataclass
class People:
    """All people, with their tokens and their memory."""

    script: Script
    url: str
    context: BoardContext
    now: Callable[[], float]
    pages: PageVisitors
    used: set[str] = field(default_factory=set)
    """Models with an action in progress."""
    expected: dict[str, str] = field(default_factory=dict)
    """The expected code of the refusal by path of the request; empty: accepted."""
    asked_for_pages: set[str] = field(default_factory=set)
    """Models whose owners asked for scores on their own pages."""
    _apis: dict[str, HfApi] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_client_factory(one_connection_a_call)

    def api(self, person: str) -> HfApi:
        """Return the Hub client of `person`."""
        return self._apis.setdefault(person, HfApi(self.url, token=FORM if person == "form" else token_of(person)))

    # --- submitting

    def submit(self, one: Submission) -> Flow:
        """Submit through the front end, the board's own form, a pull request or a comment."""
        kind = KINDS[one.kind]
        path = RequestPath(one.owner, one.model.partition("/")[2], False, kind.precision, kind.weight_type)
        if kind.name == "twice":
            yield from self._submit_twice(one, str(path))
            return
        only_usual = not set(kind.asks) - {"use_chat_template"}
        if one.way == "page" and only_usual and kind.code not in NOT_IN_FORM:
            if not kind.code:
                self.expected[str(path)] = ""
            yield from self._submit_on_page(one)
            return
        if one.way == "command" and only_usual:
            words = f"/submit {one.model} precision={kind.precision} weight_type={kind.weight_type}"
            self.discuss(one.owner, f"Please add {one.model}", words + (" chat_template=yes" if kind.asks else ""))
            if not kind.code:
                self.expected[str(path)] = ""
            return
        by_pull = one.way == "pull"
        if not (by_pull and kind.code):
            self.expected[str(path)] = kind.code  # a refused pull request leaves no file
        self.commit(one.owner if by_pull else "form", str(path), self.file(one), pull=by_pull)
        yield 0.0

    def _submit_on_page(self, one: Submission) -> Flow:
        """Sign in to the board's pages, send the form, and read the page with the answer."""
        kind = KINDS[one.kind]
        fields = {"model": one.model, "precision": kind.precision, "weight_type": kind.weight_type}
        fields |= {"chat_template": "yes" if kind.asks else "no", "model_type": "fine-tuned"}
        sent = ""

        def send() -> str:
            nonlocal sent
            sent = sent or self.pages.post(one.owner, "/submit", {**fields, "do": "submit", "key": f"{one.number}"})
            return sent

        yield send
        yield lambda: any(words in self.pages.read(one.owner, sent) for words in SUBMIT_ANSWERS)

    def _submit_twice(self, one: Submission, path: str) -> Flow:
        """Submit the same model again through a pull request, after it was accepted."""
        self.expected[path] = ""
        self.commit("form", path, self.file(one))
        yield lambda: self.context.index.get(path).state in ("waiting", "queued", "running", "settled")
        self.commit(one.owner, path, self.file(one), pull=True)

    def file(self, one: Submission) -> dict[str, Any]:
        """Return the request file of a submission."""
        kind = KINDS[one.kind]
        fields = {"model": one.model, "base_model": "", "revision": "main", "private": False}
        fields |= {"precision": kind.precision, "weight_type": kind.weight_type, "status": "PENDING"}
        fields |= {"submitted_time": self.iso(), "model_type": "fine-tuned", "params": 0, "job_id": -1}
        return {**fields, "sender": one.owner, "use_chat_template": False, **kind.asks}

    def commit(self, person: str, path: str, fields: dict[str, Any], *, pull: bool = False) -> int:
        """Commit one request file, or open a pull request with it and return its number."""
        model = str(fields["model"])
        operation = CommitOperationAdd(path, json.dumps(fields, indent=4).encode())
        done = self.api(person).create_commit(
            REQUESTS, [operation], commit_message=f"Add {model}", repo_type="dataset", create_pr=pull
        )
        return int(done.pr_num or 0)

    def scrawl(self, seed: int) -> Flow:
        """Open a pull request that is no submission: notes, an unreadable file, or another person's file."""
        random = Random(seed)
        person = self.random_person(random)
        theirs = [entry.path for entry in self.entries("FINISHED", "FAILED")] or [
            "missing/x_eval_request_False_x_Y.json"
        ]
        path, content = random.choice(
            (
                ("notes.txt", b"remember the milk"),
                (f"{person}/torn-{seed}_eval_request_False_float32_Original.json", b'{"model": "'),
                (random.choice(theirs), b'{"status": "FINISHED"}'),
                ("README.md", b"# Mine now\n"),
            )
        )
        operation = CommitOperationAdd(path, content)
        self.api(person).create_commit(
            REQUESTS, [operation], commit_message="My file", repo_type="dataset", create_pr=True
        )
        yield 0.0

    # --- asking

    def report(self, seed: int) -> Flow:
        """Ask why an evaluation failed, with a link, with a name, or without either."""
        random = Random(seed)
        failed = self.entries("FAILED")
        if not failed:
            yield lambda: self.entries("FAILED")
            failed = self.entries("FAILED")
        entry = random.choice(failed)
        model = model_of(entry)
        link = f"{self.url}/datasets/{REQUESTS}/blob/main/{entry.path}"
        words = random.choice(
            (
                f"Hi! This one failed: {link}\n\nCan you look?",
                f"{link}",
                f"Why did {model} fail?",
                f"My model {model} failed, what do I have to do?\n\nThanks",
                "My model failed and I do not know why.",
            )
        )
        where = random.choice((REQUESTS, SPACE))
        person = model.partition("/")[0]
        number = self.discuss(person, f"Evaluation failed {seed % 1000}", words, repo=where)
        yield lambda: self.answered(where, number)
        if random.random() < 0.3:
            yield SOON
            self.say(person, where, number, "/why" if random.random() < 0.5 else "Thank you!")

    def burst(self, seed: int) -> Flow:
        """Let several people, including a maintainer, write commands in one discussion at once."""
        random = Random(seed)
        number = self.discuss(self.random_person(random), f"Questions {seed % 1000}", "/help")
        entries = self.entries("waiting", "running", "FINISHED", "FAILED", "queued")
        for _ in range(random.randint(3, 7)):
            entry = random.choice(entries) if entries else None
            model = entry.model if entry else "missing/model"
            said = random.choice(
                (
                    f"/status {model}",
                    f"/why {model}",
                    f"/status {model}\n/why {model}",
                    f"/search {model.partition('/')[2][:6]}; person-001",
                    "/search Hub License: apache-2.0",
                    f"/check {model} precision=float32",
                    "/help status",
                    "/sttaus",
                    f"/subscribe {model}",
                    f"/hold {model} I want to",
                )
            )
            self.say(self.random_person(random), SPACE, number, said)
        yield random.uniform(0, SOON)
        yield from self._maintain(random, number)

    def _maintain(self, random: Random, number: int) -> Flow:
        """Control the queue as a maintainer, and undo it."""
        waiting = self.entries("waiting")
        failed = [entry for entry in self.entries("FAILED") if self.expected.get(entry.path) == ""]
        person = random.choice(MAINTAINERS)
        deed = random.choice(("hold", "priority", "pause", "relaunch", "cancel"))
        if deed == "pause":
            self.say(person, SPACE, number, "/pause board a look at the machines")
            yield SOON
            self.say(person, SPACE, number, "/resume board")
        elif deed == "relaunch" and failed:
            self.say(person, SPACE, number, f"/relaunch {random.choice(failed).model}")
        elif waiting:
            model = random.choice(waiting).model
            if deed == "hold" and random.random() < 0.5:
                yield from self._press(person, "hold", model=model, reason="its licence is not clear")
                yield LATER
                yield from self._press(person, "unhold", model=model)
            elif deed == "hold":
                self.say(person, SPACE, number, f'/hold {model} "its licence is not clear"')
                yield LATER
                self.say(person, SPACE, number, f"/unhold {model}")
            elif deed == "priority":
                self.say(person, SPACE, number, f"/priority {model} high")
            elif deed == "cancel":
                self.say(model.partition("/")[0], SPACE, number, f"/cancel {model}")

    def _press(self, person: str, verb: str, **fields: str) -> Flow:
        """Press a button on the board's pages, and read the page with the answer."""
        key, sent = f"{verb} {self.now():.0f}", ""

        def send() -> str:
            nonlocal sent
            sent = sent or self.pages.post(person, "/act", {"verb": verb, "key": key, "back": "/", **fields})
            return sent

        yield send
        yield lambda: any(words in self.pages.read(person, sent) for words in BUTTON_ANSWERS)

    def try_out(self, seed: int) -> Flow:
        """Ask for a trial of a model of the script."""
        random = Random(seed)
        one = random.choice([each for each in self.script.submissions if not KINDS[each.kind].code])
        words = f"/try {one.model} precision={KINDS[one.kind].precision}"
        self.discuss(self.random_person(random), f"A try of {one.model}", words)
        yield 0.0

    # --- moderation

    def rename(self, seed: int) -> Flow:
        """Rename a model on the Hub and ask for the rename on the board; a maintainer approves the proposal."""
        random = Random(seed)
        yield lambda: self.free("FINISHED")
        entry = random.choice(self.free("FINISHED"))
        self.used.add(entry.model)
        owner, _, name = entry.model.partition("/")
        new = f"{owner}/new-{name}"
        self.api(owner).move_repo(entry.model, new)
        number = self.discuss(owner, f"Please rename {name}", f"/rename {entry.model} {new}")
        yield lambda: self.digest(number)
        digest = self.digest(number)
        if digest and random.random() < 0.9:
            yield random.uniform(10, SOON)
            self.say(random.choice(MAINTAINERS), SPACE, number, f"/approve {digest}")
        elif digest:
            self.say(random.choice(MAINTAINERS), SPACE, number, "/reject please keep the old name")

    def flag(self, seed: int) -> Flow:
        """Report a model; a maintainer flags it, its author appeals, and a maintainer decides."""
        random = Random(seed)
        yield lambda: self.free("FINISHED")
        entry = random.choice(self.free("FINISHED"))
        self.used.add(entry.model)
        author, mia = entry.model.partition("/")[0], random.choice(MAINTAINERS)
        number = self.discuss(
            self.random_person(random),
            f"[FLAG] {entry.model}",
            "It looks like a copy of another model to me.",
            repo=SPACE,
        )
        yield random.uniform(SOON, LATER)
        if random.random() < 0.2:
            self.say(mia, SPACE, number, "/dismiss there is nothing to it")
            return
        self.say(mia, SPACE, number, f"/flag {random.choice(('copy', 'merge', 'contamination'))} the weights speak")
        yield random.uniform(SOON, LATER)
        self.say(author, SPACE, number, "It is my own work. Please look again!")
        yield random.uniform(SOON, LATER)
        fair = random.random() < 0.5
        self.say(mia, SPACE, number, "/unflag we were wrong" if fair else "/dismiss the weights are the same")

    def publish_scores(self, seed: int) -> Flow:
        """Ask as its owner for scores on a model's own page; then merge the pull request, close it, or take it back."""
        random = Random(seed)
        yield lambda: self.free("FINISHED")
        entry = random.choice(self.free("FINISHED"))
        self.used.add(entry.model)
        self.asked_for_pages.add(entry.model)
        owner = entry.model.partition("/")[0]
        if random.random() < 0.5:
            yield from self._press(owner, "publish-scores", model=entry.model)
        else:
            self.discuss(owner, "Scores for its page", f"/publish-scores {entry.model}")
        yield lambda: self.page_pulls(entry.model)
        pulls = self.page_pulls(entry.model)
        if not pulls:
            return
        yield random.uniform(SOON, LATER)
        deed = random.choice(("merge", "close", "take back", "leave"))
        if deed == "merge":
            self.api(owner).merge_pull_request(entry.model, pulls[0])
        elif deed == "close":
            self.api(owner).change_discussion_status(entry.model, pulls[0], "closed")
        elif deed == "take back":
            yield from self._press(owner, "unpublish-scores", model=entry.model)
            yield lambda: self.page_pulls(entry.model, "closed")

    # --- tools

    def own_page_pulls(self) -> dict[str, list[int]]:
        """Return the numbers of the bot's open pull requests on models' own repos, by model."""
        found = {model: self.page_pulls(model, "open") for model in sorted(self.asked_for_pages)}
        return {model: numbers for model, numbers in found.items() if numbers}

    def page_pulls(self, model: str, *statuses: str) -> list[int]:
        """Return the numbers of the bot's pull requests on a model's own repo, with one of these statuses if given."""
        listed = self.api(model.partition("/")[0]).get_repo_discussions(model, author="scores")
        return [one.num for one in listed if not statuses or one.status in statuses]

    def random_person(self, random: Random) -> str:
        """Return a random person."""
        return random.choice(self.script.submissions).owner

    def entries(self, *states: str) -> list[IndexEntry]:
        """Return the index entries in these states, or with these statuses, by path."""
        index = self.context.index
        found = [entry for entry in index.find(sorted(index.paths())) if entry is not None]
        return [one for one in found if (one.standing.status if one.state == "settled" else one.state) in states]

    def free(self, *states: str) -> list[IndexEntry]:
        """Return the same, without models with an action in progress."""
        return [entry for entry in self.entries(*states) if entry.model not in self.used]

    def discuss(self, person: str, title: str, words: str, *, repo: str = SPACE) -> int:
        """Open a discussion and return its number."""
        kind = "space" if repo == SPACE else "dataset"
        return self.api(person).create_discussion(repo, title, description=words, repo_type=kind).num

    def say(self, person: str, repo: str, number: int, words: str) -> None:
        """Comment in a discussion."""
        kind = "space" if repo == SPACE else "dataset"
        self.api(person).comment_discussion(repo, number, comment=words, repo_type=kind)

    def comments(self, repo: str, number: int) -> tuple[Comment, ...]:
        """Return the comments of a thread."""
        return self.context.hub.thread(Repo("space" if repo == SPACE else "dataset", repo), number).comments

    def answered(self, repo: str, number: int) -> bool:
        """Whether the bot has commented in a thread."""
        return any(comment.author_name == "bot" for comment in self.comments(repo, number))

    def digest(self, number: int) -> str:
        """Return the digest of the bot's proposal in a discussion; empty without a proposal."""
        texts = [comment.text for comment in self.comments(SPACE, number) if marker_of(comment.text)]
        found = [match[1] for text in texts for match in DIGEST.finditer(text)]
        return found[-1] if found else ""

    def iso(self) -> str:
        """Return the simulated time."""
        return datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def one_connection_a_call() -> httpx2.Client:
    """Return a client without idle connections: the Hub's fast clock closes them after an eighth of a real second."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    return httpx2.Client(follow_redirects=True, timeout=60.0, limits=limits)


def model_of(entry: IndexEntry) -> str:
    """Return the model's name, which for a request before admission is only in its path."""
    found = parse_path(entry.path)
    return found.model if isinstance(found, RequestPath) else entry.model
