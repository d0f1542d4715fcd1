"""Reading a Hub: files, listings, differences, facts, history."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable

import pytest
from huggingface_hub import HfApi

from hub.client import Hub
from hub.comments import Marker
from hub.errors import BadToken, EntryNotFound, NotFound, RepoNotFound, RevisionNotFound, TooLarge
from hub.records import DeleteFile, Repo, WriteFile
from localhub.testing import LocalHub


def test_the_token_says_who_we_are(local: LocalHub, bot: Hub, calls: list[str]) -> None:
    """`me` returns the id and the name of the token's account; two calls of it ask the Hub only once."""
    account = local.state.accounts.by_name("bot")
    assert account is not None
    assert (bot.me().id, bot.me().name) == (account.id, "bot")
    assert calls == ["whoami"]


def test_a_wrong_token_is_told(local: LocalHub) -> None:
    """A token that the Hub does not know raises BadToken."""
    with Hub(local.url, "hf_wrong") as hub, pytest.raises(BadToken):
        hub.whoami()


def test_a_file_is_read_in_one_call_with_its_oid_and_commit(bot: Hub, repo: Repo, calls: list[str]) -> None:
    """One call returns a file's content, its object id, and the commit that compare-and-swap needs."""
    commit = bot.commit(repo, [WriteFile("a/b c#1?.json", b'{"x": 1}')], "Add a file")
    calls.clear()
    file = bot.read_file(repo, "a/b c#1?.json")
    assert calls == ["resolve"]
    blob = hashlib.sha1(b"blob 8\0" + file.data, usedforsecurity=False).hexdigest()
    assert (file.data, file.oid, file.commit) == (b'{"x": 1}', blob, commit.oid)


def test_what_is_missing_is_told_apart(bot: Hub, repo: Repo) -> None:
    """A missing file, revision and repo each raise their own error; `find_file` returns None for a missing file."""
    with pytest.raises(EntryNotFound):
        bot.read_file(repo, "no.json")
    assert bot.find_file(repo, "no.json") is None
    with pytest.raises(RevisionNotFound):
        bot.read_file(repo, "no.json", "no-branch")
    with pytest.raises(RepoNotFound):
        bot.read_file(Repo("dataset", "board/no-such-repo"), "no.json")


def test_a_huge_file_is_refused_unread(local: LocalHub, bot: Hub, repo: Repo) -> None:
    """A file of 50 MB raises TooLarge if the caller accepts less."""
    bot.commit(repo, [WriteFile("huge.json", bytes(50 * 1024 * 1024))], "Add a huge file")
    with pytest.raises(TooLarge):
        bot.read_file(repo, "huge.json", max_bytes=100_000)


def test_a_private_repo_is_hidden_from_strangers(mallory: Hub, new_repo: Callable[..., Repo]) -> None:
    """The Hub hides the existence of a private repo from other users."""
    with pytest.raises(RepoNotFound):
        mallory.read_file(new_repo(private=True), ".gitattributes")


def test_heads_follow_commits_on_branches_and_pull_requests(bot: Hub, repo: Repo) -> None:
    """`head` returns the newest commit of a branch or of a pull request, and raises an error for an unknown branch."""
    commit = bot.commit(repo, [WriteFile("a", b"1")], "Add a")
    pull = bot.commit(repo, [WriteFile("b", b"1")], "Propose b", create_pr=True)
    assert bot.head(repo) == commit.oid
    assert bot.head(repo, f"refs/pr/{pull.pull_number}") == pull.oid
    with pytest.raises(RevisionNotFound):
        bot.head(repo, "no-branch")


def test_listings_hold_every_file_beyond_one_page(bot: Hub, repo: Repo) -> None:
    """A listing follows all pages, and has files but no folders."""
    names = [f"folder {n % 3}/{n:04}.json" for n in range(1100)]
    bot.commit(repo, [WriteFile(name, name.encode()) for name in names], "Add many")
    listed = {entry.path: entry for entry in bot.list_files(repo)}
    assert set(names) == listed.keys() - {".gitattributes"}
    assert listed[names[0]].size == len(names[0])
    assert listed[names[7]].oid == bot.read_file(repo, names[7]).oid
    inside = {entry.path for entry in bot.list_files(repo, folder="folder 1")}
    assert inside == {name for name in names if name.startswith("folder 1/")}


def test_changed_paths_name_both_ends_of_a_rename(bot: Hub, repo: Repo) -> None:
    """`changed_paths` lists files that were added, changed, deleted or renamed between two commits, and no other."""
    long = b"".join(b"line %d\n" % n for n in range(50))
    old = bot.commit(
        repo,
        [WriteFile("gone", b"1"), WriteFile("ä ö.json", b"1"), WriteFile("from", long), WriteFile("same", b"1")],
        "Before",
    )
    changes = [
        DeleteFile("gone"),
        WriteFile("ä ö.json", b"2"),
        DeleteFile("from"),
        WriteFile("to", long),
        WriteFile('q"uote', b"x"),
    ]
    new = bot.commit(repo, changes, "After")
    assert set(bot.changed_paths(repo, old.oid, new.oid)) == {"gone", "ä ö.json", "from", "to", 'q"uote'}
    assert bot.changed_paths(repo, new.oid, new.oid) == []


