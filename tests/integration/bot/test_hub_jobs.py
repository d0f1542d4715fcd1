"""The `jobs` backend against a Hub that fails: nothing is started twice by the call itself, and the reason is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from bot.backends.hub_jobs import MODEL_VOLUME, JobsPlatform
from bot.core.platforms import LaunchOrder, PlatformError
from hub.client import Hub
from hub.retries import Retries
from leaderboard.backend_settings import JobsBackend
from leaderboard.backends import BackendRun
from localhub.testing import HubWorld, LocalHub
from tests.support.waiting import wait_until

JOBS = "/api/jobs/*"
ATTEMPT = "0123456789ab-01234567-1"
ORDER = LaunchOrder(ATTEMPT, "small", "ada/x", "a" * 40, False, 60.0, "http://127.0.0.1:1", "the token")
BACKEND = JobsBackend(kind="jobs", namespace="ada", flavor="cpu-basic", image="tools")
PROXY = {"status": 200, "headers": {"content-type": "text/html"}, "error": "<html>The proxy is tired</html>"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub whose Jobs find no program named `steward`, and fail at once."""
    world = {**HubWorld().user("ada"), "jobs": {"images": {"tools": []}, "flavors": {"cpu-basic": 167}}}
    with LocalHub(tmp_path, world) as started:
        httpx2.get(f"{started.url}/api/jobs/hardware", timeout=60)  # the first call of a process builds all routes
        yield started


@pytest.fixture
def platform(hub: LocalHub) -> Iterator[JobsPlatform]:
    """The platform of the tier `small`, with few and short retries."""
    with Hub(hub.url, "hf_ada", timeout=1.0, retries=Retries(attempts=2, wait_initial=0.01, wait_max=0.01)) as client:
        yield JobsPlatform(client, BACKEND, "demo", "small", "hf_worker")


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 429, "headers": {"retry-after": "60"}}, {"status": 403}, PROXY], ids=str
)
def test_a_hub_that_refuses_or_answers_nonsense_is_told(
    hub: LocalHub, platform: JobsPlatform, fault: dict[str, Any]
) -> None:
    """A list, a start and a cancel end in the one error that the sync expects, and no Job was started."""
    run = platform_run(platform)
    hub.state.faults.fail(JOBS, times=None, **fault)
    for call in (platform.runs, lambda: platform.launch(ORDER)):
        with pytest.raises(PlatformError, match=r"ada"):
            call()
    if fault is not PROXY:  # the answer to a cancel is not read: the next look at the list decides
        with pytest.raises(PlatformError):
            platform.cancel(run)
    hub.state.faults.clear()
    assert [each.id for each in platform.runs()] == [run.id]


def test_what_the_hub_quotes_of_a_refused_start_names_no_token(hub: LocalHub, platform: JobsPlatform) -> None:
    """Troubles of backends are on a public page."""
    hub.state.faults.fail(JOBS, status=400, error=f"bad secrets: hf_worker, {ORDER.token}")
    with pytest.raises(PlatformError, match="bad secrets") as refused:
        platform.launch(ORDER)
    assert "hf_worker" not in str(refused.value) and ORDER.token not in str(refused.value)


def platform_run(platform: JobsPlatform) -> BackendRun:
    """A run that was started and has ended."""
    job = platform.launch(ORDER)
    return wait_until(lambda: next((run for run in platform.runs() if run.id == job and run.stage == "failed"), None))


def test_a_hub_that_does_not_answer_is_told(hub: LocalHub, platform: JobsPlatform) -> None:
    """The sync goes on with the other tiers, and asks again."""
    hub.state.faults.hang(JOBS, times=None)
    with pytest.raises(PlatformError, match="cannot be listed"):
        platform.runs()
    hub.state.faults.clear()


def test_a_start_whose_answer_is_lost_is_not_repeated_and_is_found_by_its_label(
    hub: LocalHub, platform: JobsPlatform
) -> None:
    """The call fails after its effect: one Job runs, and the next look at the list finds it with its attempt."""
    hub.state.faults.fail_after(f"POST {JOBS}")
    with pytest.raises(PlatformError, match="No Job could be started"):
        platform.launch(ORDER)
    assert [run.attempt for run in platform.runs()] == [ATTEMPT]


