"""What a new thread is about, as far as that can be told from its words: a pure rule over what was read of it.

Each kind has one first answer. What is not clear is `other`: then the bot says nothing, and people look at it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from leaderboard.links import RequestLink, ThreadLink, models_in, request_links, thread_links, without_addresses

LONGEST = 4_000
"""Characters of a post in which a question is looked for."""


class Topic(StrEnum):
    """What a thread may be about."""

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
    """A question that has an answer. Each of `asks` is a set of words that must all be there; `a|b` is either."""

    name: str
    asks: tuple[str, ...]


@dataclass(frozen=True)
class Triage:
    """What a thread is about, and what it points at. `question` names the answer, for a QUESTION."""

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
_PLEA = re.compile(
    r"\b(unflag|un-flag|improper(ly)? flag(ged)?|wrong(ly|fully)? flagged|flagged (by mistake|improperly|wrongly)"
    r"|remove (the |my )?flag)\b",
    re.IGNORECASE,
)
_DUPLICATES = re.compile(
    r"\b(duplicat(e|es|ed|ion)|(appears?|listed|shown|shows? up|(is|are)( there)?) (twice|(several|multiple) times))\b",
    re.IGNORECASE,
)
_UPGRADE = re.compile(r"\b(upgrad(e|ed|ing)|new(er)? (version|commit))\b", re.IGNORECASE)
_SHORT_CODE = re.compile(r"(?<!`)`([^`\n]{1,60})`(?!`)")


def triage(title: str, post: str, questions: Sequence[FaqQuestion] = ()) -> Triage:
    """What a thread with this title and opening post is about."""
    text = f"{title}\n{post}"
    requests, threads, models = request_links(text), thread_links(text), models_in(text)
    read = f"{title}\n{post[:LONGEST]}"
    topic = _topic(title, words_only(read), bool(requests), bool(threads), bool(models))
    question = ""
    # What names a model or a request asks about these, and not in general.
    if topic is Topic.OTHER or (topic in (Topic.DUPLICATES, Topic.REMOVAL) and not models and not requests):
        # A name in a question is often written as code: `trust_remote_code=True`.
        said = words_only(_SHORT_CODE.sub(r" \1 ", read))
        question = matching_question(said, questions) if is_english(said) else ""
    if question:
        topic = Topic.QUESTION
    return Triage(topic, tuple(requests), tuple(threads), tuple(models), question)


def _topic(title: str, said: str, has_requests: bool, has_threads: bool, has_models: bool) -> Topic:
    """A title says what is wanted. Else a linked request with a word of failure is a report, whatever else its author
    tells of it; without such a word it is what the other words say."""
    if has_requests and _FAILURE.search(said) and not _wants_something_else(title):
        return Topic.FAILURE
    if _PLEA.search(said):
        return Topic.APPEAL
    if _FLAG.search(title.strip()) and has_models:
        return Topic.FLAG
    if _RENAME.search(said) and (has_threads or has_models):
        return Topic.RENAME
    if _REMOVAL.search(title) and (has_models or has_requests):
        return Topic.REMOVAL
    if _FAILURE.search(said) and (has_models or has_requests):
        return Topic.FAILURE
    if _DUPLICATES.search(said):
        return Topic.DUPLICATES
    if (_REMOVAL.search(said) and (has_models or has_requests)) or (_UPGRADE.search(said) and has_requests):
        return Topic.REMOVAL
    return Topic.FAILURE if has_requests else Topic.OTHER


def _wants_something_else(title: str) -> bool:
    """Whether the title is about a flag; or about a name or a removal, and not about a failure as well."""
    if _PLEA.search(title) or _FLAG.search(title.strip()):
        return True
    return bool((_RENAME.search(title) or _REMOVAL.search(title)) and not _FAILURE.search(title))


def words_only(text: str) -> str:
    """`text` without code, quotes and addresses: what its author says in words of their own."""
    text = re.sub(r"```.*?(```|\Z)|`[^`\n]*`", " ", text, flags=re.DOTALL)
    return without_addresses(without_quotes(text))


def without_quotes(text: str) -> str:
    """`text` with a blank in the place of each line that quotes somebody."""
    return re.sub(r"^\s{0,3}>.*$", " ", text, flags=re.MULTILINE)


_SMALL_WORDS = (
    "a an and are as at be but by can do does for from has have how i if in is it its me my no not of on or our please "
    "so that the there they this to was we what when where which who why will with you your thanks hi hello"
)
_ENGLISH = frozenset(_SMALL_WORDS.split())


def is_english(text: str) -> bool:
    """Whether `text` reads like English: enough of its words are the small ones that every sentence has."""
    words = re.findall(r"[^\W\d_]+", text.lower())[:300]
    return len(words) >= 3 and sum(word in _ENGLISH for word in words) / len(words) >= 0.2


def matching_question(said: str, questions: Sequence[FaqQuestion]) -> str:
    """The name of the one question that `said` asks; "" where it asks none, or several alike."""
    words = set(re.findall(r"[\w-]+", said.lower()))
    scores = {one.name: max((_score(phrase, words) for phrase in one.asks), default=0) for one in questions}
    best = max(scores.values(), default=0)
    asked = [name for name, score in scores.items() if score == best and score]
    return asked[0] if len(asked) == 1 else ""


def _score(phrase: str, words: set[str]) -> int:
    """How many words of `phrase` are there, if all are; `*` at the end of one stands for any ending."""
    parts = phrase.lower().split()
    return len(parts) if parts and all(any(_has(one, words) for one in part.split("|")) for part in parts) else 0


def _has(part: str, words: set[str]) -> bool:
    if part.endswith("*"):
        return any(word.startswith(part[:-1]) for word in words)
    return part in words
