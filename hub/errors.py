"""The exceptions of the Hub client.

HubError                     every failure of the Hub, or of the network
├── NotFound                 404
│   ├── RepoNotFound         missing, or private and hidden from the token: the Hub does not say which
│   ├── RevisionNotFound
│   ├── EntryNotFound        no such file or folder at that revision
│   └── ThreadNotFound
├── Denied                   402, 403: the token has no permission, or a payment is missing
│   ├── BadToken             401: the Hub does not accept the token
│   ├── Gated                the repo is gated, and the account has no access
│   └── Disabled             the Hub disabled the repo, or 451: legal reasons
├── Conflict                 409: the repo is not in the expected state; nothing was changed
│   ├── StaleParent          412: the branch moved since it was read
│   ├── Busy                 409: another commit or creation is in progress; repeat at once
│   └── NotMergeable         a pull request that is a draft, closed, in conflict, or not at the approved commit
├── RateLimited              429: allowed again after `.seconds`; nothing was changed
├── TooLarge                 413, or a response larger than the caller's limit
├── BadRequest               400, 422 …: the call itself is wrong; repeating it does not help
└── Transient                500 …, timeouts, broken connections. A write MAY HAVE HAPPENED
    ├── Unreachable          no connection: nothing was sent, so nothing happened
    └── Garbled              the response is unreadable
"""

from __future__ import annotations


class HubError(Exception):
    """The root of all exceptions of `hub`. `str()` is a sentence for people, without secrets."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class NotFound(HubError):
    """The object does not exist, or is hidden from the token."""


class RepoNotFound(NotFound):
    """The token sees no such repo."""


class RevisionNotFound(NotFound):
    """The repo exists, but the branch, tag or commit does not."""


class EntryNotFound(NotFound):
    """There is no such file or folder at that revision."""


class ThreadNotFound(NotFound):
    """There is no discussion or pull request with that number."""


class Denied(HubError):
    """The account has no permission."""


class BadToken(Denied):
    """The Hub does not accept the token."""


class Gated(Denied):
    """The repo is gated, and the account has no access."""


class Disabled(Denied):
    """The Hub disabled the repo, or legal reasons forbid access."""


class Conflict(HubError):
    """The repo is not in the expected state; nothing was changed."""


class StaleParent(Conflict):
    """The branch moved since it was read."""


class Busy(Conflict):
    """Another operation on the repo is in progress."""


class NotMergeable(Conflict):
    """The pull request cannot be merged in its present state."""


class RateLimited(HubError):
    """Too many calls, or too many commits. `seconds` until the next try; `what` names the quota."""

    def __init__(
        self, message: str, *, seconds: float, what: str, status: int | None = 429, request_id: str | None = None
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.seconds = seconds
        self.what = what


class TooLarge(HubError):
    """More bytes than the caller, or the Hub, accepts."""


class BadRequest(HubError):
    """The call itself is wrong."""


class Transient(HubError):
    """The Hub or the network failed. A write may or may not have happened."""


class Unreachable(Transient):
    """No connection was made, so nothing happened."""


class Garbled(Transient):
    """The response does not follow the Hub's protocol."""
