"""Inspects the board at the end of the month as people see it, and reports what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core.context import BoardContext, thread_key
from hub.comments import Marker, marker_of
from hub.records import Comment, Repo, Thread
from redis_state.board.entry import IndexEntry
from redis_state.redis import text

BOT = "bot"
ENDS = ("FINISHED", "FAILED", "CANCELLED")
ANSWER, DOING, STATUS = "answer", "doing", "status"
HEADINGS = {"FINISHED": ("Finished",), "FAILED": ("Failed", "Not accepted"), "CANCELLED": ("Cancelled",)}
"""Allowed headings of the status comment by status of the file; after a failed newer evaluation, those of FAILED."""
TRACE = "Traceback (most recent call last)"


@dataclass(frozen=True)
class BoardThread:
    """A thread and its repo."""

    repo: Repo
    thread: Thread

    @property
    def key(self) -> str:
        """The dirty key of the thread."""
        return thread_key(self.repo, self.thread.num)


@dataclass
class Findings:
    """The findings by kind, each with a list of places."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, where: Iterable[str]) -> None:
        """Add the findings of one kind, if there are any."""
        self.places.setdefault(kind, []).extend(where)

    @property
    def count(self) -> int:
        """The number of findings."""
        return sum(map(len, self.places.values()))


def read_threads(context: BoardContext) -> list[BoardThread]:
    """Return every thread of the board."""
    repos = (context.requests, context.results, context.community)
    return [
        BoardThread(repo, context.hub.thread(repo, item.num)) for repo in repos for item in context.hub.threads(repo)
    ]


def waiting(context: BoardContext) -> set[str]:
    """Return the keys of threads on the maintainers' list."""
    return {text(key) for key in context.redis.hkeys(context.keys.waiting_threads)}


def unanswered(threads: Iterable[BoardThread], on_list: set[str]) -> Iterator[str]:
    """Yield threads of people without a comment of the bot that are not on the maintainers' list."""
    for item in threads:
        has_answer = item.thread.author_name == BOT or any(
            comment.author_name == BOT for comment in item.thread.comments
        )
        if not has_answer and item.key not in on_list and item.thread.status == "open":
            yield f"{item.key} {item.thread.title!r} ({item.thread.status})"


def repeated_markers(threads: Iterable[BoardThread]) -> Iterator[str]:
    """Yield markers that two comments of the bot have, in one thread or in two."""
    counted = Counter(str(marker) for _, marker in _marked_comments(threads))
    yield from (f"{marker} {count} times" for marker, count in counted.items() if count > 1)


def unfinished_replies(threads: Iterable[BoardThread]) -> Iterator[str]:
    """Yield replies that still report work in progress."""
    yield from (f"{item.key} {marker.key}" for item, marker in _marked_comments(threads) if marker.kind == DOING)


def without_reply(threads: Iterable[BoardThread]) -> Iterator[str]:
    """Yield comments of people that are clearly commands and have no reply."""
    for item in threads:
        answered = {
            m.key for c in _comments_of_bot(item.thread) if (m := marker_of(c.text)) and m.kind in (ANSWER, DOING)
        }
        for comment in item.thread.comments:
            if comment.author_name != BOT and comment.text.startswith("/") and comment.id not in answered:
                yield f"{item.key} {comment.author_name}: {comment.text.splitlines()[0][:80]}"


def _marked_comments(threads: Iterable[BoardThread]) -> Iterator[tuple[BoardThread, Marker]]:
    for item in threads:
        for comment in _comments_of_bot(item.thread):
            if (marker := marker_of(comment.text)) is not None:
                # The kind of a reply shows whether it is final.
                yield item, marker


def _comments_of_bot(thread: Thread) -> list[Comment]:
    return [comment for comment in thread.comments if comment.author_name == BOT]


def without_end(entries: Iterable[IndexEntry]) -> Iterator[str]:
    """Yield requests that wait or run without a visible reason, and ended requests that the index does not know."""
    for entry in entries:
        if entry.state not in ("settled", "foreign") and entry.hold is None:
            yield f"{entry.path} is {entry.state}"
        elif entry.state == "settled" and entry.standing.status not in ENDS:
            yield f"{entry.path} is settled, and known as {entry.standing.status}"


def not_indexed(on_hub: Mapping[str, str], entries: Mapping[str, IndexEntry]) -> Iterator[str]:
    """Yield files that the index lacks or knows in another version, and entries without a file.

    `on_hub` maps the path of each request file on the Hub to its blob id.
    """
    yield from (f"{path} is on the Hub, and in no index" for path in sorted(on_hub.keys() - entries.keys()))
    for path, entry in sorted(entries.items()):
        if path not in on_hub:
            yield f"{path} is {entry.state}, and not on the Hub"
        elif entry.state in ("settled", "foreign") and entry.file_oid != on_hub[path]:
            yield f"{path} is {entry.state}, and changed since"


