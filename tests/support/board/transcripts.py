"""A board with three people and a few models, whose conversations are recorded as people read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from huggingface_hub import CommitOperationAdd, HfApi

from bot.probe import Probe
from leaderboard.attempts import Failure, Outcome, number_in
from leaderboard.request_paths import RequestPath
from leaderboard.times import write_time
from steward.testing.board import REQUESTS, BoardDriver
from steward.testing.hub import board_world, model_files, open_board
from tests.support.board.published_details import publish

DONE = {"open": "opened it again", "closed": "closed it", "merged": "merged it"}
MODELS = ("ada/aurora-1b", "ada/aurora-chat", "ada/borealis", "ada/corona", "bob/basalt", "bob/granite", "bob/slate")
PEOPLE = ("ada", "bob", "mia")
"""Mia is a maintainer; the others submit models."""
LOST = Failure(cause="gpu-lost", fault="us", message="The evaluation machine has lost its GPU.")
BROKEN = Failure(
    cause="weights-not-finite",
    fault="submission",
    message="The model's weights contain NaN or infinite values: lm_head.weight has NaN in float32.",
    advice="Check the training, the merge or the conversion that produced the weights, and submit the new commit.",
)
LOG = """Loading checkpoint shards: 100%|██████████| 2/2 [00:03<00:00]
Traceback (most recent call last):
  File "harness.py", line 211, in load
{}
"""
ERRORS = {
    LOST.cause: "torch.AcceleratorError: CUDA error: unspecified launch failure",
    BROKEN.cause: "workers.errors.WeightsNotFinite: lm_head.weight has NaN in float32",
}


@contextmanager
def transcript_board(folder: Path, connection: redis.Redis, probe: Probe) -> Iterator[Transcripts]:
    """A board in the world of the bot's tests, with the maintainer Mia and MODELS; the form is its front end."""
    world = board_world().user("mia")
    world["orgs"][0]["members"]["mia"] = "admin"
    for name in MODELS:
        # Each model has its own card: equal models that are made in the same second have the same commit.
        world.repo("model", name, model_files(title=name))
    with open_board(world, folder, connection, probe, BoardDriver) as stand:
        mia, form = (stand.context.hub.user(name).id for name in ("mia", "form"))
        changes = {"maintainers": (mia,), "front_ends": (form,), "attempts": 1}
        stand.context.board = stand.context.board.model_copy(update=changes)
        stand.settle()
        yield Transcripts(stand)


class Transcripts:
    """People who write on a board, a scripted worker, and threads."""

    def __init__(self, stand: BoardDriver) -> None:
        self.stand = stand
        self.people = {"ada": stand.ada, "bob": stand.bob, "mia": HfApi(stand.hub.url, token="hf_mia")}
        self.taken: set[str] = set()

    def pass_time(self, seconds: float = 120.0) -> None:
        """Advance the clock, and sync."""
        self.stand.time += seconds
        self.stand.settle()

    # --- requests

    def submit(self, model: str, **changes: Any) -> str:
        """Commit a request for its owner's `model` as the form does; return its path."""
        path = self.stand.submit(model, sender=model.partition("/")[0], **changes)
        self.stand.settle()
        return path

    def run(self, path: str, failure: Failure | None = None) -> None:
        """Evaluate the request at `path` as a worker, with this failure or with results."""
        stand = self.stand
        stand.worker()
        stand.context.mark("queue")
        stand.settle()
        (job,) = [job for job in stand.queued() if job.path == path and job.attempt not in self.taken]
        self.taken.add(job.attempt)
        stand.take(job)
        done = (
            publish(stand.hub.url, job, stand.context.suite, number=number_in(job.attempt)) if failure is None else None
        )
        fields = {"attempt": job.attempt, "path": job.path, "revision": job.revision, "suite": job.suite}
        outcome = Outcome(
            **fields,
            suite_digest=job.suite_digest,
            started=stand.time - 3_000,
            ended=stand.time,
            phase="evaluate",
            failure=failure,
            details=done,
        )
        log = LOG.format(ERRORS[failure.cause]) if failure is not None else "Done."
        stand.context.attempts.end(outcome, log, worker="w")
        stand.context.mark(f"request:{path}")
        stand.settle()
        while stand.context.ledger.edits.is_pending(path):
            self.pass_time(30)  # commits are written in batches
        stand.context.workers.leave("w")

    def link(self, path: str) -> str:
        """Return the address of a request file as people copy it."""
        return f"{self.stand.hub.url}/datasets/{REQUESTS}/blob/main/{path}"

    # --- threads

    def open(self, who: str, title: str, post: str) -> TranscriptThread:
        """Open a discussion."""
        made = self.people[who].create_discussion(REQUESTS, title, description=post, repo_type="dataset")
        return TranscriptThread(self, made.num).look()

    def propose(self, who: str, model: str, title: str) -> tuple[TranscriptThread, str]:
        """Open a pull request with a request file for `model`; return its thread and its head."""
        org, name = model.split("/")
        path = str(RequestPath(org, name, private=False, precision="float32", weight_type="Original"))
        fields = {"model": model, "base_model": "", "revision": "main", "precision": "float32"}
        more = {"weight_type": "Original", "status": "PENDING", "model_type": "pretrained"}
        stamp = {"submitted_time": write_time(self.stand.time)}
        add = CommitOperationAdd(path, json.dumps({**fields, **more, **stamp}).encode())
        made = self.people[who].create_commit(
            REQUESTS, [add], commit_message=title, repo_type="dataset", create_pr=True
        )
        return TranscriptThread(self, int(made.pr_num or 0)).look(), made.oid

    def thread_of(self, path: str) -> TranscriptThread:
        """Return the thread of a request."""
        number = self.stand.context.index.get(path).thread
        assert number is not None
        return TranscriptThread(self, number)


