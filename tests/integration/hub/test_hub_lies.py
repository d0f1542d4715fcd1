"""A Hub, or a proxy before it, that answers with wrong data: the client asks again, and never returns wrong data."""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from hub.client import Hub
from hub.errors import BadRequest, EntryNotFound, Garbled, HubError, NotFound, TooLarge, Transient
from hub.records import Repo, WriteFile
from localhub.testing import LocalHub
from tests.support.hub.lies import LIES
from tests.support.hub.scripted_server import Reply, Script, file_headers
from tests.support.long import long_except

TEXT = b"".join(b"line %d\n" % number for number in range(400))
LARGE = bytes(range(256)) * 60_000
"""A file that the Hub keeps in LFS."""


def saved(hub: Hub, repo: Repo, path: str, revision: str) -> bytes:
    """The file, as the bot saves a model's files."""
    into = io.BytesIO()
    hub.save_file(repo, path, revision, into, max_bytes=len(LARGE))
    return into.getvalue()


READS: dict[str, Callable[[Hub, Repo, str, str], bytes]] = {
    "whole": lambda hub, repo, path, revision: hub.read_file(repo, path, revision, max_bytes=len(LARGE)).data,
    "saved": saved,
    "part": lambda hub, repo, path, revision: hub.read_range(repo, path, revision, 0, len(LARGE) + 1),
    "middle": lambda hub, repo, path, revision: hub.read_range(repo, path, revision, 10, 1_000),
}


@pytest.fixture
def commit(bot: Hub, repo: Repo) -> str:
    """A commit with a small and a large file."""
    return bot.commit(repo, [WriteFile("a.json", TEXT), WriteFile("b.bin", LARGE)], "Add files").oid


@pytest.mark.parametrize(
    ("way", "lie", "revision", "path"),
    long_except(
        {
            *("whole page main a.json", "whole short main b.bin", "whole lost page commit a.json"),
            *("saved page commit b.bin", "saved lost page main a.json"),
            *("part page main b.bin", "part short commit a.json", "part lost page commit b.bin"),
            *("middle short main a.json", "middle lost page main b.bin"),
        },
        product(READS, ["page", "short", "lost page"], ["main", "commit"], ["a.json", "b.bin"]),
        "another combination of what the others test",
        name=" ".join,
    ),
)
def test_a_wrong_answer_for_a_file_is_asked_for_again(
    local: LocalHub, bot: Hub, repo: Repo, commit: str, way: str, lie: str, revision: str, path: str
) -> None:
    """If the Hub sends a page, a part or a false 404 for a file, the client asks again, and in the end gives up."""
    at, truth = commit if revision == "commit" else "main", TEXT if path == "a.json" else LARGE
    expected = truth[10:1_000] if way == "middle" else truth
    local.state.faults.add("GET */resolve/*", **LIES[lie], times=2)
    assert READS[way](bot, repo, path, at) == expected
    local.state.faults.add("GET */resolve/*", **LIES[lie], times=None)
    if lie == "short" and path == "b.bin":  # the address of a large file is a redirect, whose body does not count
        assert READS[way](bot, repo, path, at) == expected
        local.state.faults.clear()
        local.state.faults.add("GET /lfs-storage/*", **LIES[lie], times=None)
    with pytest.raises(Transient):
        READS[way](bot, repo, path, at)


@pytest.mark.parametrize("way", READS)
def test_an_old_copy_is_not_the_file_at_a_commit(local: LocalHub, bot: Hub, repo: Repo, commit: str, way: str) -> None:
    """An answer that names another commit than the one requested, as from a cache, is refused."""
    newer = bot.commit(repo, [WriteFile("a.json", TEXT[::-1])], "Change it").oid
    old = {"X-Repo-Commit": commit, **file_headers(TEXT)}
    with Script() as script, Hub(script.url, None, retries=bot.retries) as hub:
        script.say(Reply(body=TEXT, headers=old))
        with pytest.raises(Garbled if way != "middle" else HubError):
            READS[way](hub, repo, "a.json", newer)


