"""A hundred hostile texts in comments, titles, posts, file fields and logs: the bot shows them as plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from bot.core.commands.grammar import commands_in
from bot.threads.maintainers_list import TITLE, sync_digest, waiting_threads
from hub.comments import marker_of
from steward.testing.board import BOT, REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.hostile_texts import TEXTS, is_first_marker_alone, skeleton, trouble

FILED = TEXTS
"""The texts that are written to files and logs."""
SAID = TEXTS
"""The texts that people write in comments and titles."""
REFUSED = TEXTS[::6]
"""The texts in the fields of request files that the bot refuses."""
HARMLESS = ("word", "two words", 'a "quoted word"')


@pytest.fixture
def quiet(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> BoardDriver:
    """A board without workers, on which one person may give thousands of commands."""
    monkeypatch.setattr("bot.threads.limits.MAX_COMMANDS", 10_000)
    monkeypatch.setattr("leaderboard.waiting_items.MAX_OF_AUTHOR", 10_000)
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    return stand


def answers(
    stand: BoardDriver, talk: Discussion, texts: dict[str, str], who: HfApi | None = None
) -> Iterator[tuple[str, str]]:
    """Post all `texts` as Ada (or `who`), then sync the thread; yield the key of each text with the bot's reply.

    The comments are stored without HTTP: there are hundreds, and only the replies are tested here.
    """
    state, ids = stand.hub.state, {}
    repo, caller = state.repos.get("dataset", REQUESTS), state.accounts.by_token(str((who or stand.ada).token))
    assert repo is not None
    assert caller is not None
    thread = state.threads.get(repo, talk.number)
    for key, text in texts.items():
        ids[state.threads.comment(repo, caller, thread, text).id] = key
    talk.look()
    for reply in talk.replies():
        marker = marker_of(reply)
        if marker is not None and marker.key in ids:
            yield ids[marker.key], reply


def check(stand: BoardDriver, key: str, reply: str) -> None:
    """Assert that no hostile text has an effect in `reply`."""
    assert trouble(reply, hub=stand.hub.url) == [], f"{key!r}: {reply}"


def test_hostile_texts_in_commands_are_only_quoted(quiet: BoardDriver) -> None:
    """A hostile argument, plain or in quotes, or a hostile verb does not change the structure of the reply."""
    talk = Discussion(quiet)
    plain = {f"plain {text}": f"/status {text}" for text in (*SAID, *HARMLESS)}
    quoted = {f"quoted {text}": f'/check "{text}"' for text in (*SAID, *HARMLESS)}
    verbs = {f"verb {text}": f"/status{text}" for text in SAID}
    commands = {**plain, **quoted, **verbs}
    replies = dict(answers(quiet, talk, commands))
    assert len(replies) > 2 * len(SAID)
    shapes = {skeleton(replies[f"{kind} {text}"]) for kind in ("plain", "quoted") for text in HARMLESS}
    shapes |= {skeleton(reply) for _, reply in answers(quiet, talk, {"": "/status", "typo": "/statu"})}
    for key, reply in replies.items():
        check(quiet, key, reply)
        assert is_first_marker_alone(reply), key
        if len(commands_in(commands[key])) == 1:  # a text that contains a command gets a further section
            assert skeleton(reply) in shapes, f"{key!r}: {reply}"


@pytest.mark.long("plays every hostile text; test_commands_verbs quotes six")
def test_hostile_reasons_stay_text_wherever_they_are_shown(quiet: BoardDriver) -> None:
    """A hostile reason of a hold has no effect in the replies to `/hold`, `/why` and `/status`, nor in any thread."""
    quiet.submit("ada/good", sender="ada")
    quiet.settle()
    talk = Discussion(quiet)
    for text in HARMLESS[:1] + TEXTS[::9]:
        commands = {"hold": f'/hold ada/good reason="{text}"', "why": "/why ada/good", "status": "/status ada/good"}
        for key in ("hold", "why", "status"):
            for _, reply in answers(quiet, talk, {key: commands[key]}, quiet.form):
                check(quiet, f"{key} {text}", reply)
        for thread in quiet.threads():
            for event in thread.events:
                if getattr(event, "author", "") == "steward-bot":
                    check(quiet, text, event.content)


def test_hostile_titles_and_posts_stay_text(quiet: BoardDriver) -> None:
    """A thread with a hostile title and post gets a harmless answer or none, and at most one row in the digest."""
    for text in SAID:
        title = f"On {' '.join(text.split())}"[:190]
        post = f"{text}\n\nmy model ada/good failed" if len(text) % 2 else text
        quiet.bob.create_discussion(REQUESTS, title, description=post or "x", repo_type="dataset")
    quiet.context.mark_all((f"thread:dataset/{REQUESTS}:{n}" for n in range(1, len(SAID) + 1)), priority=0)  # type: ignore[arg-type]
    quiet.work()
    assert len(waiting_threads(quiet.context)) > 0.75 * len(SAID)
    sync_digest(quiet.context)
    threads = quiet.threads()
    for thread in threads:
        for event in thread.events:
            if getattr(event, "author", "") == "steward-bot":
                check(quiet, thread.title, event.content)
    (digest,) = [thread.events[0].content for thread in threads if thread.title == TITLE]
    rows = [thread for thread in skeleton(digest) if thread == "tr_open"]
    assert len(rows) == 1 + min(100, len(waiting_threads(quiet.context)))
    assert skeleton(digest).count("td_open") == 5 * (len(rows) - 1)


def request_file(name: str, text: str) -> dict[str, Any]:
    """A failed request with `text` in every field that an untrusted user can fill."""
    failure = {"cause": "nan-weights", "fault": "submission", "message": text, "advice": text}
    facts = {"attempt": 1, "first": 1, "spent": 1, "revision": text, "submitter": text, "failure": failure}
    defaults = {"model": f"ada/{name}", "status": "FAILED", "revision": text, "precision": "float32", "sender": text}
    shown = dict.fromkeys(("model_type", "architectures", "license", "base_model"), text)
    return {**defaults, **shown, "weight_type": "Original", "steward": facts}


def outside_lists(reply: str) -> list[str]:
    """The skeleton of a reply without the lines of the log, of which there may be one or two."""
    return [token for token in skeleton(reply) if "list_item" not in token and token != "code_inline"]


@pytest.mark.long("plays every hostile text; test_commands_verbs quotes six")
def test_hostile_texts_in_files_and_logs_are_only_quoted(quiet: BoardDriver) -> None:
    """A hostile text in a request's fields, its failure and its log does not change the structure of a reply."""
    context, bot, texts = quiet.context, HfApi(quiet.hub.url, token=BOT), (*HARMLESS[:1], *FILED)
    names = {f"h{number:03}": text for number, text in enumerate(texts)}
    paths = {name: f"ada/{name}_eval_request_False_float32_Original.json" for name in names}
    contents = {paths[name]: json.dumps(request_file(name, text)).encode() for name, text in names.items()}
    files = [CommitOperationAdd(path, content) for path, content in contents.items()]
    quiet.form.create_commit(REQUESTS, files, commit_message="Add", repo_type="dataset")
    logs = [
        CommitOperationAdd(f"ada/{name}/attempt/log.txt", f"ValueError: {text}\n{text}\n".encode("utf-8", "replace"))
        for name, text in names.items()
    ]
    bot.create_commit(context.logs.id, logs, commit_message="Add", repo_type="dataset")
    quiet.settle()
    context.index.put(*(context.index.get(path).model_copy(update={"attempt": "attempt"}) for path in paths.values()))
    talk = Discussion(quiet)
    for verb in ("why", "status", "search"):
        replies = dict(answers(quiet, talk, {name: f"/{verb} ada/{name}" for name in names}))
        assert len(replies) == len(names)
        for name, reply in replies.items():
            check(quiet, f"{verb} {names[name]}", reply)
            if len(names[name]) < 500:  # a longer text is cut, or its failure is not read
                assert outside_lists(reply) == outside_lists(replies["h000"]), f"{verb} {names[name]!r}: {reply}"


def test_the_thread_of_a_refused_file_quotes_its_fields_as_text(quiet: BoardDriver) -> None:
    """The bot opens a thread about each file with impossible fields, in which they have no effect."""
    for number, text in enumerate(REFUSED):
        quiet.submit(f"ada/r{number}", sender=text, revision=text, base_model=text, model=text)
    quiet.settle()
    posts = [thread.events[0] for thread in quiet.threads()]
    assert len(posts) == len(REFUSED)
    for event in posts:
        check(quiet, event.content, event.content)


def test_names_of_people_are_no_more_than_names(quiet: BoardDriver) -> None:
    """A hostile text as the name of an author or of a model has no effect in a reply."""
    from bot.core.commands.answers import say

    for text in TEXTS:
        sentences = str(say("reply", sections=[], author=text, link=f"{quiet.hub.url}/x")) + str(
            say("trouble", kind="no-request", model=text, near=text)
        )
        check(quiet, text, sentences)


def test_unescaped_hostile_texts_are_detected() -> None:
    """Most of the hostile texts have an effect if they are not escaped, so the tests above can fail."""
    achieved = [text for text in TEXTS if trouble(f"Reason: {text}\n\n{text}", hub="http://127.0.0.1")]
    assert len(achieved) >= 40
