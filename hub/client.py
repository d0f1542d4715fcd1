"""`Hub`: everything that Steward asks of the Hub and does there, in one object.

    hub = Hub("https://huggingface.co", token)
    requests = Repo("dataset", "open-llm-leaderboard/requests")
    hub.commit(requests, [Put("a.json", b"{}")], "Add a", parent=hub.head(requests))

The parts: `reads.py` (files, history, facts), `writes.py` (commits), `threads.py` (discussions and pull requests),
`admin.py` (repos, webhooks). Below them, `session.py` makes one HTTP call, `retries.py` repeats what may be repeated.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from hub.admin import Admin
from hub.budget import Calls
from hub.retries import Retries
from hub.session import HubSession, OnCall
from hub.threads import ThreadCalls
from hub.writes import Writes


class Hub(Writes, ThreadCalls, Admin):
    """The Hub at `endpoint`, in the name of `token` (None: as anybody). Safe to share between threads and over a fork.

    `timeout` in seconds, for each wait on the network. `on_call` is told method and route of every HTTP request. Calls
    that nobody waits for are refused (RateLimited) where few are left in the Hub's window: see `budget.urgency`.
    Every method raises HubError and nothing else of its own; see the tree in `errors.py`.
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
        """The Hub's address, without a slash at its end."""
        return self.session.endpoint

    def close(self) -> None:
        """Hangs up."""
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
