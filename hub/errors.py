"""What can go wrong at the Hub.

HubError                     anything the Hub, or the way to it, did not let us do
├── NotFound                 404
│   ├── RepoNotFound         missing, or private and hidden from our token: the Hub does not say which
│   ├── RevisionNotFound
│   ├── EntryNotFound        no such file or folder at that revision
│   └── ThreadNotFound
├── Denied                   402, 403: the token may not do this, or not before somebody has paid
│   ├── BadToken             401: the token itself is not accepted
│   ├── Gated                the repo asks for permission that our account was not given
│   └── Disabled             the Hub switched the repo off, or 451: the law does not allow it
├── Conflict                 409: the repo is not as the call expected; nothing was changed
│   ├── StaleParent          412: the branch moved since it was read
│   ├── Busy                 409: another commit or creation is under way; worth repeating at once
│   └── NotMergeable         a pull request that is a draft, closed, in conflict, or not at the approved commit
├── RateLimited              429: allowed again after `.seconds`; nothing was changed
├── TooLarge                 413, or an answer larger than the caller's bound
├── BadRequest               400, 422 …: the call itself is wrong, repeating it cannot help
└── Transient                500 …, timeouts, cut connections. A write MAY HAVE HAPPENED
    ├── Unreachable          no connection was made: nothing was sent, so nothing happened
    └── Garbled              an answer came, but nobody can read it
"""

from __future__ import annotations


class HubError(Exception):
    """Root of everything that the room `hub` raises. `str()` is a sentence for people, without secrets."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class NotFound(HubError):
    """The thing named is not there, or is hidden from us."""


class RepoNotFound(NotFound):
    """No such repo that our token may see."""


class RevisionNotFound(NotFound):
    """The repo exists, the branch, tag or commit does not."""


class EntryNotFound(NotFound):
    """No such file or folder at that revision."""


class ThreadNotFound(NotFound):
    """No discussion or pull request of that number."""


class Denied(HubError):
    """Our account may not do this."""


class BadToken(Denied):
    """The Hub does not accept the token."""


class Gated(Denied):
    """The repo's owner has to let our account in first."""


class Disabled(Denied):
    """The Hub switched this repo off, or the law does not allow that it is shown."""


class Conflict(HubError):
    """The repo is not in the state that the call expected; nothing was changed."""


class StaleParent(Conflict):
    """The branch moved since it was read."""


class Busy(Conflict):
    """Another operation holds the repo for a moment."""


class NotMergeable(Conflict):
    """The pull request cannot be merged as it stands."""


class RateLimited(HubError):
    """Too many calls, or too many commits. `seconds` until it may be tried again; `what` names the quota."""

    def __init__(
        self, message: str, *, seconds: float, what: str, status: int | None = 429, request_id: str | None = None
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.seconds = seconds
        self.what = what


class TooLarge(HubError):
    """More bytes than the caller, or the Hub, is ready to take."""


class BadRequest(HubError):
    """The call itself is wrong."""


class Transient(HubError):
    """The Hub stumbled. If the call was a write, it may or may not have happened."""


class Unreachable(Transient):
    """No connection was made, hence nothing happened."""


class Garbled(Transient):
    """The answer is not what the Hub's protocol promises."""
