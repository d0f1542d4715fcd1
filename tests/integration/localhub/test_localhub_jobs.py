"""Jobs of the Hub emulator through huggingface_hub: they run, print, end, are cancelled, time out, and are listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi, Volume
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import HubWorld, LocalHub
from steward.testing.waiting import wait_until

IMAGE = "tools"
JOBS = {"images": {IMAGE: []}, "flavors": {"cpu-basic": 167}, "parallel": 2}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub on which ada and an organisation run Jobs."""
    world = HubWorld().user("ada").user("eve").user("reader", role="read").org("lab", {"ada": "write", "eve": "read"})
    with LocalHub(tmp_path_factory.mktemp("jobs"), {**world, "jobs": JOBS}) as started:
        yield started


@pytest.fixture
def ada(hub: LocalHub) -> HfApi:
    """The client of ada, with a write token."""
    return HfApi(hub.url, "hf_ada")


def run(api: HfApi, script: str, **options: object) -> str:
    """Start a Job that runs a shell script, and return its id."""
    fields: dict[str, object] = {"namespace": "lab", "flavor": "cpu-basic", **options}
    return str(api.run_job(image=IMAGE, command=["sh", "-c", script], **fields).id)  # type: ignore[arg-type]  # options


def ended(api: HfApi, job: str) -> tuple[str, str | None]:
    """Wait for the end of a Job, and return its stage and message."""

    def look() -> tuple[str, str | None] | None:
        status = api.inspect_job(job_id=job, namespace="lab").status
        return (str(status.stage), status.message) if status.stage not in ("SCHEDULING", "RUNNING") else None

    return wait_until(look)


