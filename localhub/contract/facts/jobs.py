"""Jobs: start, state, list, logs, cancel, labels, secrets, time limits. A Job costs money: `--jobs` allows it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from localhub.contract.checks import Differs, NotTried, check, check_date, check_equal, described, part
from localhub.contract.client import HubAnswer
from localhub.contract.guard import JOB_FLAVOR, JOB_LABEL
from localhub.contract.registry import FactGroup, Need
from localhub.contract.workspace import Workspace

jobs = FactGroup("jobs")

PAID: tuple[Need, ...] = ("jobs",)

LIVE = ("SCHEDULING", "RUNNING")
SECONDS, SHORT_SECONDS = 120, 2
"""Time limits: of a Job that ends by itself or is cancelled, and of the one that is cut."""
LOG_SECONDS = 10.0
"""How long the log of an ended Job is read: the Hub may leave the stream open."""
_MOST_READS = 8
_NO_JOB = "0" * 24
_SECRET, _VARIABLE = "CONTRACT_SECRET", "CONTRACT_VARIABLE"


def _address(ws: Workspace, *parts: str) -> str:
    return "/".join((f"/api/jobs/{ws.namespace}", *parts))


def _labels(ws: Workspace, kind: str) -> dict[str, str]:
    return {JOB_LABEL: ws.run_label, "kind": kind}


def _secret(ws: Workspace) -> str:
    return ws.once("secret of the Job", lambda: secrets.token_hex(16))


def _start(ws: Workspace, kind: str, script: str, seconds: int = SECONDS) -> Any:
    """Start a Job that runs a shell script; return the answer."""
    body = {
        "command": ["sh", "-c", script],
        "arguments": [],
        "dockerImage": ws.job_image,
        "flavor": JOB_FLAVOR,
        "timeoutSeconds": seconds,
        "environment": {_VARIABLE: "of the contract"},
        "secrets": {_SECRET: _secret(ws)},
        "labels": _labels(ws, kind),
    }
    return _admitted(ws, ws.client.post(_address(ws), json=body))


def _admitted(ws: Workspace, answer: HubAnswer) -> Any:
    """Let the run cancel the Job that was just started; return the answer. Raises NotTried if none may be started."""
    if answer.status in (402, 403):
        raise NotTried(f"the Hub starts no Jobs for this token: {answer.status} {answer.error}")
    job = answer.expect(200).json()
    ws.client.guard.jobs[str(part(job, "id"))] = None
    return job


def _completing_job(ws: Workspace) -> Any:
    """The answer to the start of a Job that ends well."""
    script = f'echo "$JOB_ID ${_VARIABLE} ${{#{_SECRET}}}"'
    return ws.once("a Job", lambda: _start(ws, "whole", script))


def _failing_job(ws: Workspace) -> Any:
    return ws.once("a Job that fails", lambda: _start(ws, "failing", "exit 3"))


def _endless_job(ws: Workspace) -> Any:
    return ws.once("a Job to cancel", lambda: _start(ws, "endless", f"sleep {SECONDS}"))


def _short_job(ws: Workspace) -> Any:
    return ws.once("a Job that takes too long", lambda: _start(ws, "short", f"sleep {SECONDS}", SHORT_SECONDS))


def _read(ws: Workspace, job: Any) -> Any:
    return ws.client.get(_address(ws, str(part(job, "id")))).expect(200).json()


def _await_stage(ws: Workspace, job: Any, wanted: Callable[[str], bool], expected: str) -> Any:
    """The Job once its stage is a wanted one. Raises Differs if it never is."""
    seen = ""

    def look() -> Any:
        nonlocal seen
        answer = _read(ws, job)
        seen = str(part(answer, "status", "stage"))
        return answer if wanted(seen) else None

    answer = ws.eventually(look, _MOST_READS)
    if answer is None:
        raise Differs(f"stage: {expected} within {ws.patience:.0f} s", f"stage: {seen}")
    return answer


def _await_end(ws: Workspace, job: Any) -> Any:
    return _await_stage(ws, job, lambda stage: stage not in LIVE, "an end")


def _listed(ws: Workspace, labels: Mapping[str, str], *more: tuple[str, str]) -> list[Any]:
    query = urlencode([*(("label", f"{name}={value}") for name, value in labels.items()), *more])
    answer = ws.client.get(f"{_address(ws)}?{query}").expect(200).json()
    check("the list", isinstance(answer, list), expected="a list", got=described(answer))
    return list(answer)


@jobs.fact(calls=1)
def flavors(ws: Workspace) -> None:
    """`GET /api/jobs/hardware` is a list with `name`, `unitCostMicroUSD` and `unitLabel: minute`."""
    answer = ws.client.get("/api/jobs/hardware").expect(200).json()
    (free,) = (each for each in answer if part(each, "name") == JOB_FLAVOR)
    check("price", int(part(free, "unitCostMicroUSD")) >= 0, expected="a number", got=free["unitCostMicroUSD"])
    check_equal("unitLabel", part(free, "unitLabel"), "minute")


@jobs.fact(calls=1)
def unknown(ws: Workspace) -> None:
    """A Job that does not exist is 404."""
    ws.client.get(_address(ws, _NO_JOB)).expect(404)


@jobs.fact(calls=1, needs=PAID)
def start(ws: Workspace) -> None:
    """A start is answered with `id`, `status.stage`, `createdAt`, `labels`, `flavor`, `dockerImage` and `owner`."""
    job = _completing_job(ws)
    check("stage", part(job, "status", "stage") in LIVE, expected="one of " + ", ".join(LIVE), got=job["status"])
    check_date("createdAt", part(job, "createdAt"))
    labels = {name: part(job, "labels").get(name) for name in _labels(ws, "whole")}
    check_equal("labels", labels, _labels(ws, "whole"))
    check_equal("flavor", part(job, "flavor"), JOB_FLAVOR)
    check_equal("dockerImage", part(job, "dockerImage"), ws.job_image)
    check_equal("owner", part(job, "owner", "name"), ws.namespace)


@jobs.fact(calls=_MOST_READS, needs=PAID)
def completed(ws: Workspace) -> None:
    """A command that ends well is COMPLETED, with `startedAt` before `finishedAt`."""
    job = _await_end(ws, _completing_job(ws))
    check_equal("stage", job["status"]["stage"], "COMPLETED")
    begin, end = (check_date(name, part(job, name)) for name in ("startedAt", "finishedAt"))
    check("finishedAt", begin <= end, expected="after startedAt", got=(job["startedAt"], job["finishedAt"]))


@jobs.fact(calls=_MOST_READS, needs=PAID)
def failed(ws: Workspace) -> None:
    """A command that ends with another status than 0 is ERROR."""
    check_equal("stage", _await_end(ws, _failing_job(ws))["status"]["stage"], "ERROR")


@jobs.fact(calls=_MOST_READS + 2, needs=PAID)
def secret(ws: Workspace) -> None:
    """The value of a secret is in no answer: not to the start, not of the Job, not in the list."""
    job = _completing_job(ws)
    texts = [str(job), str(_await_end(ws, job)), str(_listed(ws, _labels(ws, "whole")))]
    check("secret", not any(_secret(ws) in text for text in texts), expected="absent", got="there")


@jobs.choice(calls=1, needs=PAID)
def secret_names(ws: Workspace) -> None:
    """`secrets` of a Job is a list of their names."""
    check_equal("secrets", part(_read(ws, _completing_job(ws)), "secrets"), [_SECRET])


@jobs.fact(calls=_MOST_READS + 1, needs=PAID)
def logs(ws: Workspace) -> None:
    """`…/logs` of an ended Job are server-sent events with what it printed in `data`."""
    job = _await_end(ws, _completing_job(ws))
    answer = ws.client.get(_address(ws, job["id"], "logs"), seconds=LOG_SECONDS).expect(200)
    kind = answer.headers.get("content-type", "")
    check("Content-Type", kind.startswith("text/event-stream"), expected="text/event-stream", got=kind)
    events = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]
    printed = [str(part(event, "data")).strip() for event in events]
    expected = f"{job['id']} of the contract {len(_secret(ws))}"
    check("logs", expected in printed, expected=f"{expected!r}: JOB_ID, the variable, the secret's length", got=printed)


@jobs.fact(calls=2, needs=PAID)
def listed(ws: Workspace) -> None:
    """`label=name=value` lists the Jobs that have all the labels, and no others."""
    whole, failing = _completing_job(ws), _failing_job(ws)
    by_run = {str(part(each, "id")) for each in _listed(ws, {JOB_LABEL: ws.run_label})}
    check("Jobs of the run", {whole["id"], failing["id"]} <= by_run, expected="both", got=sorted(by_run))
    ids = {str(part(each, "id")) for each in _listed(ws, _labels(ws, "failing"))}
    check("Jobs with both labels", failing["id"] in ids, expected=failing["id"], got=sorted(ids))
    check("Jobs with both labels", whole["id"] not in ids, expected=f"not {whole['id']}", got=sorted(ids))


@jobs.fact(calls=_MOST_READS + 2, needs=PAID)
def listed_by_stage(ws: Workspace) -> None:
    """`stage=` lists the Jobs in a stage, and no others."""
    job = _await_end(ws, _failing_job(ws))
    for stage, expected in ((job["status"]["stage"], True), ("RUNNING", False)):
        ids = [each["id"] for each in _listed(ws, _labels(ws, "failing"), ("stage", stage))]
        check_equal(f"whether the Job is among those in {stage}", job["id"] in ids, expected)


@jobs.choice(calls=1, needs=PAID)
def newest_first(ws: Workspace) -> None:
    """The list begins with the newest Job."""
    whole, failing = _completing_job(ws), _failing_job(ws)
    order = [part(each, "createdAt") for each in _listed(ws, {JOB_LABEL: ws.run_label})]
    check_equal("createdAt", order, sorted(order, reverse=True))
    check("Jobs", whole["id"] != failing["id"], expected="two", got="one")


@jobs.fact(calls=_MOST_READS * 2 + 1, needs=PAID)
def cancel(ws: Workspace) -> None:
    """`POST …/cancel` ends a Job that runs: it is CANCELED."""
    job = _await_stage(ws, _endless_job(ws), lambda stage: stage != "SCHEDULING", "RUNNING")
    ws.client.post(_address(ws, job["id"], "cancel"), json={}).expect(200)
    check_equal("stage", _await_end(ws, job)["status"]["stage"], "CANCELED")


@jobs.choice(calls=_MOST_READS + 2, needs=PAID)
def cancel_of_ended(ws: Workspace) -> None:
    """A cancel of a Job that has ended is accepted, and changes nothing."""
    job = _await_end(ws, _failing_job(ws))
    ws.client.post(_address(ws, job["id"], "cancel"), json={}).expect(200)
    check_equal("stage", _read(ws, job)["status"]["stage"], job["status"]["stage"])


@jobs.fact(calls=_MOST_READS, needs=PAID)
def timeout(ws: Workspace) -> None:
    """A Job that takes longer than its `timeoutSeconds` is stopped: it is ERROR."""
    check_equal("stage", _await_end(ws, _short_job(ws))["status"]["stage"], "ERROR")


@jobs.fact(calls=1, needs=PAID)
def labels_replaced(ws: Workspace) -> None:
    """`PUT …/labels` replaces the labels of a Job."""
    labels = {**_labels(ws, "failing"), "changed": "yes"}
    answer = ws.client.call("PUT", _address(ws, _failing_job(ws)["id"], "labels"), json={"labels": labels})
    check_equal("labels", part(answer.expect(200).json(), "labels"), labels)


@jobs.fact(calls=1, needs=PAID)
def wrong_label(ws: Workspace) -> None:
    """Labels have at most 100 letters, digits, dashes and underscores: another one is refused."""
    labels = {**_labels(ws, "whole"), "wrong": "a/b"}
    ws.client.call("PUT", _address(ws, _completing_job(ws)["id"], "labels"), json={"labels": labels}).expect_refusal()


@jobs.fact(calls=1, needs=PAID)
def started_twice(ws: Workspace) -> None:
    """The same start again is another Job: nothing makes it idempotent."""
    first = _failing_job(ws)
    second = ws.once("the same Job again", lambda: _start(ws, "failing", "exit 3"))
    check("id", first["id"] != second["id"], expected="another one", got="the same")


@jobs.choice(calls=1, needs=PAID)
def duplicate(ws: Workspace) -> None:
    """`POST …/duplicate` starts another Job with the same command and labels."""
    source = _completing_job(ws)
    again = _admitted(ws, ws.client.post(_address(ws, source["id"], "duplicate"), json={}))
    check("id", part(again, "id") != source["id"], expected="another one", got=again["id"])
    check_equal("command", part(again, "command"), part(source, "command"))
    check_equal("labels", part(again, "labels"), part(source, "labels"))
