"""What is known of requests: the index, the queue, how long things take, what they came to.

All of it can be read again from the Hub, but for the figures of what was measured.
"""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class RequestKeys(BoardKeys):
    """The index, the queue, and what was measured."""

    @property
    def requests(self) -> str:
        """Hash: request path → JSON of what its last sync saw."""
        return self._key("requests")

    @property
    def models(self) -> str:
        """Sorted set, all with the same score: `{model in lower case}\\0{path}` of each request."""
        return self._key("models")

    @property
    def weights(self) -> str:
        """Sorted set, all with the same score: `{digest of the weights}\\0{path}` of each request that was judged."""
        return self._key("weights")

    def submissions(self, kind: str, name: str) -> str:
        """Sorted set: request path by the time of its submission, of one `submitter` or `organisation`."""
        return self._key("submissions", kind, name)

    def catalog(self, by: str = "", value: str = "") -> str:
        """Sorted set: request path by the time of its submission; of all, or of one `status` or `submitter`."""
        return self._key("catalog", by, value) if by else self._key("catalog")

    @property
    def busy(self) -> str:
        """Set: paths of the requests that lie in RQ or run."""
        return self._key("busy")

    @property
    def unjudged(self) -> str:
        """Set: paths of the requests whose file was seen and not judged yet."""
        return self._key("unjudged")

    @property
    def request_changes(self) -> str:
        """Stream: `paths`, as JSON, of requests whose entry came, went or changed; the newest few thousand."""
        return self._key("request-changes")

    @property
    def request_threads(self) -> str:
        """Hash: number of a thread in the requests repo → path of the request that it is about."""
        return self._key("request-threads")

    @property
    def origins(self) -> str:
        """Hash: request path → JSON of who submitted it, and how."""
        return self._key("origins")

    def followers(self, path: str) -> str:
        """Set: dirty keys of the threads that wait for the end of the request at `path`."""
        return self._key("followers", path)

    @property
    def relaunches(self) -> str:
        """Sorted set: what caused a relaunch by a person → when."""
        return self._key("relaunches")

    @property
    def waiting(self) -> str:
        """Hash: path of a request that waits for its turn → JSON of what decides about it."""
        return self._key("waiting")

    @property
    def waiting_changes(self) -> str:
        """Sorted set: path whose line in `waiting` came, went or changed, by the version that this made."""
        return self._key("waiting-changes")

    @property
    def waiting_version(self) -> str:
        """String: the first version of `waiting` and the present one, which rises with every change of it."""
        return self._key("waiting-version")

    @property
    def turns(self) -> str:
        """Hash: submitter → when the last attempt of theirs was claimed."""
        return self._key("turns")

    @property
    def pauses(self) -> str:
        """Hash: the file of pauses as it was last read, and its git blob id."""
        return self._key("pauses")

    @property
    def durations(self) -> str:
        """Hash: `suite size` → JSON of how many seconds each of the last evaluations of that kind took."""
        return self._key("durations")

    @property
    def experience(self) -> str:
        """Hash: level of a round → JSON of how long the last ones in it waited, as shares of what was expected."""
        return self._key("experience")

    def timings(self, day: int) -> str:
        """Hash: what was counted on one day, counted from the epoch, of waits, ends and the queue → how often."""
        return self._key("timings", str(day))

    @property
    def timed(self) -> str:
        """Sorted set: attempts whose beginning or end was counted within a month, by time."""
        return self._key("timed")

    @property
    def spent(self) -> str:
        """Hash: attempt that ended within a day → JSON of its GPU-seconds and whose they are."""
        return self._key("spent")

    @property
    def spent_requests(self) -> str:
        """Hash: request path → GPU-seconds of all of its attempts that ended."""
        return self._key("spent-requests")

    @property
    def scores(self) -> str:
        """Hash: path of a request that finished → JSON of its scores."""
        return self._key("scores")

    @property
    def scores_state(self) -> str:
        """Hash: `filled`, a word for what the scores were filled up from last; `told`, the commit of the results repo
        at which somebody else changed it last."""
        return self._key("scores-state")

    @property
    def licences(self) -> str:
        """Hash: model with a finished request → its licence as the Hub has it, "" where it names none."""
        return self._key("licences")