def test_a_job_runs_its_command_with_its_variables_and_nothing_of_the_server(
    ada: HfApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Job gets its variables, secrets and labels, and no variable of the server; the API hides its secrets."""
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
    """A Job that fails, times out or is cancelled has its own stage; cancelling an ended Job changes nothing."""
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
    """Jobs are listed newest first, filtered by stage and by labels, all of which must match."""
    mine = {"board": "b1"}
    jobs = [run(ada, "true", labels={**mine, "n": str(number)}) for number in range(3)]
    for job in jobs:
        ended(ada, job)
    assert [info.id for info in ada.list_jobs(namespace="lab", labels=mine)] == jobs[::-1]
    assert [info.id for info in ada.list_jobs(namespace="lab", labels={**mine, "n": "1"})] == [jobs[1]]
    assert list(ada.list_jobs(namespace="lab", labels=mine, status="RUNNING")) == []
    assert [hardware.name for hardware in ada.list_jobs_hardware()] == ["cpu-basic"]


def test_who_may_run_jobs_and_what_cannot_run(hub: LocalHub, ada: HfApi, tmp_path: Path) -> None:
    """Users without the right, unknown images, flavors and namespaces, and a Hub without Jobs are refused."""
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
    """With a fault the next Job is lost, runs twice, or ignores its cancellation."""
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


def test_a_webhook_starts_a_job_for_each_event(hub: LocalHub, ada: HfApi) -> None:
    """A webhook runs a copy of its Job for each event, with the event in variables and the webhook's own secrets."""
    source = run(ada, "echo $WEBHOOK_REPO_TYPE $WEBHOOK_REPO_ID $WEBHOOK_SECRET $TOKEN $OTHER.; echo $WEBHOOK_PAYLOAD",
                 labels={"sync": "b1"}, secrets={"OTHER": "not copied"})  # fmt: skip
    assert ended(ada, source) == ("COMPLETED", None)
    ada.create_repo("ada/data", repo_type="dataset")
    watched: list[dict[str, str] | Any] = [{"type": "dataset", "name": "ada/data"}]
    webhook = ada.create_webhook(job_id=source, watched=watched, domains=["repo"], secret="s", secrets={"TOKEN": "t0p"})
    assert webhook.url is None
    assert webhook.job is not None
    assert webhook.job.docker_image == IMAGE
    assert "t0p" not in repr(ada.get_webhook(webhook.id))
    hub.state.faults.webhooks.set(drop=1)
    for number in range(2):
        add = CommitOperationAdd(f"{number}", b"x")
        ada.create_commit("ada/data", [add], commit_message="Add", repo_type="dataset")
    assert hub.state.webhooks.drain()
    (job,) = [info.id for info in ada.list_jobs(namespace="lab", labels={"sync": "b1"}) if info.id != source]
    assert ended(ada, job) == ("COMPLETED", None)
    lines = [line.strip() for line in ada.fetch_job_logs(job_id=job, namespace="lab", follow=True)]
    assert lines[0] == "dataset ada/data s t0p ."
    assert json.loads(lines[1])["event"] == {"action": "update", "scope": "repo.content"}
    log = hub.state.webhooks.deliveries.log.latest(webhook.id, 5)
    assert [(entry.state, entry.status) for entry in log] == [("delivered", 200), ("dropped", None)]


def test_who_may_let_a_webhook_start_a_job(hub: LocalHub, ada: HfApi) -> None:
    """A webhook may start only Jobs that its owner may start; a webhook with both a URL and a Job is 400."""
    source = run(ada, "true")
    ada.create_repo("ada/other", repo_type="dataset")
    watched: list[dict[str, str] | Any] = [{"type": "dataset", "name": "ada/other"}]
    with pytest.raises(HfHubHTTPError) as refused:
        HfApi(hub.url, "hf_eve").create_webhook(job_id=source, watched=watched)
    assert refused.value.response.status_code == 403
    with pytest.raises(HfHubHTTPError) as missing:
        ada.create_webhook(job_id="0" * 24, watched=watched)
    assert missing.value.response.status_code == 404
    body = {"watched": watched, "domains": ["repo"]}
    target = {"url": "http://127.0.0.1:9/"}
    wrongs: tuple[dict[str, Any], ...] = (
        {},
        {**target, "jobSourceId": source},
        {**target, "secrets": {}},
        {"job": {"command": ["true"]}},
    )
    for wrong in wrongs:
        answer = httpx2.post(
            f"{hub.url}/api/settings/webhooks", json={**body, **wrong}, headers={"Authorization": "Bearer hf_ada"}
        )
        assert answer.status_code == 400, answer.text


def test_a_job_is_started_again_and_labelled_anew(ada: HfApi) -> None:
    """A duplicate is another Job with the same command, variables, secrets and labels; new labels replace all."""
    first = run(ada, "echo $A $B", env={"A": "1"}, secrets={"B": "2"}, labels={"kind": "first"})
    assert ended(ada, first)[0] == "COMPLETED"
    again = ada.rerun_job(job_id=first, namespace="lab")
    assert again.id != first and again.labels == ada.inspect_job(job_id=first, namespace="lab").labels
    assert ended(ada, again.id)[0] == "COMPLETED"
    assert [line.strip() for line in ada.fetch_job_logs(job_id=again.id, namespace="lab", follow=True)] == ["1 2"]
    assert ada.update_job_labels(job_id=first, namespace="lab", labels={"other": "x"}).labels == {"other": "x"}
    assert next(iter(ada.list_jobs(namespace="lab", labels={"other": "x"}))).id == first
    for wrong in ({"a/b": "x"}, {"a": "x.y"}, {"a": "x" * 101}):
        with pytest.raises(HfHubHTTPError) as refused:
            ada.update_job_labels(job_id=first, namespace="lab", labels=wrong)
        assert refused.value.response.status_code == 400


def test_a_job_finds_the_files_of_its_volumes(hub: LocalHub, ada: HfApi) -> None:
    """A Job can mount a repo at a commit; a repo or commit that its owner cannot read is 400."""
    ada.create_repo("ada/model")
    large = CommitOperationAdd("model.safetensors", b"\0" * 200)
    commit = ada.create_commit("ada/model", [large, CommitOperationAdd("sub/a.txt", b"old")], commit_message="Add").oid
    ada.create_commit("ada/model", [CommitOperationAdd("sub/a.txt", b"new")], commit_message="Change")
    volume = Volume(type="model", source="ada/model", mount_path="/mnt/model", revision=commit)
    script = "cat $M/sub/a.txt; echo; wc -c < $M/model.safetensors; cat $0"
    job = ada.run_job(image=IMAGE, command=["sh", "-c", script, "/mnt/model/sub/a.txt"], env={"M": "/mnt/model"},
                      namespace="lab", volumes=[volume]).id  # fmt: skip
    assert ended(ada, job) == ("COMPLETED", None)
    lines = [line.strip() for line in ada.fetch_job_logs(job_id=job, namespace="lab", follow=True)]
    assert lines == ["old", "200", "old"]
    assert ada.inspect_job(job_id=job, namespace="lab").volumes == [volume]
    HfApi(hub.url, "hf_eve").create_repo("eve/hidden", private=True)
    for source, revision in (("eve/hidden", "main"), ("ada/none", "main"), ("ada/model", "0" * 40)):
        with pytest.raises(HfHubHTTPError, match="cannot be mounted") as refused:
            run(ada, "true", volumes=[Volume(type="model", source=source, mount_path="/m", revision=revision)])
        assert refused.value.response.status_code == 400
