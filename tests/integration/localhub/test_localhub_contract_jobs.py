"""The contract check starts Jobs, which cost money, only with `--jobs`: few and small ones, and leaves none running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi

from localhub.contract.__main__ import main
from localhub.contract.catalogue import FACTS
from localhub.contract.guard import JOB_FLAVOR, JOB_LABEL, MOST_JOB_SECONDS, MOST_JOBS, WriteGuard, WriteRefused
from steward.testing.waiting import wait_until
from tests.support.localhub.altered_hub import Alteration, AlteredHub
from tests.support.localhub.contract_runs import arguments, contract_world, endings, run_contract

LABEL = "steward-contract-0123abcd"
SMALL: dict[str, Any] = {"flavor": JOB_FLAVOR, "timeoutSeconds": MOST_JOB_SECONDS, "labels": {JOB_LABEL: LABEL}}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[AlteredHub]:
    """A Hub on which ada can start Jobs."""
    running = AlteredHub(tmp_path / "hub", contract_world())
    yield running
    running.close()


def stages(hub: AlteredHub) -> list[str]:
    """The stages of ada's Jobs, the oldest first."""
    owner = hub.state.accounts.by_name("ada")
    assert owner is not None
    return [job.stage for job in hub.state.job_store.of_owner(owner.id, (), ())][::-1]


def test_without_the_option_no_job_is_started(
    hub: AlteredHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--jobs` a run does not try the facts that start Jobs, and says why; it tries those that only read."""
    words = [word for word in arguments(hub, "--only", "jobs", "--json", str(tmp_path / "report")) if word != "--jobs"]
    assert main(words) == 0
    printed = capsys.readouterr()
    paid = [fact.id for fact in FACTS if "jobs" in fact.needs]
    assert printed.out.count("costs money; --jobs starts a few small ones") == len(paid) > 10
    assert "2 confirmed" in printed.out and "starts:" not in printed.err and stages(hub) == []


def test_the_plan_names_what_jobs_may_cost(hub: AlteredHub, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run says how many Jobs a run would start, and on which hardware."""
    assert main(arguments(hub, "--dry-run")) == 0
    assert f"starts:     at most {MOST_JOBS} Jobs of ada on {JOB_FLAVOR}" in capsys.readouterr().out


def test_a_run_starts_few_jobs_and_leaves_none_running(hub: AlteredHub, tmp_path: Path) -> None:
    """After a run no Job is left running, even if the facts did not wait for the end of their Jobs."""
    status, report = run_contract(hub, tmp_path, "--only", "jobs.started-twice", "--only", "jobs.duplicate")
    assert status == 0 and len(endings(report, "confirmed")) == 2 and len(stages(hub)) == 4
    wait_until(lambda: not {"SCHEDULING", "RUNNING"} & set(stages(hub)))


def test_an_interrupted_run_cancels_its_jobs(hub: AlteredHub, tmp_path: Path) -> None:
    """After Ctrl-C a run cancels its Job, which would have slept for two minutes."""

    def interrupt(answer: Any) -> Any:
        if answer["status"]["stage"] == "RUNNING":
            os.kill(os.getpid(), signal.SIGINT)
        return answer

    hub.alteration = Alteration("GET /api/jobs/ada/*", body=interrupt)
    status, report = run_contract(hub, tmp_path, "--only", "jobs.cancel")
    assert status == 130 and report["left"] == [] and stages(hub) == ["CANCELED"]


def test_a_job_whose_start_got_no_answer_is_cancelled(hub: AlteredHub, tmp_path: Path) -> None:
    """If starting a Job answers 500, the run finds the Job by its label and cancels it."""
    hub.state.faults.fail_after("POST /api/jobs/*", times=1, status=500)
    status, report = run_contract(hub, tmp_path, "--only", "jobs.cancel")
    assert status == 1 and report["left"] == [] and stages(hub) == ["CANCELED"]


def test_a_job_that_cannot_be_cancelled_is_named(hub: AlteredHub, tmp_path: Path) -> None:
    """The report names a Job that could not be cancelled; `--cleanup` cancels it later, and no other Job."""
    ada = HfApi(hub.url, "hf_ada")
    other = ada.run_job(image="ubuntu", command=["sleep", "60"], flavor=JOB_FLAVOR, namespace="ada").id
    hub.state.faults.fail("POST /api/jobs/*/cancel", times=None, status=503)
    status, report = run_contract(hub, tmp_path, "--only", "jobs.cancel")
    assert status == 1 and "could not be cancelled: 503" in report["left"][0] and stages(hub)[1] == "RUNNING"
    hub.state.faults.clear()
    assert main(arguments(hub, "--cleanup")) == 0
    assert stages(hub)[1] == "CANCELED"
    assert ada.inspect_job(job_id=other, namespace="ada").status.stage in ("SCHEDULING", "RUNNING")


def test_an_account_without_credits_tests_no_jobs(hub: AlteredHub, tmp_path: Path) -> None:
    """If the Hub answers 402, the facts about Jobs are reported as not tried, not as differences."""
    hub.state.faults.fail("POST /api/jobs/*", times=None, status=402, error="Pay first.")
    status, report = run_contract(hub, tmp_path, "--only", "jobs.start", "--only", "jobs.failed")
    assert status == 0
    assert all("starts no Jobs for this token: 402" in fact["reason"] for fact in endings(report, "not tried").values())
    assert len(endings(report, "not tried")) == 2 and stages(hub) == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/jobs/ada", {**SMALL, "flavor": "h200"}),
        ("POST", "/api/jobs/ada", {**SMALL, "timeoutSeconds": MOST_JOB_SECONDS + 1}),
        ("POST", "/api/jobs/ada", {name: value for name, value in SMALL.items() if name != "timeoutSeconds"}),
        ("POST", "/api/jobs/ada", {**SMALL, "labels": {"name": "x"}}),
        ("POST", "/api/jobs/lab", SMALL),
        ("POST", "/api/jobs/ada/theirs/cancel", {}),
        ("POST", "/api/jobs/ada/theirs/duplicate", {}),
        ("PUT", "/api/jobs/ada/theirs/labels", {"labels": {}}),
        ("PUT", "/api/jobs/ada/mine/expose", {}),
        ("DELETE", "/api/jobs/ada/mine", {}),
        ("POST", "/api/scheduled-jobs/ada", SMALL),
    ],
)
def test_the_client_refuses_other_jobs(method: str, path: str, body: Any) -> None:
    """The guard refuses to start a large, unlabelled or foreign Job, and other changes of Jobs."""
    guard = WriteGuard("ada")
    guard.jobs["mine"] = None
    with pytest.raises(WriteRefused):
        guard.check(method, path, body)


def test_the_client_refuses_one_job_too_many() -> None:
    """The guard refuses one Job more than the limit; a duplicate counts as a Job."""
    guard = WriteGuard("ada")
    guard.jobs["mine"] = None
    guard.check("POST", "/api/jobs/ada/mine/duplicate", {})
    for _ in range(MOST_JOBS - 1):
        guard.check("POST", "/api/jobs/ada", SMALL)
    with pytest.raises(WriteRefused):
        guard.check("POST", "/api/jobs/ada", SMALL)
