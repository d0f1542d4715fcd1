"""What can be asked of repos: files, history, differences, facts. Every read is repeated while that may help."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO
from urllib.parse import quote

from hub import parse
from hub.diffs import changes_in, paths_in
from hub.errors import BadRequest, EntryNotFound, RevisionNotFound
from hub.records import Account, File, FileEntry, LogEntry, ModelInfo, Repo
from hub.retries import Retries
from hub.session import MAX_ANSWER, MIB, HubResponse, HubSession
from leaderboard.changes import FileChange

NAME_LASTS = 300.0
"""Seconds until `me()` asks for our own name again; see `comments.py` for why it must."""
_PATHS_BATCH = 1000
_AS_IT_IS = {"accept-encoding": "identity"}
_PARTIAL, _PAST_ITS_END = 206, 416


def quoted_path(path: str) -> str:
    """A file path as part of an address. BadRequest where it would lead out of the repo."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise BadRequest(f"{path[:200]!r} is not the path of a file in a repo.")
    return quote(path, safe="/", errors="surrogateescape")


class Reads:
    """The reading half of `Hub`."""

    def __init__(self, session: HubSession, retries: Retries) -> None:
        self.session = session
        self.retries = retries
        self._me: tuple[Account, float] | None = None

    def _get(
        self,
        path: str,
        route: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        limit: int = MAX_ANSWER,
        first: int | None = None,
        into: BinaryIO | None = None,
    ) -> HubResponse:
        def once() -> HubResponse:
            return self.session.send(
                "GET", path, route=route, params=params, headers=headers, limit=limit, first=first, into=into
            )

        return self.retries.call(once, repeatable=True)

    def _repeated(
        self, method: str, path: str, route: str, body: object, params: Mapping[str, str] | None = None
    ) -> HubResponse:
        """A call with a body that changes nothing, or nothing more the second time."""
        return self.retries.call(
            lambda: self.session.send(method, path, route=route, json=body, params=params), repeatable=True
        )

    def _pages(self, path: str, route: str, params: Mapping[str, str]) -> Iterator[Any]:
        """The items of a list that goes on at the address in the `Link` header."""
        answer = self._get(path, route, params)
        yield from parse.parsed(list, answer.json())
        while following := parse.next_page(answer.headers):
            answer = self._get(following, route)
            yield from parse.parsed(list, answer.json())

    def whoami(self) -> Account:
        """Who our token belongs to. The Hub limits this call more than others: see `me`."""
        return parse.parsed(lambda it: Account(it["id"], it["name"]), self._get("/api/whoami-v2", "whoami").json())

    def whoami_and_kind(self) -> tuple[Account, str]:
        """`whoami`, and what kind of account that is: `user`, `org` or `app`."""
        answer = self._get("/api/whoami-v2", "whoami").json()
        return parse.parsed(lambda it: (Account(str(it["id"]), str(it["name"])), str(it["type"])), answer)

    def organisations(self) -> frozenset[str]:
        """The organisations that our account is a member of, in lower case: their private repos may be read."""
        answer = self._get("/api/whoami-v2", "whoami").json()
        mine = parse.parsed(lambda it: [(org["name"], org.get("roleInOrg")) for org in it.get("orgs") or ()], answer)
        return frozenset(str(name).lower() for name, role in mine if role != "no_access")

    def me(self) -> Account:
        """`whoami`, remembered for a few minutes."""
        now = time.monotonic()
        if self._me is None or now - self._me[1] > NAME_LASTS:
            self._me = (self.whoami(), now)
        return self._me[0]

    def user(self, name: str) -> Account:
        """The account that has this name now. NotFound where nobody has."""
        answer = self._get(f"/api/users/{quote(name, safe='')}/overview", "user").json()
        return parse.parsed(lambda it: Account(it["_id"], it["user"]), answer)

    def member(self, org: str, user_id: str, name: str) -> str | None:
        """The role in `org` of the user with this id, who has this name now: "" where the Hub shows no roles.

        None for whoever is no member. NotFound where there is no such organisation. Roles are shown to members alone.
        """
        members = self._pages(
            f"/api/organizations/{quote(org, safe='')}/members", "members", {"search": name, "limit": "100"}
        )
        for found in members:
            if parse.parsed(lambda it: it["_id"], found) == user_id:
                return str(found.get("role") or "")
        return None

    def members(self, org: str) -> dict[str, str]:
        """Every member's user id → role, as in `member`: a call per thousand. NotFound: no such organisation."""
        found = self._pages(f"/api/organizations/{quote(org, safe='')}/members", "members", {"limit": "1000"})
        return {parse.parsed(lambda it: str(it["_id"]), one): str(one.get("role") or "") for one in found}

    def present_id(self, repo: Repo) -> str:
        """What the repo is called now: the Hub sends a name that it had before on to it. One call.

        One property is asked for, for all of them hold the names of all files.
        """
        return parse.parsed(lambda it: str(it["id"]), self._get(repo.api, "info", {"expand": "private"}).json())

    def head(self, repo: Repo, branch: str = "main") -> str:
        """The commit that `branch` points at; a pull request's is `refs/pr/3`.

        Asked from the list of refs, for repo info may come from a cache that lags behind a commit.
        """
        full = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        found = self.heads(repo, pulls=full.startswith("refs/pr/"))
        if full not in found:
            raise RevisionNotFound(f"{repo.id} has no {full}.", status=404)
        return found[full]

    def heads(self, repo: Repo, *, pulls: bool = False) -> dict[str, str]:
        """Every ref of the repo → its commit, in one call; with `pulls`, `refs/pr/3` and its like too."""
        refs = self._get(f"{repo.api}/refs", "refs", {"include_prs": "1"} if pulls else None).json()
        kinds = ("branches", "tags", "converts", "pullRequests")
        return parse.parsed(
            lambda it: {str(ref["ref"]): str(ref["targetCommit"]) for k in kinds for ref in it.get(k) or ()}, refs
        )

    def read_file(self, repo: Repo, path: str, revision: str = "main", *, max_bytes: int = 10 * MIB) -> File:
        """One file, in one call. TooLarge, without reading on, where it has more than `max_bytes` bytes."""
        answer = self._get(_resolve(repo, path, revision), "resolve", headers=_AS_IT_IS, limit=max_bytes)
        etag = answer.headers.get("x-linked-etag") or answer.headers.get("etag", "")
        oid = etag.removeprefix("W/").strip('"')
        return File(path, answer.body, oid, answer.headers.get("x-repo-commit", ""))

    def read_range(self, repo: Repo, path: str, revision: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end`, in one call; fewer where it ends before.

        A server that knows nothing of ranges is listened to from the start of the file, which must be asked for then:
        BadRequest otherwise.
        """
        wanted = {**_AS_IT_IS, "range": f"bytes={start}-{end - 1}"}
        address, most = _resolve(repo, path, revision), end - start
        try:
            answer = self._get(address, "resolve", headers=wanted, limit=most, first=most)
        except BadRequest as error:
            if error.status == _PAST_ITS_END:
                return b""
            raise
        if start and answer.status != _PARTIAL:
            raise BadRequest(f"The Hub did not send a part of {path[:200]!r}, but all of it.")
        return answer.body

    def save_file(self, repo: Repo, path: str, revision: str, into: BinaryIO, *, max_bytes: int) -> None:
        """`read_file`, into a file of ours and not into memory."""
        self._get(_resolve(repo, path, revision), "resolve", headers=_AS_IT_IS, limit=max_bytes, into=into)

    def find_file(self, repo: Repo, path: str, revision: str = "main", *, max_bytes: int = 10 * MIB) -> File | None:
        """`read_file`, with None where the repo has no such file."""
        try:
            return self.read_file(repo, path, revision, max_bytes=max_bytes)
        except EntryNotFound:
            return None

    def list_files(self, repo: Repo, revision: str = "main", *, folder: str = "") -> list[FileEntry]:
        """Every file of the repo, or of one folder and below: a call per thousand entries."""
        at = f"{repo.api}/tree/{quote(revision, safe='')}"
        at += f"/{quote(quoted_path(folder), safe='%')}" if folder else ""
        items = self._pages(at, "tree", {"recursive": "true", "expand": "false"})
        return [parse.parsed(parse.file_entry, item) for item in items if item.get("type") == "file"]

    def paths_info(self, repo: Repo, paths: Sequence[str], revision: str = "main") -> dict[str, FileEntry]:
        """Which of `paths` are files at `revision`, and of what content: a call per thousand paths."""
        at = f"{repo.api}/paths-info/{quote(revision, safe='')}"
        found: dict[str, FileEntry] = {}
        for start in range(0, len(paths), _PATHS_BATCH):
            body = {"paths": list(paths[start : start + _PATHS_BATCH]), "expand": False}
            items = parse.parsed(list, self._repeated("POST", at, "paths-info", body).json())
            entries = [parse.parsed(parse.file_entry, item) for item in items if item.get("type") == "file"]
            found |= {entry.path: entry for entry in entries}
        return found

    def last_commit(self, repo: Repo, path: str, revision: str = "main") -> LogEntry | None:
        """The newest commit that touched `path`; None where there is no such file. Two calls."""
        at = f"{repo.api}/paths-info/{quote(revision, safe='')}"
        body = {"paths": [path], "expand": True}
        answer = self._repeated("POST", at, "paths-info", body)
        found = parse.parsed(lambda items: [item["lastCommit"]["id"] for item in items], answer.json())
        return self.commits(repo, found[0], limit=1)[0] if found else None

    def changed_paths(self, repo: Repo, base: str, head: str) -> list[str]:
        """The paths that differ between two commits, a renamed file under both names. NotFound where one is gone."""
        return paths_in(self._compare(repo, base, head, MAX_ANSWER))

    def changes(self, repo: Repo, base: str, head: str, *, max_bytes: int = MAX_ANSWER) -> list[FileChange]:
        """What differs between two commits, file by file. NotFound where one is gone; TooLarge, without reading on."""
        return changes_in(self._compare(repo, base, head, max_bytes))

    def _compare(self, repo: Repo, base: str, head: str, limit: int) -> str:
        span = f"{quote(base, safe='')}..{quote(head, safe='')}"
        return parse.parsed(_text, self._get(f"{repo.api}/compare/{span}", "compare", limit=limit).json())

    def is_private(self, repo: Repo) -> bool:
        """Whether only some may read it. NotFound where our token is not among those."""
        return bool(parse.parsed(lambda it: it["private"], self._get(repo.api, "info").json()))

    def model_facts(self, model: str, revision: str = "main") -> ModelInfo:
        """What the Hub knows of a model at a revision, in one call. `sha` is that revision's commit."""
        at = f"{Repo('model', model).api}/revision/{quote(revision, safe='')}"
        return parse.parsed(parse.model_info, self._get(at, "info", {"blobs": "true"}).json())

    def commits(self, repo: Repo, revision: str = "main", *, limit: int = 50) -> list[LogEntry]:
        """The newest `limit` commits, newest first: a call per thousand."""
        return list(islice(self.history(repo, revision, page=min(limit, 1000)), limit))

    def history(self, repo: Repo, revision: str = "main", *, page: int = 100) -> Iterator[LogEntry]:
        """All commits, newest first: a call for each `page` of them, once somebody wants its first."""
        at = f"{repo.api}/commits/{quote(revision, safe='')}"
        return (parse.parsed(parse.log_entry, item) for item in self._pages(at, "commits", {"limit": str(page)}))


def _resolve(repo: Repo, path: str, revision: str) -> str:
    return f"{repo.web}/resolve/{quote(revision, safe='')}/{quoted_path(path)}"


def _text(answer: Any) -> str:
    if not isinstance(answer, str):
        raise TypeError(f"a diff is text, this is a {type(answer).__name__}")
    return answer
