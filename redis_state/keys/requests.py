"""Keys of requests: the index, the queue, durations, scores.

All of them can be read from the Hub again, except measurements.
"""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class RequestKeys(BoardKeys):
    """Keys of the index, the queue and measurements."""

    @property
    def requests(self) -> str:
        """Hash: request path → JSON of its index entry, as its last sync saw it."""
        return self._key("requests")

    @property
    def models(self) -> str:
        """Sorted set, all with the same score: `{model in lower case}\\0{path}` of each request."""
        return self._key("models")

    @property
    def weights(self) -> str:
        """Sorted set, all with the same score: `{digest of the weights}\\0{path}` of each judged request."""
        return self._key("weights")

    def submissions(self, kind: str, name: str) -> str:
        """Sorted set: request paths of one `submitter` or `organisation`, by time of submission."""
        return self._key("submissions", kind, name)

    def catalog(self, by: str = "", value: str = "") -> str:
        """Sorted set: request paths of all requests, or of one `status` or `submitter`, by time of submission."""
        return self._key("catalog", by, value) if by else self._key("catalog")

    @property
    def busy(self) -> str:
        """Set: paths of the requests that are in RQ or run."""
        return self._key("busy")

    @property
    def unjudged(self) -> str:
        """Set: paths of the requests whose file was seen but not judged yet."""
        return self._key("unjudged")

    @property
    def request_changes(self) -> str:
        """Stream: `paths`, as JSON, of requests whose entry was added, removed or changed; the newest few thousand."""
        return self._key("request-changes")

    @property
    def request_threads(self) -> str:
        """Hash: number of a thread in the requests repo → path of its request."""
        return self._key("request-threads")

    @property
    def origins(self) -> str:
        """Hash: request path → JSON of its origin: the submitter, and how the file was submitted."""
        return self._key("origins")

    def followers(self, path: str) -> str:
        """Set: dirty keys of the threads that wait for the end of the request at `path`."""
        return self._key("followers", path)

    @property
    def relaunches(self) -> str:
        """Sorted set: the causes of relaunches by people, by time."""
        return self._key("relaunches")

    @property
    def waiting(self) -> str:
        """Hash: path of a request that waits for dispatch → JSON of the facts that decide its position."""
        return self._key("waiting")

    @property
    def waiting_changes(self) -> str:
        """Sorted set: paths whose field of `waiting` was added, removed or changed, by the version after the change."""
        return self._key("waiting-changes")

    @property
    def waiting_version(self) -> str:
        """String: the first version of `waiting` and the current one, which rises with each change."""
        return self._key("waiting-version")

    @property
    def turns(self) -> str:
        """Hash: submitter → when their last attempt was claimed."""
        return self._key("turns")

    @property
    def pauses(self) -> str:
        """Hash: the file of pauses as last read, and its git blob id."""
        return self._key("pauses")

    @property
    def durations(self) -> str:
        """Hash: `suite size` → JSON of the seconds that each of the last evaluations of that kind took."""
        return self._key("durations")

    @property
    def experience(self) -> str:
        """Hash: level of a round → JSON of the last waits in it, as shares of the expected wait."""
        return self._key("experience")

    def timings(self, day: int) -> str:
        """Hash: kind of wait, end or queue length on one day, numbered from the epoch → its count."""
        return self._key("timings", str(day))

    @property
    def timed(self) -> str:
        """Sorted set: attempts whose start or end was counted within a month, by time."""
        return self._key("timed")

    @property
    def spent(self) -> str:
        """Hash: attempt that ended within a day → JSON of its GPU-seconds, tier and submitter."""
        return self._key("spent")

    @property
    def spent_requests(self) -> str:
        """Hash: request path → GPU-seconds of all its ended attempts."""
        return self._key("spent-requests")

    @property
    def scores(self) -> str:
        """Hash: path of a finished request → JSON of its scores."""
        return self._key("scores")

    @property
    def scores_state(self) -> str:
        """Hash: `filled`, the source from which scores were last filled; `told`, the last commit of another program in
        the results repo."""
        return self._key("scores-state")

    @property
    def licences(self) -> str:
        """Hash: model with a finished request → its licence on the Hub, "" if it names none."""
        return self._key("licences")