def test_a_missing_file_is_believed_only_if_the_listing_agrees(
    local: LocalHub, bot: Hub, repo: Repo, commit: str, calls: list[str]
) -> None:
    """`find_file` reports a file as missing only if the Hub's listing agrees, for a 404 may come from an old cache."""
    assert bot.find_file(repo, "c.json", commit) is None
    local.state.faults.add("GET */resolve/*", **LIES["missing"], times=None)
    with pytest.raises(EntryNotFound):
        bot.read_file(repo, "a.json", commit)
    with pytest.raises(Garbled, match="lists a"):
        bot.find_file(repo, "a.json", commit)


def test_a_404_that_is_not_the_hubs_says_nothing(script: Script, scripted: Hub) -> None:
    """A 404 without the Hub's error code, such as a proxy's page, raises Garbled and not NotFound."""
    script.say(Reply(404, b"<html>Not found</html>"))
    with pytest.raises(Garbled):
        scripted.model_facts("ada/m")
    script.say(Reply(404, b"", headers={"X-Error-Code": "RepoNotFound"}))
    with pytest.raises(NotFound):
        scripted.model_facts("ada/m")


@pytest.mark.parametrize("lie", ["circle", "drip", "stale"])
def test_other_wrong_answers_do_not_block_a_call(local: LocalHub, bot: Hub, repo: Repo, commit: str, lie: str) -> None:
    """Circular redirects end in an error; slow bytes and old cached answers still give the file."""
    local.state.faults.add("GET */resolve/*", **LIES[lie], times=None)
    if lie == "circle":
        with pytest.raises(Transient, match="too many times"):
            bot.read_file(repo, "a.json", commit)
        return
    for _ in range(2):
        assert bot.read_file(repo, "a.json", commit).data == TEXT


DEEP = b'{"id": "ada/m", "sha": "' + b"c" * 40 + b'", "cardData": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
LONG = b'{"id": "ada/m", "sha": "' + b"c" * 40 + b'", "cardData": {"n": ' + b"9" * 5_000 + b"}}"
HUGE = b'{"id": "ada/m", "sha": "' + b"c" * 40 + b'", "cardData": {"x": "' + b"y" * 17_000_000 + b'"}}'


@pytest.mark.parametrize("body", [DEEP, LONG, HUGE], ids=["deep", "long number", "huge"])
def test_metadata_that_cannot_be_parsed_are_not_the_hubs_fault(script: Script, scripted: Hub, body: bytes) -> None:
    """Metadata that are too deep, too long or too large to parse raise TooLarge, and the client does not ask again."""
    script.say(Reply(body=body))
    with pytest.raises(TooLarge):
        scripted.model_facts("ada/m")
    assert len(script.asked) == 1


@pytest.mark.parametrize("odd", [[], "words", 7, [{}], True])
def test_metadata_of_another_shape_count_as_none(script: Script, scripted: Hub, odd: Any) -> None:
    """A card, config or parameter count that is not an object, as an author may write it, counts as missing."""
    fields = {"id": "ada/m", "sha": "c" * 40, "cardData": odd, "config": odd, "safetensors": odd}
    script.say(Reply(body=fields))
    facts = scripted.model_facts("ada/m")
    assert (facts.card, facts.config, facts.parameters, facts.license) == ({}, {}, None, None)


def test_a_part_that_does_not_fit_its_range_is_not_believed(script: Script, scripted: Hub) -> None:
    """The client asks again for a part that is too short or from elsewhere, and raises BadRequest for a whole file."""
    good = {**file_headers(TEXT), "Content-Range": f"bytes 10-19/{len(TEXT)}"}
    for wrong in (TEXT[10:15], TEXT[10:20]):
        elsewhere = {**good, "Content-Range": f"bytes 0-9/{len(TEXT)}"} if len(wrong) == 10 else good
        script.say(Reply(206, wrong, headers=elsewhere), Reply(206, TEXT[10:20], headers=good))
        assert scripted.read_range(Repo("dataset", "board/requests"), "a", "main", 10, 20) == TEXT[10:20]
        assert len(script.asked) == 2
    script.say(Reply(200, TEXT, headers=file_headers(TEXT)))
    with pytest.raises(BadRequest):
        scripted.read_range(Repo("dataset", "board/requests"), "a", "main", 10, 20)
