"""Repos, branches and webhooks are created once."""

from __future__ import annotations

import pytest
from huggingface_hub import HfApi

from hub.client import Hub
from hub.errors import Conflict, Denied, Gated
from hub.records import Repo, WatchedItem, WriteFile
from localhub.testing import LocalHub

CREATE, HOOK = "POST /api/repos/create", "POST /api/settings/webhooks"
URL = "http://127.0.0.1:9/webhooks/hub"


def test_a_repo_is_made_once(bot: Hub) -> None:
    """`create_repo` returns whether it created the repo; with `exist_ok=False` an existing one raises Conflict."""
    repo = Repo("dataset", "board/made-once")
    assert not bot.repo_exists(repo)
    assert bot.create_repo(repo, private=True)
    assert bot.repo_exists(repo)
    assert not bot.create_repo(repo)
    with pytest.raises(Conflict):
        bot.create_repo(repo, exist_ok=False)


@pytest.mark.parametrize("kind", ["fail", "fail-after", "cut"])
def test_a_repo_is_made_whatever_goes_wrong(local: LocalHub, bot: Hub, kind: str) -> None:
    """If the Hub creates a repo but answers with an error, the 409 of the second try counts as success."""
    local.state.faults.add(CREATE, kind)
    repo = Repo("model", f"board/made-despite-{kind}")
    bot.create_repo(repo, exist_ok=False)
    assert bot.repo_exists(repo)


def test_a_repo_in_anothers_namespace_is_denied(mallory: Hub, repo: Repo) -> None:
    """A user cannot create a repo in another's namespace; for a repo that exists, there is no error."""
    with pytest.raises(Denied):
        mallory.create_repo(Repo("dataset", "board/by-mallory"))
    assert not mallory.create_repo(repo)


def test_a_space_is_made_with_its_kit(bot: Hub) -> None:
    """A Space is created with an SDK, which the Hub requires."""
    space = Repo("space", "board/front")
    assert bot.create_repo(space)
    assert bot.repo_exists(space)


def test_a_gated_repo_is_closed_to_users_who_were_not_accepted(bot: Hub, mallory: Hub, repo: Repo) -> None:
    """A user who was not accepted cannot read the files of a gated repo."""
    bot.commit(repo, [WriteFile("a", b"1")], "Add")
    bot.gate(repo)
    with pytest.raises(Gated):
        mallory.read_file(repo, "a")
    assert bot.read_file(repo, "a").data == b"1"


@pytest.mark.parametrize("kind", ["none", "fail", "fail-after", "cut"])
def test_a_webhook_is_made_once_whatever_goes_wrong(local: LocalHub, bot: Hub, repo: Repo, kind: str) -> None:
    """`ensure_webhook` creates one webhook per URL, repos and domains, also if the Hub fails meanwhile."""
    if kind != "none":
        local.state.faults.add(HOOK, kind)
    watched = [WatchedItem("dataset", repo.id)]
    first = bot.ensure_webhook(URL, watched, ["repo"], "s3cret")
    shouted = [WatchedItem("dataset", repo.id.upper())]  # the Hub lists the name in its own case
    assert [bot.ensure_webhook(URL, names, ["repo"], "s3cret") for names in (watched, shouted)] == [first, first]
    other = bot.ensure_webhook(URL, watched, ["discussion"], "s3cret")
    ours = [hook for hook in bot.webhooks() if hook.watched == frozenset(watched)]
    assert sorted(hook.id for hook in ours) == sorted([first.id, other.id])


def test_a_webhook_that_was_switched_off_is_switched_on_again(local: LocalHub, bot: Hub, repo: Repo) -> None:
    """`ensure_webhook` enables a webhook again that the Hub has disabled."""
    hook = bot.ensure_webhook(URL, [WatchedItem("dataset", repo.id)], ["repo"], "s3cret")
    HfApi(endpoint=local.url, token="hf_bot").disable_webhook(hook.id)
    assert [webhook.disabled for webhook in bot.webhooks() if webhook.id == hook.id] == ["disabled"]
    assert bot.ensure_webhook(URL, [WatchedItem("dataset", repo.id)], ["repo"], "s3cret").disabled is None


def test_a_rotated_secret_leaves_the_rest_of_a_webhook(bot: Hub, repo: Repo) -> None:
    """Rotating the secret of a webhook leaves its other fields unchanged."""
    hook = bot.ensure_webhook(URL, [WatchedItem("dataset", repo.id)], ["repo"], "s3cret")
    assert bot.rotate_webhook(hook, "another") == hook


@pytest.mark.parametrize("kind", ["none", "fail", "fail-after", "cut"])
def test_a_branch_is_made_and_deleted_once(local: LocalHub, bot: Hub, repo: Repo, kind: str) -> None:
    """A branch begins without files; a second creation or deletion changes nothing, nor does an error of the Hub."""
    bot.commit(repo, [WriteFile("a", b"1")], "Add")
    if kind != "none":
        for method in ("POST", "DELETE"):
            local.state.faults.add(f"{method} /api/datasets/*/branch/*", kind)
    for _ in range(2):
        bot.create_branch(repo, "answers-1")
    assert bot.list_files(repo, bot.head(repo, "answers-1")) == []
    for _ in range(2):
        bot.delete_branch(repo, "answers-1")
    assert set(bot.heads(repo)) == {"refs/heads/main"}
