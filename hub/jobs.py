"""Jobs on the Hub: the commands of a namespace that run in containers. Listing, starting and cancelling them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from hub import parse
from hub.calls import HubCalls
from hub.errors import NotFound
from hub.records import HubJob


class JobCalls(HubCalls):
    """The part of `Hub` for Jobs."""

    def jobs(self, namespace: str, labels: Mapping[str, str], stages: Sequence[str] = ()) -> Iterator[HubJob]:
        """Yield the Jobs of `namespace` with all `labels`, in any order: those in `stages`, or all of them."""
        asked = [("label", f"{name}={value}") for name, value in labels.items()]
        query = urlencode([*asked, *(("stage", stage) for stage in stages)])
        for item in self._pages(f"{_address(namespace)}?{query}", "jobs", {}):
            yield parse.parsed(_job, item)

    def job_flavors(self) -> frozenset[str]:
        """Return the names of the hardware on which Jobs run."""
        answer = self._get("/api/jobs/hardware", "jobs-hardware").json()
        return parse.parsed(lambda it: frozenset(str(flavor["name"]) for flavor in it), answer)

    def start_job(self, namespace: str, specification: Mapping[str, Any]) -> HubJob:
        """Start a Job, in one call that is not repeated. After Transient, the Job may run: find it by its labels."""

        def once() -> HubJob:
            answer = self.session.send("POST", _address(namespace), route="job", json=dict(specification))
            return parse.parsed(_job, answer.json())

        return self.retries.call(once, repeatable=False)

    def cancel_job(self, namespace: str, job: str) -> bool:
        """Cancel a Job. Return False if there is no such Job. Cancelling one that ended changes nothing."""
        try:
            self._repeated("POST", f"{_address(namespace)}/{quote(job, safe='')}/cancel", "job-cancel", None)
        except NotFound:
            return False
        return True


def _address(namespace: str) -> str:
    return f"/api/jobs/{quote(namespace, safe='')}"


def _job(item: Any) -> HubJob:
    def time(name: str) -> float:
        return parse.when(item[name]).timestamp() if item.get(name) else 0.0

    return HubJob(
        id=str(item["id"]),
        stage=str(item["status"]["stage"]),
        labels={str(name): str(value) for name, value in (item.get("labels") or {}).items()},
        created=time("createdAt"),
        started=time("startedAt"),
        ended=time("finishedAt"),
    )
