"""Removes what a run made, and what earlier runs left behind. Jobs come first: they cost money while they run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from localhub.contract.checks import Differs, NotTried, part
from localhub.contract.client import ContractClient
from localhub.contract.guard import JOB_LABEL, MOST_JOBS
from localhub.contract.paging import next_page
from localhub.contract.scratch import PREFIX, RepoKind, ScratchRepo, is_run_label, is_scratch_name

_HOOKS = "/api/settings/webhooks"
_MOST_PAGES = 20
_TRIES, _CALLS = 2, 6
"""Attempts at one removal, and the most calls that they make: the client repeats calls after rate limits."""
_GONE = (200, 204, 301, 307, 308, 404)
"""Statuses which mean that no repo has the name: it was removed, renamed, or never created."""


def remove_all(client: ContractClient) -> list[str]:
    """Remove the webhooks and repos that the guard allows to write to, and cancel its Jobs that run.

    Return a sentence for each that stays.
    """
    guard = client.guard
    client.budget.most = client.budget.used + _CALLS * (len(guard.repos) + len(guard.webhooks) + MOST_JOBS + 1)
    problems = []
    if guard.jobs_started or guard.jobs:
        problems += _cancel_jobs(client)
    for hook in reversed(list(guard.webhooks)):
        problems += _remove(client, f"webhook {hook}", f"{_HOOKS}/{hook}", None)
    for repo in reversed(list(guard.repos)):
        body = {"name": repo.name, "organization": repo.owner, "type": repo.kind}
        problems += _remove(client, f"{repo.kind} {repo.id}", "/api/repos/delete", body)
    return problems


def _remove(client: ContractClient, name: str, path: str, body: object) -> list[str]:
    why = ""
    for _ in range(_TRIES):
        try:
            answer = client.call("DELETE", path, json=body)
        except NotTried as error:
            why = str(error)
            continue
        if answer.status in _GONE:
            return []
        why = f"{answer.status} {answer.error}"
    return [f"The {name} could not be removed: {why}"]


def _cancel_jobs(client: ContractClient) -> list[str]:
    """Cancel the Jobs that the guard knows, and those of its run whose start was not answered; return what failed."""
    guard, problems = client.guard, []
    try:
        live = {
            job for job, label in _live_jobs(client, guard.namespace) if job in guard.jobs or label == guard.run_label
        }
    except (Differs, NotTried) as error:
        live = set(guard.jobs)
        problems = [f"The Jobs of {guard.namespace} cannot be listed: {error}"]
    for job in (*guard.jobs, *(live - guard.jobs.keys())):
        guard.jobs[job] = None
        try:
            answer = client.post(f"/api/jobs/{guard.namespace}/{job}/cancel", json={})
        except NotTried as error:
            problems.append(f"The Job {job} could not be cancelled: {error}")
            continue
        # A Hub may refuse to cancel one that has ended, perhaps since it was listed.
        if job in live and answer.status not in _GONE and not _has_ended(client, job):
            problems.append(f"The Job {job} could not be cancelled: {answer.status} {answer.error}")
    return problems


def _has_ended(client: ContractClient, job: str) -> bool:
    """Whether a Job of this run has ended; False if the Hub does not answer."""
    try:
        answer = client.get(f"/api/jobs/{client.guard.namespace}/{job}").expect(200)
        return part(part(answer.json(), "status"), "stage") not in ("SCHEDULING", "RUNNING")
    except (Differs, NotTried):
        return False


def _live_jobs(client: ContractClient, namespace: str) -> Iterator[tuple[str, str]]:
    """The Jobs of all contract runs in `namespace` that wait or run, with their runs' labels."""
    answer = client.get(f"/api/jobs/{namespace}?stage=SCHEDULING&stage=RUNNING").expect(200)
    for _ in range(_MOST_PAGES):
        for job in answer.json():
            label = str((job.get("labels") or {}).get(JOB_LABEL, ""))  # a Job without the label is of no contract run
            if is_run_label(label):
                yield str(part(job, "id")), label
        if not (following := next_page(answer)):
            return
        answer = client.get(following).expect(200)
    raise Differs(f"at most {_MOST_PAGES} pages of Jobs", "more")


def admit_left_overs(client: ContractClient, namespace: str) -> list[str]:
    """Find what earlier runs left in `namespace`, let the guard allow its removal, and return its names.

    Raises Differs and NotTried if the lists cannot be read.
    """
    client.budget.most = client.budget.used + 5 * _MOST_PAGES
    names = []
    for kind in get_args(RepoKind):
        for repo in _left_repos(client, namespace, kind):
            client.guard.admit_repo(repo)
            names.append(f"{repo.kind} {repo.id}")
    for hook in client.get(_HOOKS).expect(200).json():
        watched = [str(item["name"]) for item in hook.get("watched") or ()]
        if watched and all(_is_left(name, namespace) for name in watched):
            client.guard.webhooks[str(hook["id"])] = None
            names.append(f"webhook {hook['id']}")
    return names + _left_jobs(client, namespace)


def _left_jobs(client: ContractClient, namespace: str) -> list[str]:
    """Admit the Jobs of earlier runs that still run; return their names, or [] if the token may not list Jobs."""
    try:
        live = [job for job, _ in _live_jobs(client, namespace)]
    except Differs:
        return []
    client.guard.jobs |= dict.fromkeys(live)
    return [f"job {job}" for job in live]


def _left_repos(client: ContractClient, namespace: str, kind: RepoKind) -> Iterator[ScratchRepo]:
    answer = client.get(f"/api/{kind}s", params={"author": namespace, "search": PREFIX, "limit": "100"}).expect(200)
    for _ in range(_MOST_PAGES):
        items: list[Any] = answer.json()
        names = [str(item["id"]) for item in items]
        yield from (ScratchRepo(kind, name) for name in names if _is_left(name, namespace))
        if not (following := next_page(answer)):
            return
        answer = client.get(following).expect(200)
    raise Differs(f"at most {_MOST_PAGES} pages of {kind}s", "more")


def _is_left(repo_id: str, namespace: str) -> bool:
    owner, _, name = repo_id.partition("/")
    return owner == namespace and is_scratch_name(name)
