"""Git over HTTP, read only: clone, shallow clone and fetch, with the token as password."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi

from localhub.git import upload_pack
from localhub.git.repository import GitRepo
from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, fresh, head, make_repo, put


def git(*args: str | Path, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git without the settings of this machine and without ever asking for a password."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": "",
        "LC_ALL": "C",
    }
    return subprocess.run(
        ["git", *map(str, args)], cwd=cwd, env=environment, check=check, capture_output=True, text=True
    )


def address(hub: LocalHub, repo_id: str, user: str | None = None, prefix: str = "datasets/") -> str:
    """The address that git clones from, with the token as password."""
    login = f"{user}:{TOKENS[user]}@" if user else ""
    return hub.url.replace("http://", f"http://{login}") + f"/{prefix}{repo_id}"


def test_clone_gives_files_and_history(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """A clone has main checked out, the whole history, branches and tags, and passes fsck."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a/b.txt": "one"}, commit_message="One")
    tip = put(ada, repo_id, {"a/b.txt": "two"}, commit_message="Two").oid
    ada.create_branch(repo_id, branch="dev/x", repo_type="dataset")
    ada.create_tag(repo_id, tag="v1", repo_type="dataset")
    git("clone", "-q", address(hub, repo_id), tmp_path / "c")
    clone = tmp_path / "c"
    assert (clone / "a" / "b.txt").read_text() == "two"
    assert git("log", "--format=%s", cwd=clone).stdout.split("\n")[:2] == ["Two", "One"]
    assert git("rev-parse", "HEAD", cwd=clone).stdout.strip() == tip
    assert git("rev-parse", "--abbrev-ref", "HEAD", cwd=clone).stdout.strip() == "main"
    refs = git("for-each-ref", "--format=%(refname)", cwd=clone).stdout
    assert "refs/remotes/origin/dev/x" in refs and "refs/tags/v1" in refs
    assert git("fsck", "--full", "--strict", cwd=clone).returncode == 0


