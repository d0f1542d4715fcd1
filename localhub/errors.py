"""What the server refuses, and how the client is told.

HubError                    any answer that is not a success: status, message, error code, headers
├── RepoNotFound            404, `X-Error-Code: RepoNotFound`: missing, or hidden from this caller
├── RevisionNotFound        404, `X-Error-Code: RevisionNotFound`
├── EntryNotFound           404, `X-Error-Code: EntryNotFound`
├── GatedRepo               401/403, `X-Error-Code: GatedRepo`
├── Forbidden               403: known, but not allowed
├── Unauthorized            401: not logged in where an account is needed
├── BadRequest              400: what was sent makes no sense
├── StaleParent             412: the branch moved since `parentCommit`
└── RepoMoved               307: the repo has another name now
SetupError                  the Hub cannot start; never sent to a client
├── WorldError              the world describes something that cannot be built
├── FolderInUse             another Hub has the data folder
└── ClockSettingError       STEWARD_CLOCK cannot be read

The client derives its exceptions from the headers and not from the body; over plain http it has nothing else to go by.
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
        """The answer as the Hub words it."""
        headers = dict(self.headers)
        if header_text(self.message) == self.message:
            # A client believes the header before the body: what a header cannot carry is left to the body.
            headers["X-Error-Message"] = self.message
        if self.code:
            headers["X-Error-Code"] = self.code
        return JSONResponse({"error": printable(self.message), **self.extra}, self.status, headers)


class RepoNotFound(HubError):
    """No such repo, or none that this caller may know of."""

    def __init__(self) -> None:
        super().__init__(404, "Repository not found", "RepoNotFound")


class RevisionNotFound(HubError):
    """No branch, tag or commit of that name."""

    def __init__(self, revision: str) -> None:
        super().__init__(404, f"Invalid rev id: {revision}", "RevisionNotFound")


class EntryNotFound(HubError):
    """No file or folder of that path at that revision; `commit` lets the client remember the absence."""

    def __init__(self, path: str, commit: str | None = None, what: str = "Entry not found") -> None:
        headers = {"X-Repo-Commit": commit} if commit else {}
        super().__init__(404, f"{what}: {path}", "EntryNotFound", headers)


class GatedRepo(HubError):
    """The repo's files are for those whom its owners let in."""

    def __init__(self, full_name: str, *, logged_in: bool) -> None:
        hint = "ask for access on its page" if logged_in else "log in and ask for access on its page"
        message = f"Access to {full_name} is restricted and you are not in the authorized list: {hint}."
        super().__init__(403 if logged_in else 401, message, "GatedRepo")


class Forbidden(HubError):
    """The caller is known and may not do this."""

    def __init__(self, message: str) -> None:
        super().__init__(403, message)


class Unauthorized(HubError):
    """An account is needed and none was given, or the token is unknown."""

    def __init__(self, message: str = "Invalid username or password.") -> None:
        super().__init__(401, message)


class BadRequest(HubError):
    """What was sent makes no sense; the message says what would."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


class StaleParent(HubError):
    """The branch is no longer at the commit that the caller built upon."""

    def __init__(self) -> None:
        super().__init__(412, "The branch was updated since you opened this page. Please refresh and try again.")


class RepoMoved(HubError):
    """The repo was renamed: the same request, under the new name."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(307, f"{old} is now {new}")
        self.old = old
        self.new = new


class SetupError(ValueError):
    """Why this Hub cannot start, in words for whoever starts it."""


class WorldError(SetupError):
    """The world describes something that cannot be built."""


class FolderInUse(SetupError):
    """Another Hub has the data folder."""


class ClockSettingError(SetupError):
    """STEWARD_CLOCK cannot be read."""


def printable(text: str) -> str:
    """`text` without lone surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode("utf-8")


def header_text(text: str) -> str:
    """`text` as a header value: one line of printable ASCII, at most 500 characters."""
    one_line = "".join(char if " " <= char <= "~" else "?" for char in text.replace("\n", " "))
    return one_line[:500]