def test_changes_since_a_commit_that_is_gone_are_not_found(bot: Hub, repo: Repo) -> None:
    """If the earlier commit is gone, as after a squash, NotFound tells the caller to list all files instead."""
    with pytest.raises(NotFound):
        bot.changed_paths(repo, "0" * 40, bot.head(repo))


def test_a_models_facts_come_in_one_call(bot: Hub, new_repo: Callable[..., Repo], calls: list[str]) -> None:
    """One call returns a model's card, file sizes, number of parameters and commit."""
    repo = new_repo("model")
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    files = [
        WriteFile("README.md", b"---\nlicense: mit\ntags: [merge]\n---\n# Hello"),
        WriteFile("config.json", b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}'),
        WriteFile("model.safetensors", struct.pack("<Q", len(header)) + header + bytes(12)),
    ]
    commit = bot.commit(repo, files, "Add a model")
    calls.clear()
    facts = bot.model_facts(repo.id)
    assert calls == ["info"]
    assert (facts.id, facts.sha, facts.license, facts.gated, facts.private) == (
        repo.id,
        commit.oid,
        "mit",
        False,
        False,
    )
    assert facts.parameters == 6
    assert "merge" in facts.tags
    assert {file.name: file.size for file in facts.files}["config.json"] == len(files[1].data)
    assert facts.created_at is not None
    assert bot.model_facts(repo.id, commit.oid).sha == commit.oid
    with pytest.raises(RevisionNotFound):
        bot.model_facts(repo.id, "no-branch")
    with pytest.raises(RepoNotFound):
        bot.model_facts("board/no-such-model")


def test_history_is_newest_first_and_as_long_as_asked(bot: Hub, repo: Repo, calls: list[str]) -> None:
    """Title and description of a commit are separate, and only needed pages are fetched."""
    commits = [bot.commit(repo, [WriteFile("n", str(n).encode())], f"Count {n}", f"because of {n}") for n in range(3)]
    calls.clear()
    newest, older = bot.commits(repo, limit=2)
    assert calls == ["commits"]
    assert (newest.oid, older.oid) == (commits[2].oid, commits[1].oid)
    assert (newest.title, newest.authors) == ("Count 2", ("bot",))
    assert "because of 2" in newest.message
    assert len(bot.commits(repo)) == 4
    calls.clear()
    assert [entry.oid for entry in bot.history(repo, page=3)][:3] == [commit.oid for commit in reversed(commits)]
    assert calls == ["commits", "commits"]


def test_a_renamed_repo_is_read_and_written_under_its_old_name(local: LocalHub, bot: Hub, repo: Repo) -> None:
    """After a rename the client reads and writes the repo under its old name, as the Hub's redirects say."""
    new_name = f"{repo.id}-renamed"
    HfApi(endpoint=local.url, token="hf_bot").move_repo(repo.id, new_name, repo_type="dataset")
    bot.commit(repo, [WriteFile("a", b"1")], "Write under the old name")
    assert bot.read_file(Repo("dataset", new_name), "a").data == b"1"
    assert bot.read_file(repo, "a").data == b"1"
    assert bot.list_files(repo)
    assert bot.present_id(repo) == new_name
    num = bot.open_thread(repo, "Hello there", "body", Marker("board", "kind", "key"))
    assert bot.thread(Repo("dataset", new_name), num).title == "Hello there"


def test_a_part_of_a_file_is_read_without_the_rest(bot: Hub, repo: Repo, calls: list[str]) -> None:
    """A range takes one call for git and LFS files; after the end of the file it is empty."""
    large = bytes(range(256)) * 100
    head = bot.commit(repo, [WriteFile("large.safetensors", large), WriteFile("small.txt", b"0123456789")], "Add").oid
    calls.clear()
    assert bot.read_range(repo, "small.txt", head, 2, 6) == b"2345"
    assert bot.read_range(repo, "small.txt", head, 8, 100) == b"89"
    assert bot.read_range(repo, "small.txt", head, 10, 20) == b""
    assert len(calls) == 3
    assert bot.read_range(repo, "large.safetensors", head, 256, 512) == large[:256]


def test_a_file_is_saved_without_being_held(bot: Hub, repo: Repo) -> None:
    """A saved file replaces the contents of the given file; a file that is too large raises TooLarge."""
    head = bot.commit(repo, [WriteFile("words.txt", b"words")], "Add").oid
    saved = io.BytesIO(b"the earlier content")
    bot.save_file(repo, "words.txt", head, saved, max_bytes=5)
    assert saved.getvalue() == b"words"
    with pytest.raises(TooLarge):
        bot.save_file(repo, "words.txt", head, saved, max_bytes=4)


def test_the_digests_of_large_files_come_with_the_facts(bot: Hub, new_repo: Callable[..., Repo]) -> None:
    """`model_facts` returns the sha256 of each file in LFS, and none for files in git."""
    repo = new_repo("model")
    bot.commit(repo, [WriteFile("model.safetensors", b"weights"), WriteFile("config.json", b"{}")], "Add")
    digests = {file.name: file.sha256 for file in bot.model_facts(repo.id).files}
    assert digests["model.safetensors"] == hashlib.sha256(b"weights").hexdigest()
    assert digests["config.json"] is None