def test_shallow_clone_and_deepening(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """`git clone --depth 1` gets one commit, and `git fetch --deepen` gets more."""
    repo_id = make_repo(ada)
    for i in range(5):
        put(ada, repo_id, {"n.txt": str(i)})
    git("clone", "-q", "--depth", "1", address(hub, repo_id), tmp_path / "c")
    clone = tmp_path / "c"
    assert git("rev-list", "--count", "HEAD", cwd=clone).stdout.strip() == "1"
    assert (clone / "n.txt").read_text() == "4"
    git("fetch", "-q", "--deepen", "2", cwd=clone)
    assert git("rev-list", "--count", "HEAD", cwd=clone).stdout.strip() == "3"


def test_fetch_brings_what_is_new(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """`git fetch` gets new commits, into a clone of an address that ends in `.git` and into a shallow clone."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "1"})
    git("clone", "-q", address(hub, repo_id) + ".git", tmp_path / "c")
    git("clone", "-q", "--depth", "1", address(hub, repo_id), tmp_path / "s")
    tip = put(ada, repo_id, {"a.txt": "2"}).oid
    for clone in (tmp_path / "c", tmp_path / "s"):
        git("fetch", "-q", "origin", cwd=clone)
        assert git("rev-parse", "origin/main", cwd=clone).stdout.strip() == tip


def test_pull_request_refs_can_be_fetched(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """The server advertises `refs/pr/N`, and git can fetch it."""
    repo_id = make_repo(ada)
    pull = put(ada, repo_id, {"a.txt": "1"}, create_pr=True).oid
    assert f"{pull}\trefs/pr/1" in git("ls-remote", address(hub, repo_id)).stdout
    git("init", "-q", tmp_path)
    git("fetch", "-q", address(hub, repo_id), "refs/pr/1", cwd=tmp_path)
    assert git("rev-parse", "FETCH_HEAD", cwd=tmp_path).stdout.strip() == pull


def test_private_repos_need_the_token(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """A private repo is cloned with its owner's token, not with another user's token, a wrong token or none."""
    repo_id = make_repo(ada, private=True)
    put(ada, repo_id, {"a.txt": "secret"})
    git("clone", "-q", address(hub, repo_id, "ada"), tmp_path / "ok")
    assert (tmp_path / "ok" / "a.txt").read_text() == "secret"
    wrong = address(hub, repo_id).replace("http://", "http://ada:hf_wrong@")
    for url in (address(hub, repo_id, "cleo"), wrong, address(hub, repo_id)):
        assert git("clone", "-q", url, tmp_path / fresh(), check=False).returncode != 0


def test_pushing_over_git_is_refused(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """`git push` fails and main does not change: the server takes commits over its API only."""
    repo_id = make_repo(ada)
    before = head(ada, repo_id)
    git("clone", "-q", address(hub, repo_id, "ada"), tmp_path / "c")
    clone = tmp_path / "c"
    (clone / "x.txt").write_text("x")
    git("add", "x.txt", cwd=clone)
    git("-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-q", "-m", "x", cwd=clone)
    assert git("push", "-q", cwd=clone, check=False).returncode != 0
    assert head(ada, repo_id) == before


@pytest.mark.parametrize(("repo_type", "prefix"), [("model", ""), ("space", "spaces/")])
def test_models_and_spaces(ada: HfApi, hub: LocalHub, tmp_path: Path, repo_type: str, prefix: str) -> None:
    """Models are cloned from addresses without a prefix, Spaces from `/spaces/`."""
    options = {"space_sdk": "static"} if repo_type == "space" else {}
    repo_id = make_repo(ada, repo_type, **options)
    git("clone", "-q", address(hub, repo_id, prefix=prefix), tmp_path / "c")
    assert (tmp_path / "c" / ".gitattributes").exists()


def test_lfs_files_are_pointers_in_git(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """Without git-lfs a clone holds the pointer file, as on the Hub."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"w.bin": b"\1" * 4321})
    git("clone", "-q", address(hub, repo_id), tmp_path / "c", check=False)
    raw = git("show", "HEAD:w.bin", cwd=tmp_path / "c").stdout
    assert raw.startswith("version https://git-lfs.github.com/spec/v1\noid sha256:") and "size 4321" in raw


def test_cloning_a_missing_repo_fails(hub: LocalHub, tmp_path: Path) -> None:
    """Cloning a repo that does not exist fails."""
    result = git("clone", "-q", address(hub, "ada/none", "ada"), tmp_path / "c", check=False)
    assert result.returncode != 0


def test_a_moved_repo_is_followed(ada: HfApi, hub: LocalHub, tmp_path: Path) -> None:
    """git follows the redirect from the old address of a renamed repo."""
    old, new = make_repo(ada), f"ada/{fresh()}"
    ada.move_repo(old, new, repo_type="dataset")
    git("clone", "-q", address(hub, old), tmp_path / "c")
    assert (tmp_path / "c" / ".gitattributes").exists()


def test_nonsense_on_the_git_routes(ada: HfApi, http: httpx.Client) -> None:
    """Unknown services are 4xx, and broken request bodies cause no server error."""
    repo_id = make_repo(ada)
    base = f"/datasets/{repo_id}.git"
    assert 400 <= http.get(f"{base}/info/refs?service=git-frobnicate").status_code < 500
    assert 400 <= http.get(f"{base}/info/refs").status_code < 500
    kind: Any = {"Content-Type": "application/x-git-upload-pack-request"}
    for body in (b"", b"zzzz", b"0009done\n", b"\xff" * 100):
        answer = http.post(f"{base}/git-upload-pack", content=body, headers=kind)
        assert answer.status_code < 500


@pytest.mark.parametrize("protocol", [None, "version=0", "version=1", "version=2", "version=3"])
def test_refs_are_advertised_as_git_does_it(ada: HfApi, hub: LocalHub, protocol: str | None) -> None:
    """After each change of refs the server advertises the same bytes as a newly started `git upload-pack`."""
    repo_id = make_repo(ada)
    repo = hub.state.repos.get("dataset", repo_id)
    assert repo is not None

    def advertised() -> bytes:
        """Return the advertisement without the line that HTTP adds; it must be equal to git's own."""
        answer = asyncio.run(upload_pack.advertise(repo.git, protocol))
        line, own = answer[:34], answer[34:]
        assert line == b"001e# service=git-upload-pack\n0000"
        assert own == upload_pack._run_advertisement(repo.git.path, protocol or "")
        return own

    listed = protocol != "version=2"
    first = put(ada, repo_id, {"a.txt": "1"}).oid
    assert (f"{first} refs/heads/main\n".encode() in advertised()) == listed
    second = put(ada, repo_id, {"a.txt": "2"}).oid
    assert (f"{second} refs/heads/main\n".encode() in advertised()) == listed
    for branch in ("dev", "Dev/é"):
        ada.create_branch(repo_id, branch=branch, repo_type="dataset", revision=first)
    put(ada, repo_id, {"a.txt": "3"}, create_pr=True)
    ada.create_tag(repo_id, tag="light", repo_type="dataset", revision=first)
    ada.create_tag(repo_id, tag="annotated", tag_message="The first", repo_type="dataset", revision=first)
    assert (f"{first} refs/tags/annotated^{{}}\n".encode() in advertised()) == listed
    ada.delete_branch(repo_id, branch="dev", repo_type="dataset")
    assert b"refs/heads/dev" not in advertised()
    repo.git.delete_ref("refs/heads/main")
    assert b" HEAD" not in advertised()


def test_a_repo_without_a_commit_advertises_what_git_says(tmp_path: Path) -> None:
    """For a repo without a commit the server advertises the same refs and capabilities as git."""
    repo = GitRepo(tmp_path / "empty.git")
    repo.create()
    answer = asyncio.run(upload_pack.advertise(repo, None))
    assert answer.endswith(upload_pack._run_advertisement(repo.path, ""))
    version = subprocess.run(["git", "version"], check=True, capture_output=True, text=True).stdout.split()[2]
    is_old = tuple(map(int, version.split(".")[:2])) <= (2, 39)  # lists no capabilities here
    assert (b"capabilities^{}" in answer) is not is_old


def test_advertising_refs_starts_no_process(
    ada: HfApi, hub: LocalHub, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the server knows the capabilities of the installed git, it advertises refs without starting a process."""
    repo_id = make_repo(ada)
    refs = f"/datasets/{repo_id}.git/info/refs?service=git-upload-pack"
    http.get(refs).raise_for_status()
    monkeypatch.setattr(upload_pack, "_start", None)
    tip = put(ada, repo_id, {"a.txt": "1"}).oid
    assert f"{tip} refs/heads/main" in http.get(refs).raise_for_status().text
