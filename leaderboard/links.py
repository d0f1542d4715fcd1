"""Finds links to request files, threads and models in a text, in every form that people use.

    https://huggingface.co/datasets/org/requests/blob/main/o/m_eval_request_False_float16_Original.json
    …/resolve/…?download=true   …/raw/…   …/blame/…   …/edit/…   …/blob/refs%2Fpr%2F3/…   …#L7
    hf://datasets/org/requests@main/o/m_eval_request_False_float16_Original.json
    https://huggingface.co/datasets/org/requests/discussions/12   …/discussions/12/files
    o/m_eval_request_False_float16_Original.json

A link proves nothing: the caller asks the Hub whether the file exists and what it contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from leaderboard.request_paths import is_repo_name, is_request_path

MAX_CHARS, MAX_LINKS = 65_536, 20
"""Characters of a text that are searched, and links of each kind that are returned."""
HUB = r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?:models/)?"
"""Pattern of the part of a Hub URL before the model id, for texts in lower case."""
_HOST = r"https?://[A-Za-z0-9.-]{1,100}(?::\d{1,5})?"
_REPO = r"(?P<repo>[\w.-]{1,96}/[\w.-]{1,96})"
_END = r"[^\s<>\"'()\[\]{}|\\^`]"
_FILE = re.compile(rf"{_HOST}/datasets/{_REPO}/(?:blob|resolve|raw|blame|edit|tree|commits)/(?P<rest>{_END}{{1,1500}})")
_HF = re.compile(rf"hf://datasets/{_REPO}(?:@(?P<rev>[^/\s]{{1,200}}))?/(?P<rest>{_END}{{1,1500}})")
_BARE = re.compile(r"(?<![\w./-])(?P<path>(?:[\w.-]{1,96}/)?[\w.-]{1,96}_eval_request_[\w.-]{1,60}\.json)\b")
_THREAD = re.compile(rf"{_HOST}/(?P<kind>datasets/|spaces/)?{_REPO}/discussions/(?P<number>\d{{1,9}})\b")
_MODEL = re.compile(r"(?<![\w./@:-])(?P<org>[A-Za-z0-9][\w.-]{0,95})/(?P<name>[A-Za-z0-9][\w.-]{0,95})(?![\w/-])")
_ADDRESS = re.compile(rf"{_HOST}/(?P<org>[\w.-]{{1,96}})/(?P<name>[\w.-]{{1,96}})(?![\w.-])")
_NAMESPACES = ("datasets", "spaces", "docs", "blog", "papers", "api", "settings", "collections", "models", "tree")


@dataclass(frozen=True)
class RequestLink:
    """A linked request file; `repo` is None if the text names the file without a repo."""

    path: str
    repo: str | None = None


@dataclass(frozen=True)
class ThreadLink:
    """A linked discussion or pull request; `kind` is dataset, space or model."""

    kind: str
    repo: str
    number: int


def request_links(text: str) -> list[RequestLink]:
    """Return the request files that `text` links, each once, in order; at most MAX_LINKS."""
    text = text[:MAX_CHARS]
    links: dict[str, RequestLink] = {}
    for match in _FILE.finditer(text):
        for path in _paths(match["rest"]):
            links.setdefault(path, RequestLink(path, match["repo"]))
            break
    for match in _HF.finditer(text):
        path = unquote(_trimmed(match["rest"]))
        if _is_path(path):
            links.setdefault(path, RequestLink(path, match["repo"]))
    for match in _BARE.finditer(without_addresses(text)):
        if _is_path(match["path"]):
            links.setdefault(match["path"], RequestLink(match["path"]))
    return list(links.values())[:MAX_LINKS]


def _paths(rest: str) -> Iterator[str]:
    """Yield the path in `{revision}/{path}`; both may contain slashes, but a request is in one folder or in none."""
    parts = unquote(_trimmed(rest)).split("/")
    for depth in (2, 1):
        if len(parts) > depth and _is_path(path := "/".join(parts[-depth:])):
            # The rest is the revision: `main`, a commit, or `refs/pr/3`.
            if depth == 2 and len(parts) == 4 and parts[0] == "refs":
                continue
            yield path


def _trimmed(rest: str) -> str:
    return re.split(r"[?#]", rest, maxsplit=1)[0].rstrip(".,;:!*_~")


def _is_path(path: str) -> bool:
    parts = path.split("/")
    return is_request_path(path) and len(parts) <= 2 and all(is_repo_name(part) for part in parts[:-1])


def thread_links(text: str) -> list[ThreadLink]:
    """Return the discussions and pull requests that `text` links by URL, each once, in order; at most MAX_LINKS."""
    kinds = {"datasets/": "dataset", "spaces/": "space", None: "model"}
    links = (
        ThreadLink(kinds[match["kind"]], match["repo"], int(match["number"]))
        for match in _THREAD.finditer(text[:MAX_CHARS])
    )
    return list(dict.fromkeys(links))[:MAX_LINKS]


def is_on_the_hub(url: str, endpoint: str) -> bool:
    """Whether `url` is on the Hub: at the configured `endpoint`, or on the public Hub."""
    return url.startswith(f"{endpoint}/") or re.match(HUB, url, re.IGNORECASE) is not None


def models_in(text: str) -> list[str]:
    """Return ids in `text`, bare or in URLs, that may be models, each once, in order; at most MAX_LINKS."""
    text = text[:MAX_CHARS]
    models: dict[str, None] = {}
    for match in (*_ADDRESS.finditer(text), *_MODEL.finditer(without_addresses(text))):
        org, name = match["org"], match["name"].rstrip(".")
        if org not in _NAMESPACES and is_repo_name(org) and is_repo_name(name) and not name.endswith(".json"):
            models[f"{org}/{name}"] = None
    return list(models)[:MAX_LINKS]


def without_addresses(text: str) -> str:
    """Return `text` with a space in place of each URL."""
    return re.sub(r"(?:https?|hf)://\S*", " ", text)
