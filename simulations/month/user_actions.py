"""The actions of people in the month: submit, ask, report, command, rename, flag and appeal, each as a flow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from huggingface_hub import CommitOperationAdd

from leaderboard.request_paths import RequestPath
from simulations.month.board_users import BoardUsers, model_of
from simulations.month.event_loop import Flow
from simulations.month.hub_setup import MAINTAINERS, REQUESTS, SPACE
from simulations.month.models import KINDS
from simulations.month.page_visitors import SentForm
from simulations.month.schedule import Submission

SUBMIT_ANSWERS = ("<h2>Submitted</h2>", "It was not submitted", 'id="live-state"')
"""One of these texts is on the page with the final answer to a form, or on the request's page to which it leads."""
NOT_IN_FORM = ("precision-unknown", "weights-unknown")
"""Refusals that a person cannot cause with the form on the page, which offers valid choices only."""
SOON, LATER = 120.0, 600.0
"""The shorter and the longer time, in simulated seconds, within which people answer."""


@dataclass
class People(BoardUsers):
    """The actions of all people."""

    # --- submitting

    def submit(self, submission: Submission) -> Flow:
        """Submit through the front end, the board's own form, a pull request or a comment."""
        kind = KINDS[submission.kind]
        path = RequestPath(
            submission.owner, submission.model.partition("/")[2], False, kind.precision, kind.weight_type
        )
        if kind.name == "twice":
            yield from self._submit_twice(submission, str(path))
            return
        only_usual = not set(kind.asks) - {"use_chat_template"}
        if submission.way == "page" and only_usual and kind.code not in NOT_IN_FORM:
            if not kind.code:
                self.expected[str(path)] = ""
            yield from self._submit_on_page(submission)
            return
        if submission.way == "command" and only_usual:
            words = f"/submit {submission.model} precision={kind.precision} weight_type={kind.weight_type}"
            self.discuss(
                submission.owner, f"Please add {submission.model}", words + (" chat_template=yes" if kind.asks else "")
            )
            if not kind.code:
                self.expected[str(path)] = ""
            return
        by_pull = submission.way == "pull"
        if not (by_pull and kind.code):
            self.expected[str(path)] = kind.code  # a refused pull request leaves no file
        self.commit(submission.owner if by_pull else "form", str(path), self.file(submission), pull=by_pull)
        yield 0.0

    def _submit_on_page(self, submission: Submission) -> Flow:
        """Sign in to the board's pages, send the form, and read the page with the answer."""
        kind = KINDS[submission.kind]
        fields = {"model": submission.model, "precision": kind.precision, "weight_type": kind.weight_type}
        fields |= {"chat_template": "yes" if kind.asks else "no", "model_type": "fine-tuned"}
        fields |= {"do": "submit", "key": f"{submission.number}"}
        form = SentForm(self.pages, submission.owner, "/submit", fields)
        yield form.is_sent
        yield lambda: form.is_answered(SUBMIT_ANSWERS)

    def _submit_twice(self, submission: Submission, path: str) -> Flow:
        """Submit the same model again through a pull request, after it was accepted."""
        self.expected[path] = ""
        self.commit("form", path, self.file(submission))
        yield lambda: self.context.index.get(path).state in ("waiting", "queued", "running", "settled")
        self.commit(submission.owner, path, self.file(submission), pull=True)

    def file(self, submission: Submission) -> dict[str, Any]:
        """Return the request file of a submission."""
        kind = KINDS[submission.kind]
        fields = {"model": submission.model, "base_model": "", "revision": "main", "private": False}
        fields |= {"precision": kind.precision, "weight_type": kind.weight_type, "status": "PENDING"}
        fields |= {"submitted_time": self.iso(), "model_type": "fine-tuned", "params": 0, "job_id": -1}
        return {**fields, "sender": submission.owner, "use_chat_template": False, **kind.asks}

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
            command = random.choice(
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
            self.say(self.random_person(random), SPACE, number, command)
        yield random.uniform(0, SOON)
        yield from self._maintain(random, number)

    def _maintain(self, random: Random, number: int) -> Flow:
        """Control the queue as a maintainer, and undo it."""
        waiting = self.entries("waiting")
        failed = [entry for entry in self.entries("FAILED") if self.expected.get(entry.path) == ""]
        person = random.choice(MAINTAINERS)
        action = random.choice(("hold", "priority", "pause", "relaunch", "cancel"))
        if action == "pause":
            self.say(person, SPACE, number, "/pause board a look at the machines")
            yield SOON
            self.say(person, SPACE, number, "/resume board")
        elif action == "relaunch" and failed:
            self.say(person, SPACE, number, f"/relaunch {random.choice(failed).model}")
        elif waiting:
            model = random.choice(waiting).model
            if action == "hold" and random.random() < 0.5:
                yield from self.press(person, "hold", model=model, reason="its licence is not clear")
                yield LATER
                yield from self.press(person, "unhold", model=model)
            elif action == "hold":
                self.say(person, SPACE, number, f'/hold {model} "its licence is not clear"')
                yield LATER
                self.say(person, SPACE, number, f"/unhold {model}")
            elif action == "priority":
                self.say(person, SPACE, number, f"/priority {model} high")
            elif action == "cancel":
                self.say(model.partition("/")[0], SPACE, number, f"/cancel {model}")

    def try_out(self, seed: int) -> Flow:
        """Ask for a trial of a model of the script."""
        random = Random(seed)
        submission = random.choice([item for item in self.script.submissions if not KINDS[item.kind].code])
        words = f"/try {submission.model} precision={KINDS[submission.kind].precision}"
        self.discuss(self.random_person(random), f"A try of {submission.model}", words)
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
        """Ask as its owner for scores on a model's own page; then merge the pull request, close it, or take it back.

        The bot publishes no scores of an earlier suite, and answers that instead.
        """
        random = Random(seed)
        yield lambda: self.free("FINISHED")
        entry = random.choice(self.free("FINISHED"))
        self.used.add(entry.model)
        self.asked_for_pages.add(entry.model)
        owner, suite, is_present = entry.model.partition("/")[0], self.context.suite, self.has_present_scores(entry)
        if random.random() < 0.5:
            yield from self.press(owner, "publish-scores", model=entry.model)
        else:
            number = self.discuss(owner, "Scores for its page", f"/publish-scores {entry.model}")
            yield lambda: self.answered(SPACE, number)
        if is_present:
            yield lambda: self.page_pulls(entry.model) or self.context.suite != suite
        pulls = self.page_pulls(entry.model)
        if not pulls:
            return
        yield random.uniform(SOON, LATER)
        action = random.choice(("merge", "close", "take back", "leave"))
        if action == "merge":
            self.api(owner).merge_pull_request(entry.model, pulls[0])
        elif action == "close":
            self.api(owner).change_discussion_status(entry.model, pulls[0], "closed")
        elif action == "take back":
            yield from self.press(owner, "unpublish-scores", model=entry.model)
            yield lambda: self.page_pulls(entry.model, "closed")
