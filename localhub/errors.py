"""Errors of the server, and the answers that they become.

The client derives its exceptions from the headers, not from the body; over plain http it reads nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse


class HubError(Exception):
    """An answer other than success; becomes JSON `{"error": message}` with the Hub's error headers.

    `extra` goes into that JSON beside the message.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def response(self) -> JSONResponse:
        """The answer in the Hub's format."""
        headers = dict(self.headers)
        if header_text(self.message) == self.message:
            # A client prefers the header to the body, so a message that a header cannot carry goes only into the body.
            headers["X-Error-Message"] = self.message
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": printable(self.message), **self.extra}, self.status, headers)


class RepoNotFound(HubError):
    """The repo does not exist, or is hidden from this caller."""

    def __init__(self) -> None:
        super().__init__(404, "Repository not found", "RepoNotFound")


class RevisionNotFound(HubError):
    """There is no branch, tag or commit of that name."""

    def __init__(self, revision: str) -> None:
        super().__init__(404, f"Invalid rev id: {revision}", "RevisionNotFound")


class EntryNotFound(HubError):
    """There is no file or folder at that path of the revision; with `commit` the client caches the absence."""

    def __init__(self, path: str, commit: str | None = None, message: str = "Entry not found") -> None:
        headers = {"X-Repo-Commit": commit} if commit else {}
        super().__init__(404, f"{message}: {path}", "EntryNotFound", headers)


class GatedRepo(HubError):
    """Only users with granted access may read the repo's files."""

    def __init__(self, repo_type: str, full_name: str, address: str, *, logged_in: bool) -> None:
        restricted = f"Access to {repo_type} {full_name} is restricted"
        message = (
            f"{restricted} and you are not in the authorized list. Visit {address} to ask for access."
            if logged_in
            else f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
        )
        super().__init__(403 if logged_in else 401, message, "GatedRepo")


class Forbidden(HubError):
    """The caller has an account, but not the right to do this."""

    def __init__(self, message: str) -> None:
        super().__init__(403, message)


class Unauthorized(HubError):
    """The call needs an account, or its token is unknown."""

    def __init__(self, message: str = "Invalid username or password.") -> None:
        super().__init__(401, message)


class BadRequest(HubError):
    """The request is invalid; the message says how to correct it."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


class StaleParent(HubError):
    """The branch has moved from the commit that the caller built on."""

    def __init__(self) -> None:
        super().__init__(412, "The branch was updated since you opened this page. Please refresh and try again.")


class RepoMoved(HubError):
    """The repo was renamed: redirects to the same request under the new name."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(307, f"{old} is now {new}")
        self.old = old
        self.new = new


class SetupError(ValueError):
    """The reason why this Hub cannot start, for the operator."""


class WorldError(SetupError):
    """The world describes an object that cannot be built."""


class FolderInUse(SetupError):
    """Another Hub uses the data folder."""


class ClockSettingError(SetupError):
    """STEWARD_CLOCK is invalid."""


def printable(text: str) -> str:
    """`text` without lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def header_text(text: str) -> str:
    """`text` as a header value: one line of printable ASCII, at most 500 characters."""
    one_line = "".join(char if " " <= char <= "~" else "?" for char in text.replace("\n", " "))
    return one_line[:500]
