"""Classifies a new thread by its words and links.

Each topic has one first answer. An unclear thread is `other`: the bot does not answer, and a maintainer reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from leaderboard.links import RequestLink, ThreadLink, models_in, request_links, thread_links, without_addresses

MAX_CHARS = 4_000
"""Characters of a post that are classified."""


class Topic(StrEnum):
    """The topics of threads."""

    FAILURE = "failure report"
    FLAG = "flag report"
    RENAME = "rename request"
    REMOVAL = "removal"
    APPEAL = "improper flag"
    DUPLICATES = "duplicate rows"
    QUESTION = "question"
    OTHER = "other"


@dataclass(frozen=True)
class FaqQuestion:
    """A question with a ready answer. Each of `asks` is a set of words that must all occur; `a|b` means either."""

    name: str
    asks: tuple[str, ...]


@dataclass(frozen=True)
class Triage:
    """The topic of a thread, and its links. `question` names the answer to a QUESTION."""

    topic: Topic
    requests: tuple[RequestLink, ...] = ()
    threads: tuple[ThreadLink, ...] = ()
    models: tuple[str, ...] = ()
    question: str = ""


_FLAG = re.compile(r"^\W*flag\b|^\[flag\]", re.IGNORECASE)
_FAILURE = re.compile(
    r"\b(fail(ed|s|ure|ing)?|error(ed)?|crash(ed)?|disappear(ed)?|vanish(ed)?|gone|stuck|not (?:been )?evaluated"
    r"|relaunch|re-?run|restart)\b",
    re.IGNORECASE,
)
_RENAME = re.compile(
    r"\b(renam(e|ed|ing)|name change|new name|change (?:the |my )?(?:model'?s? )?name)\b", re.IGNORECASE
)
_REMOVAL = re.compile(r"\b(remov(e|al|ing)|delet(e|ion|ing)|take (?:it |them )?down|withdraw)\b", re.IGNORECASE)
_APPEAL = re.compile(
    r"\b(unflag|un-flag|improper(ly)? flag(ged)?|wrong(ly|fully)? flagged|flagged (by mistake|improperly|wrongly)"
    r"|remove (the |my )?flag)\b",
    re.IGNORECASE,
)
_DUPLICATES = re.compile(
    r"\b(duplicat(e|es|ed|ion)|(appears?|listed|shown|shows? up|(is|are)( there)?) (twice|(several|multiple) times))\b",
    re.IGNORECASE,
)
_EVALUATE = re.compile(
    r"\b(please|pls|(can|could|would) you|i would like|i'd like|i want|request)\b[^.?!\n]{0,60}"
    r"\b(evaluat(e|ed|ion)|benchmark(ed)?|submit(ted)?|add(ed)? [^.?!\n]{0,40}\b(leaderboard|queue|board))\b"
    r"|^\W*(evaluate|submit|benchmark|evaluation request)\b",
    re.IGNORECASE | re.MULTILINE,
)
SUBMIT, EVALUATE = "submit", "evaluate"
"""Names of two answers: to questions how to submit a model, and to requests to evaluate a model that a thread names."""
_UPGRADE = re.compile(r"\b(upgrad(e|ed|ing)|new(er)? (version|commit))\b", re.IGNORECASE)
_SHORT_CODE = re.compile(r"(?<!`)`([^`\n]{1,60})`(?!`)")


def triage(title: str, post: str, questions: Sequence[FaqQuestion] = ()) -> Triage:
    """Classify a thread with this title and opening post."""
    text = f"{title}\n{post}"
    requests, threads, models = request_links(text), thread_links(text), models_in(text)
    excerpt = f"{title}\n{post[:MAX_CHARS]}"
    topic = _topic(title, words_only(excerpt), bool(requests), bool(threads), bool(models))
    question = ""
    # A thread that names a model or a request asks about that, and is no general question.
    if topic is Topic.OTHER or (topic in (Topic.DUPLICATES, Topic.REMOVAL) and not models and not requests):
        # Names in a question are often written as code: `trust_remote_code=True`.
        words = words_only(_SHORT_CODE.sub(r" \1 ", excerpt))
        question = matching_question(words, questions) if is_english(words) else ""
        if questions and models and (question == SUBMIT or (not question and _EVALUATE.search(words))):
            question = EVALUATE
    if question:
        topic = Topic.QUESTION
    return Triage(topic, tuple(requests), tuple(threads), tuple(models), question)


def _topic(title: str, text: str, has_requests: bool, has_threads: bool, has_models: bool) -> Topic:
    """Return the topic. The title decides first; then a linked request with a word of failure is a failure report,
    whatever else the post says; then the other words decide."""
    if has_requests and _FAILURE.search(text) and not _wants_something_else(title):
        return Topic.FAILURE
    if _APPEAL.search(text):
        return Topic.APPEAL
    if _FLAG.search(title.strip()) and has_models:
        return Topic.FLAG
    if _RENAME.search(text) and (has_threads or has_models):
        return Topic.RENAME
    if _REMOVAL.search(title) and (has_models or has_requests):
        return Topic.REMOVAL
    if _FAILURE.search(text) and (has_models or has_requests):
        return Topic.FAILURE
    if _DUPLICATES.search(text):
        return Topic.DUPLICATES
    if (_REMOVAL.search(text) and (has_models or has_requests)) or (_UPGRADE.search(text) and has_requests):
        return Topic.REMOVAL
    return Topic.FAILURE if has_requests else Topic.OTHER


def _wants_something_else(title: str) -> bool:
    """Whether the title is about a flag, or about a rename or a removal without a failure."""
    if _APPEAL.search(title) or _FLAG.search(title.strip()):
        return True
    return bool((_RENAME.search(title) or _REMOVAL.search(title)) and not _FAILURE.search(title))


def words_only(text: str) -> str:
    """Return `text` without code, quotes and URLs: the author's own words."""
    text = re.sub(r"```.*?(```|\Z)|`[^`\n]*`", " ", text, flags=re.DOTALL)
    return without_addresses(without_quotes(text))


