"""Jobs: `/api/jobs/{namespace}`, and the hardware that they may ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from localhub.accounts.store import Account, Caller
from localhub.errors import BadRequest, Forbidden, HubError
from localhub.http.paging import link_next
from localhub.http.routing import HubRouter
from localhub.jobs.store import Job, JobSpec
from localhub.json_values import JsonObject
from localhub.repos.volumes import Volume
from localhub.routes.dependencies import CallerDep, StateDep, public_url
from localhub.state import HubState

router = HubRouter(prefix="/api/jobs", tags=["jobs"])

PAGE = 100
DEFAULT_SECONDS = 1_800
Id = Annotated[str, Path(max_length=64)]
Namespace = Annotated[str, Path(max_length=200)]
Text = Annotated[str, Field(max_length=10_000)]
_Label = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_-]*$")]
Labels = Annotated[dict[_Label, _Label], Field(max_length=50)]
WRITERS = ("admin", "write", "contributor")


class JobBody(BaseModel):
    """A Job to start. Retries and exposed ports are accepted, and not acted on."""

    command: list[Text] = Field(min_length=1, max_length=1_000)
    arguments: list[Text] = Field(default_factory=list, max_length=1_000)
    environment: dict[str, Text] = Field(default_factory=dict, max_length=200)
    secrets: dict[str, Text] = Field(default_factory=dict, max_length=200)
    flavor: str = Field(max_length=100)
    dockerImage: str | None = Field(None, max_length=500)  # noqa: N815 (the Hub's word)
    spaceId: str | None = Field(None, max_length=200)  # noqa: N815 (the Hub's word)
    timeoutSeconds: float = Field(DEFAULT_SECONDS, gt=0)  # noqa: N815 (the Hub's word)
    labels: Labels = Field(default_factory=dict)
    volumes: list[Volume] = Field(default_factory=list, max_length=50)


class NewLabels(BaseModel):
    """The labels that replace those of a Job."""

    labels: Labels


@router.get("/hardware")
def hardware(state: StateDep) -> list[JsonObject]:
    """The flavors, with their prices."""
    return [
        {"name": name, "prettyName": name, "cpu": "2 vCPU", "ram": "16 GB", "accelerator": None,
         "unitCostMicroUSD": price, "unitCostUSD": price / 1_000_000, "unitLabel": "minute"}
        for name, price in state.jobs.settings.flavors.items()
    ]  # fmt: skip


@router.get("/{namespace}")
def list_jobs(
    request: Request,
    response: Response,
    state: StateDep,
    caller: CallerDep,
    namespace: Namespace,
    label: Annotated[list[str] | None, Query()] = None,
    stage: Annotated[list[str] | None, Query()] = None,
    cursor: str = "0",
) -> list[JsonObject]:
    """The Jobs of a namespace with all these labels, newest first [?]."""
    owner = namespace_owner(state, caller, namespace, write=False)
    pairs = [(name, value) for name, _, value in (each.partition("=") for each in label or ())]
    jobs = state.job_store.of_owner(owner.id, pairs, stage or ())
    begin = int(cursor) if cursor.isascii() and cursor.isdecimal() else 0
    link_next(request, response, public_url(request), end=begin + PAGE, total=len(jobs))
    return [_json(state, owner, job) for job in jobs[begin : begin + PAGE]]


@router.post("/{namespace}")
def start_job(state: StateDep, caller: CallerDep, namespace: Namespace, body: JobBody) -> JsonObject:
    """Start a Job."""
    owner = namespace_owner(state, caller, namespace, write=True)
    if (body.dockerImage is None) == (body.spaceId is None):
        raise BadRequest("✖ dockerImage or spaceId is needed, and not both")
    for volume in body.volumes:
        state.volumes.check(caller, volume)
    spec = JobSpec(
        command=(*body.command, *body.arguments),
        image=body.dockerImage or f"spaces/{body.spaceId}",
        flavor=body.flavor,
        environment=body.environment,
        labels=body.labels,
        seconds=body.timeoutSeconds,
        volumes=[volume.model_dump(exclude_none=True) for volume in body.volumes],
    )
    job = state.jobs.start(owner.id, caller.require_account().id, spec, body.secrets)
    return _json(state, owner, job)


@router.get("/{namespace}/{job_id}")
def read_job(state: StateDep, caller: CallerDep, namespace: Namespace, job_id: Id) -> JsonObject:
    """One Job."""
    owner = namespace_owner(state, caller, namespace, write=False)
    return _json(state, owner, state.job_store.get(job_id, owner.id))


@router.get("/{namespace}/{job_id}/logs")
def read_logs(
    state: StateDep,
    caller: CallerDep,
    namespace: Namespace,
    job_id: Id,
    tail: Annotated[int | None, Query(ge=0)] = None,
) -> StreamingResponse:
    """What a Job prints until it ends, as server-sent events."""
    owner = namespace_owner(state, caller, namespace, write=False)
    job = state.job_store.get(job_id, owner.id)

    def events() -> Iterator[str]:
        for line in state.jobs.lines(job.id, tail):
            yield f"data: {json.dumps({'data': line, 'timestamp': job.created_at})}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@router.post("/{namespace}/{job_id}/cancel")
def cancel_job(state: StateDep, caller: CallerDep, namespace: Namespace, job_id: Id) -> JsonObject:
    """Cancel a Job; one that has ended stays as it is [?]."""
    owner = namespace_owner(state, caller, namespace, write=True)
    state.jobs.cancel(state.job_store.get(job_id, owner.id))
    return _json(state, owner, state.job_store.get(job_id, owner.id))


@router.post("/{namespace}/{job_id}/duplicate")
def duplicate_job(state: StateDep, caller: CallerDep, namespace: Namespace, job_id: Id) -> JsonObject:
    """Start a Job like another one: labels, secrets and all [?]."""
    owner = namespace_owner(state, caller, namespace, write=True)
    source = state.job_store.get(job_id, owner.id)
    return _json(state, owner, state.jobs.duplicate(source, caller.require_account().id))


@router.put("/{namespace}/{job_id}/labels")
def set_labels(state: StateDep, caller: CallerDep, namespace: Namespace, job_id: Id, body: NewLabels) -> JsonObject:
    """Replace the labels of a Job."""
    owner = namespace_owner(state, caller, namespace, write=True)
    return _json(state, owner, state.job_store.relabel(job_id, owner.id, body.labels))


def namespace_owner(state: HubState, caller: Caller, namespace: str, *, write: bool) -> Account:
    """The account of `namespace`, if the caller may see its Jobs, or `write` them. 404 and 403 otherwise [?]."""
    account = caller.require_account()
    owner = state.accounts.by_name(namespace)
    role = "admin" if owner is not None and owner.id == account.id else None
    if owner is not None and role is None:
        role = state.accounts.role(owner.id, account.id)
    if owner is None or role is None:
        raise HubError(404, "Namespace not found")
    allows = caller.token is None or caller.token.role == "write" or caller.token.grants(owner, "job.write")
    if write and (role not in WRITERS or not allows):
        raise Forbidden(f"This token may not start or cancel Jobs of {owner.name}.")
    return owner


def _json(state: HubState, owner: Account, job: Job) -> JsonObject:
    """A Job as the API shows it, with only the names of its secrets."""
    initiator = state.accounts.by_id(job.initiator_id)
    is_space = job.spec.image.startswith("spaces/")
    return {
        "id": job.id,
        "createdAt": job.created_at,
        "startedAt": job.started_at,
        "finishedAt": job.finished_at,
        "dockerImage": None if is_space else job.spec.image,
        "spaceId": job.spec.image.removeprefix("spaces/") if is_space else None,
        "command": list(job.spec.command),
        "arguments": [],
        "environment": dict(job.spec.environment),
        "secrets": list(job.spec.secret_names),
        "flavor": job.spec.flavor,
        "labels": dict(job.spec.labels),
        "volumes": list(job.spec.volumes) or None,
        "status": {"stage": job.stage, "message": job.message},
        "durations": _durations(state, job),
        "owner": {"id": owner.id, "name": owner.name, "type": owner.kind},
        "initiator": {"type": "user", "id": job.initiator_id, "name": initiator.name if initiator else None},
    }


def _durations(state: HubState, job: Job) -> JsonObject:
    now = state.clock.now()
    created, started, finished = (
        datetime.fromisoformat(time) if time else None for time in (job.created_at, job.started_at, job.finished_at)
    )
    assert created is not None
    end = finished or now
    return {
        "schedulingSecs": int((started - created).total_seconds()) if started else None,
        "runningSecs": int((end - started).total_seconds()) if started else None,
        "totalSecs": int((end - created).total_seconds()),
    }