class TranscriptThread:
    """One discussion or pull request."""

    def __init__(self, transcripts: Transcripts, number: int) -> None:
        self.transcripts, self.number = transcripts, number

    def say(self, who: str, text: str) -> TranscriptThread:
        """Post a comment, and sync the thread."""
        self.transcripts.people[who].comment_discussion(REQUESTS, self.number, comment=text, repo_type="dataset")
        return self.look()

    def look(self) -> TranscriptThread:
        """Sync the thread."""
        self.transcripts.stand.context.mark(f"thread:dataset/{REQUESTS}:{self.number}")
        self.transcripts.pass_time()
        return self

    def events(self) -> list[Any]:
        """Return all events of the thread."""
        details = self.transcripts.people["mia"].get_discussion_details(REQUESTS, self.number, repo_type="dataset")
        return list(details.events)

    def replies(self) -> list[str]:
        """Return the present texts of the bot's comments."""
        return [event.content for event in self.events() if event.type == "comment" and event.author == "steward-bot"]

    def transcript(self) -> str:
        """Return the thread as people read it."""
        api = self.transcripts.people["mia"]
        details = api.get_discussion_details(REQUESTS, self.number, repo_type="dataset")
        what = "pull request" if details.is_pull_request else "discussion"
        lines = [f"{what.capitalize()} “{details.title}”", ""]
        for event in details.events:
            if event.type == "comment":
                lines += [f"**{event.author}**", "", quoted(event.content), ""]
            elif event.type == "status-change":
                lines += [f"*{event.author} {DONE[event.new_status]}.*", ""]
        return "\n".join(lines)


def quoted(text: str) -> str:
    """Return a comment as a quote, without its hidden parts."""
    shown = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL).strip()
    return "\n".join(f"> {line}".rstrip() for line in re.sub(r"\n{3,}", "\n\n", shown).splitlines())


_TIMES = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d( and \d\d:\d\d)? UTC", "2026-11-25 12:00 UTC"),
    (r"\((about )?\d+ \w+ ago\)", "(about 1 hour ago)"),
    (r"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d(\.\d+)?Z?", "2026-11-25T12:00:00"),
)


def normalised(text: str, url: str) -> str:
    """Return `text` with equal ids, commits, times and addresses in every run."""
    text = text.replace(url, "https://hub.example")
    for pattern, instead in _TIMES:
        text = re.sub(pattern, instead, text)
    text = re.sub(r"[0-9a-f]{12}-[0-9a-f]{8}-(\d+)", r"attempt-\1", text)
    commits: dict[str, str] = {}

    def commit(match: re.Match[str]) -> str:
        short = commits.setdefault(match[0][:8], f"{0x4D5E6F7 + 0x1111111 * len(commits):07x}0"[:8])
        return (short + "0" * 40)[: len(match[0])]

    text = re.sub(r"#[0-9a-f]{24}", "#comment", text)
    return re.sub(r"\b(?:[0-9a-f]{40}|[0-9a-f]{8})\b", commit, text)


def chapter(number: int, title: str, scene: str, talks: Iterable[TranscriptThread]) -> str:
    """Return one conversation with its heading and a description of the situation, `scene`."""
    return "\n".join([f"## {number}. {title}", "", f"*{scene}*", "", *(talk.transcript() for talk in talks)])
