"""Checks paths of files: a path must not leave the repo or break a checkout of it."""

from __future__ import annotations

from localhub.errors import BadRequest, HubError

MAX_PATH_CHARS = 1000
MAX_NAME_BYTES = 255
MAX_DEPTH = 100


def clean(path: str) -> str:
    """Return `path` if it is valid for a file in a repo; else raise 400 with the reason, or 422."""
    if not path or len(path) > MAX_PATH_CHARS:
        raise BadRequest(f"A path has 1 to {MAX_PATH_CHARS} characters; this one has {len(path)}.")
    if any(char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in path):
        raise BadRequest(f"The path {path!r} contains control characters.")
    names = path.split("/")
    if len(names) > MAX_DEPTH:
        raise BadRequest(f"A path may lead through {MAX_DEPTH} folders; this one has {len(names)} parts.")
    if path.startswith("..\\"):
        # On Windows it would leave the folder that a client downloads to.
        raise HubError(422, f"The path {path!r} must be relative to the repo.")
    for name in names:
        _check_name(name, path)
    return path


def clean_folder(path: str) -> str:
    """As `clean`, for a folder, with or without a slash at its end."""
    return clean(path.removesuffix("/"))


def is_clean(path: str) -> bool:
    """Whether the path is valid for a file in a repo."""
    try:
        clean(path)
    except HubError:
        return False
    return True


def _check_name(name: str, path: str) -> None:
    if name in ("", ".", ".."):
        raise BadRequest(f"The path {path!r} must be relative to the repo, without empty parts, '.' or '..'.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise BadRequest(f"A name in {path!r} is longer than {MAX_NAME_BYTES} bytes.")
    # git refuses these names too: on some file systems they all mean the folder .git.
    folded = "".join(char for char in name if char.isprintable()).rstrip(". ").lower()
    if folded.split(":")[0] in (".git", "git~1"):
        raise BadRequest(f"The path {path!r} contains a name that git reserves.")