def wrong_status_comments(threads: Iterable[BoardThread], entries: Mapping[str, IndexEntry]) -> Iterator[str]:
    """Yield status comments that disagree with the end of their request."""
    for item in threads:
        for comment in _comments_of_bot(item.thread):
            marker = marker_of(comment.text)
            entry = entries.get(marker.key) if marker is not None and marker.kind == STATUS else None
            if entry is None or entry.state != "settled" or entry.standing.access != "public":
                continue  # renamed, in progress, or not public
            standing = entry.standing
            status = "FAILED" if standing.status == "FINISHED" and standing.failure else standing.status
            heading = next((line for line in comment.text.splitlines() if line.startswith("### ")), "")
            if not heading.endswith(HEADINGS.get(status, ())):
                yield f"{item.key} {entry.path} is {standing.status}, and its thread says {heading[4:]!r}"


def published_twice(attempts: Iterable[str]) -> Iterator[str]:
    """Yield attempts with several results on the board; `attempts` holds the attempt of each results file."""
    yield from (f"{attempt} {count} times" for attempt, count in Counter(attempts).items() if count > 1)


def unexpected_scores(results: Iterable[Mapping[str, Any]], expected: Mapping[str, float]) -> Iterator[str]:
    """Yield attempts, interrupted and resumed ones among them, with another score than `expected` for their model.

    `results` are the results files of the board. Models without an expected score, which were renamed, are left out.
    """
    for file in results:
        scores = {value for task in file["results"].values() for value in task.values() if isinstance(value, float)}
        score = expected.get(file["steward"]["model"])
        if score is not None and scores != {score}:
            yield f"{file['steward']['attempt']}: {sorted(scores)} instead of {score}"


def unconfirmed(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield attempts of other accounts' workers whose answers no other worker confirmed, though other workers ran."""
    for file in results:
        again = (file["steward"].get("checked") or {}).get("again")
        if again is not None and again["status"] != "agrees":
            yield f"{file['steward']['attempt']} of {again['worker']}: {again['status']} {again.get('reason', '')}"


def several_pages(pulls: Mapping[str, list[int]]) -> Iterator[str]:
    """Yield models on whose own repos the bot has several pull requests open; `pulls` has their numbers by model."""
    yield from (f"{model}: {sorted(numbers)}" for model, numbers in pulls.items() if len(numbers) > 1)


def unexpected_errors(logs: Mapping[str, str]) -> Iterator[str]:
    """Yield unexpected errors, even if the work succeeded later; `logs` maps processes to their logs."""
    for name, log in sorted(logs.items()):
        yield from (f"{name}: {line.strip()[-300:]}" for line in log.splitlines() if TRACE in line)


def unexpected_ends(
    entries: Mapping[str, IndexEntry], expected: Mapping[str, str], fates: Mapping[str, str]
) -> Iterator[str]:
    """Yield requests whose verdict or end differs from the expectation for their models.

    `expected` maps paths to the code of the refusal, empty if accepted; `fates` maps models to the end of their
    evaluation. Quotas and flags may refuse any model, and people cancel, rename and remove models. Several reasons may
    hide the expected one, a flaky device may fail three times, and the first of all copies is the original.
    """
    lenient = {"quota-submitter", "quota-organisation", "flagged", "flagged-elsewhere", "several-reasons"}
    copies = 0
    for path, code in sorted(expected.items()):
        entry = entries.get(path)
        if entry is None:
            continue  # renamed, or an unmerged pull request
        failure = entry.standing.failure
        cause, status = failure.cause if failure else "", entry.standing.status
        if cause in lenient or status == "CANCELLED" or (cause == "model-renamed" and status == "FINISHED"):
            continue  # it has its results; for a new suite it would need a request under its new name
        ends_well = status in ("FINISHED", "PENDING_NEW_EVAL") and not cause
        copies += code == "copy" and not cause
        if code and cause != code and not (code == "copy" and not cause and copies == 1):
            yield f"{path}: {status} {cause or 'without a cause'}, where {code} is due"
        elif (
            not code and fates.get(entry.model) not in ("dies", "flaky") and not ends_well and entry.state == "settled"
        ):
            yield f"{path}: {status} {cause or 'without a cause'}, where it should have finished"


def failed_without_reason(entries: Iterable[IndexEntry]) -> Iterator[str]:
    """Yield requests that failed without a reason for their submitters."""
    for entry in entries:
        failure = entry.standing.failure
        if entry.standing.status == "FAILED" and (failure is None or not failure.message):
            yield entry.path


def answer_seconds(threads: Iterable[BoardThread]) -> list[float]:
    """Return the simulated seconds from each answered comment of a person to the bot's next comment."""
    seconds = []
    for item in threads:
        asked: datetime | None = None
        for comment in item.thread.comments:
            if comment.author_name == BOT:
                if asked is not None:
                    seconds.append((comment.created_at - asked).total_seconds())
                asked = None
            elif asked is None:
                asked = comment.created_at
    return seconds
