"""The exceptions of the Hub client."""

from __future__ import annotations


class HubError(Exception):
    """Every failure of the Hub or of the network. `str()` is a sentence for people, without secrets.

    `path` is the path of the call on the Hub, "" if it is not known.
    """

    path = ""

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class NotFound(HubError):
    """404: the object does not exist, or is hidden from the token."""


class RepoNotFound(NotFound):
    """The repo is missing, or private and hidden from the token: the Hub does not say which."""


class RevisionNotFound(NotFound):
    """The repo exists, but the branch, tag or commit does not."""


class EntryNotFound(NotFound):
    """There is no such file or folder at that revision."""


class ThreadNotFound(NotFound):
    """There is no discussion or pull request with that number."""


class Denied(HubError):
    """402, 403: the account has no permission, or a payment is missing."""


class BadToken(HubError):
    """401: the Hub does not accept the token. It says nothing about the repo of the call, so it is not Denied."""


class Gated(Denied):
    """The repo is gated, and the account has no access."""


class Disabled(Denied):
    """The Hub disabled the repo, or (451) legal reasons forbid access."""


class Conflict(HubError):
    """409: the repo is not in the expected state; nothing was changed."""


class StaleParent(Conflict):
    """412: the branch moved since it was read."""


class Busy(Conflict):
    """409: another commit or creation is in progress; repeat at once."""


class NotMergeable(Conflict):
    """The pull request is a draft, closed, in conflict, or not at the approved commit."""


class RateLimited(HubError):
    """429: too many calls or commits; nothing was changed. `seconds` until the next try; `what` names the quota."""

    def __init__(
        self, message: str, *, seconds: float, what: str, status: int | None = 429, request_id: str | None = None
    ) -> None:
        super().__init__(message, status=status, request_id=request_id)
        self.seconds = seconds
        self.what = what


class TooLarge(HubError):
    """413, or a response of more bytes than the caller accepts, or nested more deeply than can be read."""


class BadRequest(HubError):
    """400, 422 and the like: the call itself is wrong; repeating it does not help."""


class Transient(HubError):
    """500 and the like, timeouts, broken connections. A write may or may not have happened."""


class Unreachable(Transient):
    """No connection was made, so nothing happened."""


class Garbled(Transient):
    """The response does not follow the Hub's protocol."""