def without_quotes(text: str) -> str:
    """Return `text` with a space in place of each quoted line."""
    return re.sub(r"^\s{0,3}>.*$", " ", text, flags=re.MULTILINE)


_SMALL_WORDS = (
    "a an and are as at be but by can do does for from has have how i if in is it its me my no not of on or our please "
    "so that the there they this to was we what when where which who why will with you your thanks hi hello"
)
_ENGLISH = frozenset(_SMALL_WORDS.split())


def is_english(text: str) -> bool:
    """Whether `text` looks like English: enough of its words are common function words."""
    words = re.findall(r"[^\W\d_]+", text.lower())[:300]
    return len(words) >= 3 and sum(word in _ENGLISH for word in words) / len(words) >= 0.2


def matching_question(text: str, questions: Sequence[FaqQuestion]) -> str:
    """Return the name of the question that `text` asks; "" if none or several match best."""
    words = set(re.findall(r"[\w-]+", text.lower()))
    scores = {
        question.name: max((_score(phrase, words) for phrase in question.asks), default=0) for question in questions
    }
    best = max(scores.values(), default=0)
    matches = [name for name, score in scores.items() if score == best and score]
    return matches[0] if len(matches) == 1 else ""


def _score(phrase: str, words: set[str]) -> int:
    """Return the number of words in `phrase` if all occur in `words`, else 0; a final `*` stands for any ending."""
    parts = phrase.lower().split()
    return (
        len(parts)
        if parts and all(any(_occurs(alternative, words) for alternative in part.split("|")) for part in parts)
        else 0
    )


def _occurs(part: str, words: set[str]) -> bool:
    if part.endswith("*"):
        return any(word.startswith(part[:-1]) for word in words)
    return part in words
