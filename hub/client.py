"""`Hub`, the client object with all reads and writes that Steward needs.

    hub = Hub("https://huggingface.co", token)
    requests = Repo("dataset", "open-llm-leaderboard/requests")
    hub.commit(requests, [WriteFile("a.json", b"{}")], "Add a", parent=hub.head(requests))

Its parts are `reads.py` (files, history, facts), `writes.py` (commits), `accounts.py` (users, members), `threads.py`
(discussions and pull requests), `admin.py` (repos, webhooks), `spaces.py` (settings of Spaces) and `jobs.py` (Jobs).
`session.py` makes one HTTP call; `calls.py` repeats it where `retries.py` says that this is safe.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from hub.admin import Admin
from hub.budget import Calls
from hub.jobs import JobCalls
from hub.retries import Retries
from hub.session import HubSession, OnCall
from hub.spaces import SpaceCalls
from hub.threads import ThreadCalls
from hub.writes import Writes


class Hub(Writes, ThreadCalls, Admin, SpaceCalls, JobCalls):
    """The Hub at `endpoint`, with `token` (None: anonymous). Safe to share between threads and over a fork.

    `timeout` in seconds, for each wait on the network. `on_call` gets the method and the route of every HTTP request.
    Less urgent calls raise RateLimited if few are left in the Hub's window: see `budget.urgency`. Every method raises
    HubError and no other exception of its own; see the tree in `errors.py`.
    """

    def __init__(
        self,
        endpoint: str,
        token: str | None,
        *,
        timeout: float = 20.0,
        retries: Retries | None = None,
        on_call: OnCall | None = None,
    ) -> None:
        def leaving(method: str, route: str) -> None:
            calls(method, route)
            if on_call is not None:
                on_call(method, route)

        super().__init__(HubSession(endpoint, token, timeout=timeout, on_call=leaving), retries or Retries())
        calls = Calls(self.session.limits)

    @property
    def endpoint(self) -> str:
        """The Hub's URL, without a slash at the end."""
        return self.session.endpoint

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