def test_jobs_of_others_are_neither_listed_nor_cancelled(hub: LocalHub, platform: JobsPlatform) -> None:
    """Another tier's run, and a Job of the same account that has nothing to do with the board."""
    other = JobsPlatform(platform.hub, BACKEND, "demo", "large", "hf_worker")
    other.launch(LaunchOrder(ATTEMPT, "large", "ada/x", "a" * 40, False, 60.0, "http://127.0.0.1:1", "t"))
    labels = {"steward-board": "demo", "steward-tier": "small", "steward-attempt": "not-an-attempt"}
    specification = {"command": ["true"], "dockerImage": "tools", "flavor": "cpu-basic"}
    platform.hub.start_job("ada", specification)
    platform.hub.start_job("ada", {**specification, "labels": labels})
    assert platform.runs() == []
    assert len(other.runs()) == 1


def test_the_hub_is_asked_for_jobs_by_label_and_stage(platform: JobsPlatform) -> None:
    """So a look at a few Jobs does not read all those of the namespace."""
    specification = {"command": ["true"], "dockerImage": "tools", "flavor": "cpu-basic"}
    first, _ = (platform.hub.start_job("ada", {**specification, "labels": {"a": n}}).id for n in "12")
    assert [job.id for job in platform.hub.jobs("ada", {"a": "1"})] == [first]
    wait_until(lambda: [job.id for job in platform.hub.jobs("ada", {"a": "1"}, ("COMPLETED", "ERROR"))] == [first])
    assert list(platform.hub.jobs("ada", {"a": "1"}, ("RUNNING",))) == []


def test_a_run_is_found_behind_an_old_one(platform: JobsPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub does not say in which order it lists Jobs."""
    old, new = (platform.launch(ORDER) for _ in range(2))
    jobs = {job.id: job for job in platform.hub.jobs("ada", {})}
    listed = [replace(jobs[old], created=1.0), jobs[new]]
    monkeypatch.setattr(platform.hub, "jobs", lambda *_: iter(listed))
    assert [run.id for run in platform.runs()] == [new]


def test_a_model_is_mounted_at_its_commit(hub: LocalHub, platform: JobsPlatform, tmp_path: Path) -> None:
    """The worker finds its files where STEWARD_MODEL_VOLUME says; a private model is not mounted."""
    program = tmp_path / "image" / "steward"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$(cat ${STEWARD_MODEL_VOLUME:-/nowhere}/a.txt)."\n')
    program.chmod(0o755)
    hub.state.jobs.configure(replace(hub.state.jobs.settings, images={"tools": [str(program.parent)]}))
    ada = HfApi(hub.url, "hf_ada")
    ada.create_repo("ada/x")
    commit, _ = (
        ada.create_commit("ada/x", [CommitOperationAdd("a.txt", text)], commit_message="Add").oid
        for text in (b"submitted", b"later")
    )
    mounting = replace(platform, backend=BACKEND.model_copy(update={"mount_models": True}))
    jobs = [mounting.launch(replace(ORDER, revision=commit, private=private)) for private in (False, True)]
    wait_until(
        lambda: all(run.stage != "running" and run.ended for run in mounting.runs()) and len(mounting.runs()) == 2
    )
    assert [hub.state.jobs.printed(job)[-1] for job in jobs] == ["submitted.", "."]
    volume = {"type": "model", "source": "ada/x", "revision": commit, "readOnly": True, "mountPath": MODEL_VOLUME}
    specs = [hub.state.job_store.find(job).spec for job in jobs]
    assert [list(spec.volumes) for spec in specs] == [[volume], []]


def test_a_model_that_the_hub_does_not_mount_is_downloaded(hub: LocalHub, platform: JobsPlatform) -> None:
    """The Job starts once, without it. A Hub that refuses both is told; one whose answer is lost is not asked again."""
    mounting = replace(platform, backend=BACKEND.model_copy(update={"mount_models": True}))
    job = mounting.launch(ORDER)  # there is no such model
    assert [run.id for run in mounting.runs()] == [job] and not hub.state.job_store.find(job).spec.volumes
    hub.state.faults.fail(f"POST {JOBS}", times=2, status=403)
    with pytest.raises(PlatformError, match="No Job could be started"):
        mounting.launch(ORDER)
    hub.state.faults.fail_after(f"POST {JOBS}", times=1, status=500)
    HfApi(hub.url, "hf_ada").create_repo("ada/x")
    with pytest.raises(PlatformError):
        mounting.launch(replace(ORDER, revision="main"))
    assert len(mounting.runs()) == 2
