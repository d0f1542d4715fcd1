"""The `jobs` backend against a Hub that fails: nothing is started twice by the call itself, and the reason is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bot.backends.hub_jobs import JobsPlatform
from bot.core.platforms import LaunchOrder, PlatformError
from hub.client import Hub
from hub.retries import Retries
from leaderboard.backends import BackendRun, JobsBackend
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
    with LocalHub(tmp_path, world) as made:
        httpx2.get(f"{made.url}/api/jobs/hardware", timeout=60)  # the first call of a process builds all routes
        yield made


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
