"""After `kill -9` and a restart every answered commit exists, and no repo is broken."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from huggingface_hub import HfApi

from localhub.__main__ import main
from steward.testing.waiting import wait_until
from tests.support.localhub.hub_accounts import TOKENS, accounts_world


@contextmanager
def process(data: Path, world: Path, *more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `python -m localhub` on a free port; its address and the process."""
    command = [sys.executable, "-m", "localhub", "--port", "0", "--data", str(data), "--world", str(world), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield json.loads(running.stdout.readline())["url"], running
        finally:
            running.kill()


def world_file(tmp_path: Path) -> Path:
    """The world of these tests, as a file, with two repos in it."""
    world = accounts_world().repo("dataset", "board/requests", {"README.md": "# Requests\n"}, private=False)
    path = tmp_path / "world.yaml"
    path.write_text(yaml.safe_dump(dict(world.repo("model", "ada/Odd--Name", {"a/b.txt": "B"}))))
    return path


def commit(client: httpx.Client, number: int) -> str | None:
    """Commit one file; return the id of the commit, or None if the server did not confirm it."""
    lines = [
        {"key": "header", "value": {"summary": f"Number {number}", "description": ""}},
        {"key": "file", "value": {"path": f"d{number % 7}/{number}.json", "content": f'{{"n": {number}}}'}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    try:
        answer = client.post("/api/datasets/board/requests/commit/main", content=body)
    except httpx.HTTPError:
        return None
    return str(answer.json()["commitOid"]) if answer.status_code == 200 else None


def test_kill_9_in_the_middle_of_200_concurrent_commits(tmp_path: Path) -> None:
    """After a kill during 200 concurrent commits every answered commit exists, and `git fsck` finds no error."""
    world, data = world_file(tmp_path), tmp_path / "data"
    answered: dict[int, str] = {}
    headers = {"Authorization": f"Bearer {TOKENS['ada']}"}
    with process(data, world) as (url, running):
        limits = httpx.Limits(max_connections=200)
        with httpx.Client(base_url=url, headers=headers, timeout=30, limits=limits) as client:

            def one(number: int) -> None:
                if oid := commit(client, number):
                    answered[number] = oid

            threads = [threading.Thread(target=one, args=(n,)) for n in range(200)]
            for thread in threads:
                thread.start()
            wait_until(lambda: len(answered) >= 40, describe="40 answered commits", seconds=60)
            os.kill(running.pid, signal.SIGKILL)
            for thread in threads:
                thread.join()
    assert 40 <= len(answered) < 200, "the kill came too late to prove anything"
    with process(data, world) as (url, _):
        api = HfApi(endpoint=url, token=TOKENS["ada"])
        there = {c.commit_id for c in api.list_repo_commits("board/requests", repo_type="dataset")}
        files = set(api.list_repo_files("board/requests", repo_type="dataset"))
        for number, oid in answered.items():
            assert oid in there and f"d{number % 7}/{number}.json" in files
        with httpx.Client(base_url=url, headers=headers) as client:
            assert commit(client, 1000) is not None
        repos = [p.parent for p in data.rglob("HEAD") if (p.parent / "objects").is_dir()]
        assert len(repos) >= 2
        for repo in repos:
            fsck = subprocess.run(
                ["git", "-c", "safe.directory=*", "-C", str(repo), "fsck", "--full"],
                check=False,
                capture_output=True,
                text=True,
            )
            broken = re.search(r"missing|broken|corrupt|error|invalid", fsck.stdout + fsck.stderr)
            assert fsck.returncode == 0 and not broken, fsck.stdout + fsck.stderr


@pytest.mark.long("two seconds of a processor")
def test_threads_settings_webhooks_and_lfs_objects_exist_after_kill_9(tmp_path: Path) -> None:
    """Threads, comments, settings, webhooks and LFS objects exist after `kill -9` and a restart."""
    world, data = world_file(tmp_path), tmp_path / "data"
    with process(data, world) as (url, running):
        api = HfApi(endpoint=url, token=TOKENS["ada"])
        repo = "board/requests"
        api.create_discussion(repo, title="A question", description="Why?", repo_type="dataset")
        api.comment_discussion(repo, 1, "Because", repo_type="dataset")
        api.update_repo_settings(repo, gated="manual", repo_type="dataset")
        api.upload_file(path_or_fileobj=b"\1" * 99, path_in_repo="w.bin", repo_id=repo, repo_type="dataset")
        hook = api.create_webhook(
            url="http://127.0.0.1:9/x", watched=[{"type": "org", "name": "board"}], domains=["discussion"]
        )
        ids = (api.whoami()["id"], api.dataset_info(repo).sha)
        os.kill(running.pid, signal.SIGKILL)
    with process(data, world) as (url, _):
        api = HfApi(endpoint=url, token=TOKENS["ada"])
        assert (api.whoami()["id"], api.dataset_info(repo).sha) == ids
        events = api.get_discussion_details(repo, 1, repo_type="dataset").events
        assert [getattr(e, "content", None) for e in events] == ["Why?", "Because"]
        assert api.dataset_info(repo).gated == "manual"
        assert api.get_webhook(hook.id).url == "http://127.0.0.1:9/x"
        answer = httpx.get(
            f"{url}/datasets/{repo}/resolve/main/w.bin",
            headers={"Authorization": f"Bearer {TOKENS['ada']}"},
            follow_redirects=True,
        )
        assert answer.content == b"\1" * 99


@pytest.mark.long("a second of a processor")
def test_the_command_and_the_world_file(tmp_path: Path) -> None:
    """The command prints its address first, serves the repos of the world file, and ends on SIGTERM."""
    with process(tmp_path / "data", world_file(tmp_path)) as (url, running):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        api = HfApi(endpoint=url, token=TOKENS["bob"])
        assert api.whoami()["name"] == "bob"
        assert "README.md" in api.list_repo_files("board/requests", repo_type="dataset")
        assert httpx.get(f"{url}/ada/Odd--Name/resolve/main/a/b.txt").text == "B"
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) in (0, -signal.SIGTERM)


def test_a_world_that_cannot_be_read_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, broken YAML and an unknown role end with a sentence, not with a traceback."""
    broken, odd = tmp_path / "broken.yaml", tmp_path / "odd.yaml"
    broken.write_text("users: [")
    odd.write_text("users:\n  - {name: ada, tokens: [{token: t, role: emperor}]}\n")
    for path in (tmp_path / "none.yaml", broken, odd):
        assert main(["--port", "0", "--data", str(tmp_path / "d"), "--world", str(path)]) == 2
        assert f"localhub: the world file {path}: " in capsys.readouterr().err
