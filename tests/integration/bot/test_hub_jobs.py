"""The `jobs` backend against a Hub that fails: no call starts a Job twice, and errors name the reason."""

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
from steward.testing.waiting import wait_until

JOBS = "/api/jobs/*"
ATTEMPT = "0123456789ab-01234567-1"
ORDER = LaunchOrder(ATTEMPT, "small", "ada/x", "a" * 40, False, 60.0, "http://127.0.0.1:1", "the token")
BACKEND = JobsBackend(kind="jobs", namespace="ada", flavor="cpu-basic", image="tools")
PROXY = {"status": 200, "headers": {"content-type": "text/html"}, "error": "<html>The proxy is tired</html>"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub whose Jobs fail at once, because their image has no program named `steward`."""
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
    """If the Hub refuses a list, a start or a cancel of Jobs, the backend raises PlatformError and starts no Job."""
    run = platform_run(platform)
    hub.state.faults.fail(JOBS, times=None, **fault)
    for call in (platform.runs, lambda: platform.launch(ORDER)):
        with pytest.raises(PlatformError, match=r"ada"):
            call()
    if fault is not PROXY:  # the answer to a cancel is not read: the next list of Jobs decides
        with pytest.raises(PlatformError):
            platform.cancel(run)
    hub.state.faults.clear()
    assert [each.id for each in platform.runs()] == [run.id]


def test_what_the_hub_quotes_of_a_refused_start_names_no_token(hub: LocalHub, platform: JobsPlatform) -> None:
    """The backend removes tokens from the Hub's error message, because the message is shown on a public page."""
    hub.state.faults.fail(JOBS, status=400, error=f"bad secrets: hf_worker, {ORDER.token}")
    with pytest.raises(PlatformError, match="bad secrets") as refused:
        platform.launch(ORDER)
    assert "hf_worker" not in str(refused.value) and ORDER.token not in str(refused.value)


def platform_run(platform: JobsPlatform) -> BackendRun:
    """Start a run, wait until it has failed, and return it."""
    job = platform.launch(ORDER)
    return wait_until(lambda: next((run for run in platform.runs() if run.id == job and run.stage == "failed"), None))


def test_a_hub_that_does_not_answer_is_told(hub: LocalHub, platform: JobsPlatform) -> None:
    """If the Hub does not answer in time, the list of Jobs raises PlatformError."""
    hub.state.faults.hang(JOBS, times=None)
    with pytest.raises(PlatformError, match="cannot be listed"):
        platform.runs()
    hub.state.faults.clear()


def test_a_start_whose_answer_is_lost_is_not_repeated_and_is_found_by_its_label(
    hub: LocalHub, platform: JobsPlatform
) -> None:
    """If a start's answer is lost, the backend raises an error and starts no second Job; the list finds the first."""
    hub.state.faults.fail_after(f"POST {JOBS}")
    with pytest.raises(PlatformError, match="No Job could be started"):
        platform.launch(ORDER)
    assert [run.attempt for run in platform.runs()] == [ATTEMPT]


def test_jobs_of_others_are_neither_listed_nor_cancelled(hub: LocalHub, platform: JobsPlatform) -> None:
    """The backend does not list another tier's run, nor Jobs of its account that do not belong to the board."""
    other = JobsPlatform(platform.hub, BACKEND, "demo", "large", "hf_worker")
    other.launch(LaunchOrder(ATTEMPT, "large", "ada/x", "a" * 40, False, 60.0, "http://127.0.0.1:1", "t"))
    labels = {"steward-board": "demo", "steward-tier": "small", "steward-attempt": "not-an-attempt"}
    specification = {"command": ["true"], "dockerImage": "tools", "flavor": "cpu-basic"}
    platform.hub.start_job("ada", specification)
    platform.hub.start_job("ada", {**specification, "labels": labels})
    assert platform.runs() == []
    assert len(other.runs()) == 1


def test_the_hub_is_asked_for_jobs_by_label_and_stage(platform: JobsPlatform) -> None:
    """The client lists Jobs by label and stage, so that it does not read all Jobs of the namespace."""
    specification = {"command": ["true"], "dockerImage": "tools", "flavor": "cpu-basic"}
    first, _ = (platform.hub.start_job("ada", {**specification, "labels": {"a": n}}).id for n in "12")
    assert [job.id for job in platform.hub.jobs("ada", {"a": "1"})] == [first]
    wait_until(lambda: [job.id for job in platform.hub.jobs("ada", {"a": "1"}, ("COMPLETED", "ERROR"))] == [first])
    assert list(platform.hub.jobs("ada", {"a": "1"}, ("RUNNING",))) == []


def test_a_run_is_found_behind_an_old_one(platform: JobsPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend finds a new run also if the Hub lists an old Job first."""
    old, new = (platform.launch(ORDER) for _ in range(2))
    jobs = {job.id: job for job in platform.hub.jobs("ada", {})}
    listed = [replace(jobs[old], created=1.0), jobs[new]]
    monkeypatch.setattr(platform.hub, "jobs", lambda *_: iter(listed))
    assert [run.id for run in platform.runs()] == [new]


def test_a_model_is_mounted_at_its_commit(hub: LocalHub, platform: JobsPlatform, tmp_path: Path) -> None:
    """A public model is mounted read-only at its commit under STEWARD_MODEL_VOLUME; a private model is not mounted."""
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
    """If the Hub cannot mount the model, the Job starts once without it; a start with a lost answer is not repeated."""
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
