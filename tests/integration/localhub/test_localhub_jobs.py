"""Jobs of the Hub emulator through huggingface_hub: they run, print, end, are cancelled, time out, and are listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import HubWorld, LocalHub
from tests.support.waiting import wait_until

IMAGE = "tools"
JOBS = {"images": {IMAGE: []}, "flavors": {"cpu-basic": 167}, "parallel": 2}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub on which ada and an organisation run Jobs."""
    world = HubWorld().user("ada").user("eve").user("reader", role="read").org("lab", {"ada": "write", "eve": "read"})
    with LocalHub(tmp_path_factory.mktemp("jobs"), {**world, "jobs": JOBS}) as made:
        yield made


@pytest.fixture
def ada(hub: LocalHub) -> HfApi:
    """A person with a token that writes."""
    return HfApi(hub.url, "hf_ada")


def run(api: HfApi, script: str, **options: object) -> str:
    """Start a Job that runs a shell script; its id."""
    fields: dict[str, object] = {"namespace": "lab", "flavor": "cpu-basic", **options}
    return str(api.run_job(image=IMAGE, command=["sh", "-c", script], **fields).id)  # type: ignore[arg-type]  # options


def ended(api: HfApi, job: str) -> tuple[str, str | None]:
    """The last stage of a Job, and why."""

    def look() -> tuple[str, str | None] | None:
        status = api.inspect_job(job_id=job, namespace="lab").status
        return (str(status.stage), status.message) if status.stage not in ("SCHEDULING", "RUNNING") else None

    return wait_until(look)


def test_a_job_runs_its_command_with_its_variables_and_nothing_of_the_server(
    ada: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, secrets and labels arrive; secrets are not shown; its output can be followed."""
    monkeypatch.setenv("SERVERS_SECRET", "x")
    job = run(ada, "echo $GREETING $TOKEN $SERVERS_SECRET.; test -n $JOB_ID", env={"GREETING": "hello"},
              secrets={"TOKEN": "t0p"}, labels={"a": "1"})  # fmt: skip
    assert ended(ada, job) == ("COMPLETED", None)
    assert [line.strip() for line in ada.fetch_job_logs(job_id=job, namespace="lab", follow=True)] == ["hello t0p ."]
    info = ada.inspect_job(job_id=job, namespace="lab")
    assert (info.labels, info.environment, info.docker_image, info.flavor) == (
        {"a": "1", "name": info.labels["name"]} if info.labels else None, {"GREETING": "hello"}, IMAGE, "cpu-basic"
    )  # fmt: skip
    assert "t0p" not in repr(info)
    assert info.started_at is not None and info.finished_at is not None
    assert (info.owner.name, info.initiator and info.initiator.name) == ("lab", "ada")


def test_jobs_fail_time_out_and_are_cancelled(ada: HfApi) -> None:
    """Each end has its stage; a Job that ended stays as it is."""
    failing, slow, endless = run(ada, "exit 3"), run(ada, "sleep 60", timeout=1), run(ada, "sleep 60")
    assert ended(ada, failing) == ("ERROR", "Job failed with exit code: 3")
    assert ended(ada, slow) == ("ERROR", "Job timeout")
    wait_until(lambda: ada.inspect_job(job_id=endless, namespace="lab").status.stage == "RUNNING")
    ada.cancel_job(job_id=endless, namespace="lab")
    assert ended(ada, endless)[0] == "CANCELED"
    ada.cancel_job(job_id=failing, namespace="lab")
    assert ended(ada, failing)[0] == "ERROR"
    missing = run(ada, "true")
    assert ended(ada, missing)[0] == "COMPLETED"


def test_jobs_are_listed_by_labels_and_stages(ada: HfApi) -> None:
    """Newest first; all labels must match; a page has a next one."""
    mine = {"board": "b1"}
    jobs = [run(ada, "true", labels={**mine, "n": str(number)}) for number in range(3)]
    for job in jobs:
        ended(ada, job)
    assert [info.id for info in ada.list_jobs(namespace="lab", labels=mine)] == jobs[::-1]
    assert [info.id for info in ada.list_jobs(namespace="lab", labels={**mine, "n": "1"})] == [jobs[1]]
    assert list(ada.list_jobs(namespace="lab", labels=mine, status="RUNNING")) == []
    assert [hardware.name for hardware in ada.list_jobs_hardware()] == ["cpu-basic"]


def test_who_may_run_jobs_and_what_cannot_run(hub: LocalHub, ada: HfApi, tmp_path: Path) -> None:
    """Strangers see no namespace, readers start nothing; images and flavors are those of the world's file."""
    for token, status in (("hf_eve", 403), ("hf_reader", 404)):
        with pytest.raises(HfHubHTTPError) as refused:
            run(HfApi(hub.url, token), "true")
        assert refused.value.response.status_code == status
    for options in ({"flavor": "huge"}, {"namespace": "nowhere"}):
        with pytest.raises(HfHubHTTPError):
            run(ada, "true", **options)
    with pytest.raises(HfHubHTTPError, match="no image"):
        ada.run_job(image="unknown", command=["true"], namespace="lab")
    with LocalHub(tmp_path, HubWorld().user("ada")) as plain, pytest.raises(HfHubHTTPError) as refused:
        HfApi(plain.url, "hf_ada").run_job(image=IMAGE, command=["true"], namespace="ada")
    assert refused.value.response.status_code == 402


def test_a_job_is_lost_runs_twice_or_ignores_its_cancel(hub: LocalHub, ada: HfApi) -> None:
    """The faults of a platform, for the next Job alone."""
    hub.state.jobs.fault("lost")
    lost = run(ada, "sleep 60")

    def is_gone() -> bool:
        try:
            ada.inspect_job(job_id=lost, namespace="lab")
        except HfHubHTTPError as error:
            return bool(error.response.status_code == 404)
        return False

    wait_until(is_gone)
    hub.state.jobs.fault("twice")
    twice = run(ada, "echo ran")
    assert ended(ada, twice) == ("COMPLETED", None)
    assert [line.strip() for line in ada.fetch_job_logs(job_id=twice, namespace="lab", follow=True)] == ["ran", "ran"]
    hub.state.jobs.fault("deaf")
    deaf = run(ada, "sleep 1.5")
    wait_until(lambda: ada.inspect_job(job_id=deaf, namespace="lab").status.stage == "RUNNING")
    ada.cancel_job(job_id=deaf, namespace="lab")
    assert ended(ada, deaf) == ("COMPLETED", None)
