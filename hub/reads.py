"""Reads of repos: files, history, diffs and facts. Every read is retried after transient errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any, BinaryIO
from urllib.parse import quote

from hub import parse
from hub.calls import HubCalls
from hub.diffs import changes_in, paths_in
from hub.errors import BadRequest, EntryNotFound, Garbled, RevisionNotFound, TooLarge
from hub.file_checks import check_file, check_headers, check_part, content_id
from hub.records import File, FileEntry, LogEntry, ModelInfo, PublishedScore, Repo
from hub.session import MAX_ANSWER, MIB, HubResponse
from leaderboard.changes import FileChange

_PATHS_BATCH = 1000
MAX_LISTED = 100_000
"""Files in a list that is held in memory."""
MAX_ITERATED = 2_000_000
"""Entries of a listing that is read page by page: two thousand calls."""
MAX_MODEL_FACTS = 16 * MIB
"""Maximal bytes of the Hub's facts about one model: those of a repo of a hundred thousand files."""
_AS_IT_IS = {"accept-encoding": "identity"}
_PARTIAL, _PAST_ITS_END = 206, 416


def quoted_path(path: str) -> str:
    """Quote a file path for a URL. Raises BadRequest for a path that leads out of the repo."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise BadRequest(f"{path[:200]!r} is not the path of a file in a repo.")
    return quote(path, safe="/", errors="surrogateescape")


class Reads(HubCalls):
    """The part of `Hub` that reads repos."""

    def _file(
        self,
        repo: Repo,
        path: str,
        revision: str,
        *,
        limit: int,
        span: tuple[int, int] | None = None,
        into: BinaryIO | None = None,
    ) -> HubResponse:
        """Read a file, or its bytes in `span`, and check that the response is the file that the Hub announces.

        It takes one call, and another one that lists the file if that seems to have more than `limit` bytes.
        """
        try:
            return self.retries.call(
                lambda: self._send_file(repo, path, revision, limit=limit, span=span, into=into), repeatable=True
            )
        except TooLarge as error:
            if span is not None:
                raise
            listed = self.paths_info(repo, [path], revision).get(path)
            if listed is None or listed.size <= limit:
                raise Garbled(f"The Hub announces more bytes of {path[:200]} than it lists.") from error
            raise

    def _send_file(
        self,
        repo: Repo,
        path: str,
        revision: str,
        *,
        limit: int,
        span: tuple[int, int] | None,
        into: BinaryIO | None,
    ) -> HubResponse:
        """Read a file, or a part of it, in one call that is not repeated. Raises Garbled for anything but the file."""
        headers = _AS_IT_IS if span is None else {**_AS_IT_IS, "range": f"bytes={span[0]}-{span[1] - 1}"}
        answer = self.session.send(
            "GET",
            f"{repo.web}/resolve/{quote(revision, safe='')}/{quoted_path(path)}",
            route="resolve",
            headers=headers,
            limit=limit,
            first=None if span is None else limit,
            into=into,
            check=lambda received: check_headers(received, revision),
        )
        if span is None:
            check_file(answer.headers, into if into is not None else BytesIO(answer.body))
        elif span[0] and answer.status != _PARTIAL:
            raise BadRequest(f"The Hub did not send a part of {path[:200]!r}, but all of it.")
        else:
            check_part(answer.headers, answer.body, *span)
        return answer

    def present_id(self, repo: Repo) -> str:
        """Return the repo's present name in one call; the Hub redirects earlier names.

        The call expands one property only, because the full answer lists all files.
        """
        return parse.parsed(lambda it: str(it["id"]), self._get(repo.api, "info", {"expand": "private"}).json())

    def head(self, repo: Repo, branch: str = "main") -> str:
        """Return the head commit of `branch`; the branch of a pull request is `refs/pr/3`.

        It comes from the list of refs, because the Hub's cache of repo info may be older than the last commit.
        """
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        refs = self.heads(repo, pulls=ref.startswith("refs/pr/"))
        if ref not in refs:
            raise RevisionNotFound(f"{repo.id} has no {ref}.", status=404)
        return refs[ref]

    def heads(self, repo: Repo, *, pulls: bool = False) -> dict[str, str]:
        """Map every ref of the repo to its commit in one call; with `pulls`, also refs such as `refs/pr/3`."""
        refs = self._get(f"{repo.api}/refs", "refs", {"include_prs": "1"} if pulls else None).json()
        return parse.parsed(parse.heads, refs)

    def read_file(self, repo: Repo, path: str, revision: str = "main", *, max_bytes: int = 10 * MIB) -> File:
        """Read one file in one call. Raises TooLarge, before it reads further, for more than `max_bytes` bytes.

        Raises Garbled for a response that is not the file.
        """
        answer = self._file(repo, path, revision, limit=max_bytes)
        return File(path, answer.body, content_id(answer.headers), answer.headers["x-repo-commit"])

    def read_range(self, repo: Repo, path: str, revision: str, start: int, end: int) -> bytes:
        """Read the bytes of a file from `start` up to `end` in one call; fewer if the file ends earlier.

        A server without support for ranges sends the file from its start. Raises BadRequest then, unless `start` is 0.
        """
        try:
            return self._file(repo, path, revision, limit=end - start, span=(start, end)).body
        except BadRequest as error:
            if error.status == _PAST_ITS_END:
                return b""
            raise

    def file_id(self, repo: Repo, path: str, revision: str = "main") -> str:
        """Return the id of a file (`File.oid`) in one call, which reads the first byte and so needs access to it."""
        return content_id(self._file(repo, path, revision, limit=1, span=(0, 1)).headers)

    def save_file(self, repo: Repo, path: str, revision: str, into: BinaryIO, *, max_bytes: int) -> None:
        """Read one file into the local file `into`, which is open to write and read, instead of memory."""
        self._file(repo, path, revision, limit=max_bytes, into=into)

    def find_file(
        self, repo: Repo, path: str, revision: str = "main", *, max_bytes: int = 10 * MIB, confirm: bool = True
    ) -> File | None:
        """Return `read_file`; None if the repo has no such file.

        A 404 may come from a cache, so one more call lists the file. Without `confirm` a 404 means that there is no
        such file: for callers that check again before they act.
        """
        try:
            return self.read_file(repo, path, revision, max_bytes=max_bytes)
        except EntryNotFound as error:
            if confirm and path in self.paths_info(repo, [path], revision):
                raise Garbled(f"The Hub lists {path[:200]}, and answers that there is no such file.") from error
            return None

    def list_files(self, repo: Repo, revision: str = "main", *, folder: str = "") -> list[FileEntry]:
        """Return `each_file` as a list. Raises TooLarge for more than MAX_LISTED files."""
        files = list(islice(self.each_file(repo, revision, folder=folder), MAX_LISTED + 1))
        if len(files) > MAX_LISTED:
            raise TooLarge(f"{repo.id} has more than {MAX_LISTED:,} files{' in ' if folder else ''}{folder}.")
        return files

    def each_file(self, repo: Repo, revision: str = "main", *, folder: str = "") -> Iterator[FileEntry]:
        """Yield every file of the repo, or of one folder and its subfolders: one call per thousand entries, when the
        iteration reaches them. Raises TooLarge after MAX_ITERATED entries: the Hub may send them for ever."""
        at = f"{repo.api}/tree/{quote(revision, safe='')}"
        at += f"/{quote(quoted_path(folder), safe='%')}" if folder else ""
        for count, item in enumerate(self._pages(at, "tree", {"recursive": "true", "expand": "false"})):
            if count == MAX_ITERATED:
                raise TooLarge(f"{repo.id} has more than {MAX_ITERATED:,} files and folders.")
            if item.get("type") == "file":
                yield parse.parsed(parse.file_entry, item)

    def paths_info(self, repo: Repo, paths: Sequence[str], revision: str = "main") -> dict[str, FileEntry]:
        """Return the entries of those `paths` that are files at `revision`; one call per thousand paths."""
        at = f"{repo.api}/paths-info/{quote(revision, safe='')}"
        entries_by_path: dict[str, FileEntry] = {}
        for start in range(0, len(paths), _PATHS_BATCH):
            body = {"paths": list(paths[start : start + _PATHS_BATCH]), "expand": False}
            items = parse.parsed(parse.items, self._repeated("POST", at, "paths-info", body).json())
            entries = [parse.parsed(parse.file_entry, item) for item in items if item.get("type") == "file"]
            entries_by_path |= {entry.path: entry for entry in entries}
        return entries_by_path

    def last_commit(self, repo: Repo, path: str, revision: str = "main") -> LogEntry | None:
        """Return the newest commit that changed `path`, in two calls; None if there is no such file."""
        at = f"{repo.api}/paths-info/{quote(revision, safe='')}"
        body = {"paths": [path], "expand": True}
        answer = self._repeated("POST", at, "paths-info", body)
        oids = parse.parsed(lambda items: [item["lastCommit"]["id"] for item in items], answer.json())
        return parse.parsed(lambda entries: entries[0], self.commits(repo, oids[0], limit=1)) if oids else None

    def changed_paths(self, repo: Repo, base: str, head: str) -> list[str]:
        """Return the paths that differ between two commits, both names of a renamed file. Raises NotFound."""
        return paths_in(self._compare(repo, base, head, MAX_ANSWER))

    def changes(self, repo: Repo, base: str, head: str, *, max_bytes: int = MAX_ANSWER) -> list[FileChange]:
        """Return the changes between two commits by file. Raises NotFound, and TooLarge before it reads further."""
        return changes_in(self._compare(repo, base, head, max_bytes))

    def _compare(self, repo: Repo, base: str, head: str, limit: int) -> str:
        span = f"{quote(base, safe='')}..{quote(head, safe='')}"
        return parse.parsed(_text, self._get(f"{repo.api}/compare/{span}", "compare", limit=limit).json())

    def is_private(self, repo: Repo) -> bool:
        """Whether the repo is private. Raises NotFound if the token has no access."""
        return bool(parse.parsed(lambda it: it["private"], self._get(repo.api, "info", {"expand": "private"}).json()))

    def model_facts(self, model: str, revision: str = "main") -> ModelInfo:
        """Return the Hub's facts about a model at a revision, in one call. `sha` is the commit of the revision.

        They contain text by the model's author. Raises TooLarge if that is too long, or nested too deeply.
        """
        at = f"{Repo('model', model).api}/revision/{quote(revision, safe='')}"
        answer = self._get(at, "info", {"blobs": "true"}, limit=MAX_MODEL_FACTS)
        return parse.parsed(parse.model_info, answer.json())

    def models_named(self, words: str, *, limit: int) -> list[str]:
        """Return the names of at most `limit` public models whose name has `words` in it, those with most downloads
        first, in one call. Private models that the token may read are left out."""
        params = {"search": words, "limit": str(limit), "sort": "downloads"}
        return parse.parsed(parse.public_names, self._get("/api/models", "models", params).json())[:limit]

    def published_scores(self, model: str) -> list[PublishedScore]:
        """Return the scores in a model's repo, on main and in open pull requests, in one call."""
        answer = self._get(Repo("model", model).api, "info", {"expand": "evalResults"}, limit=MAX_MODEL_FACTS)
        return parse.parsed(parse.published_scores, answer.json())

    def commits(self, repo: Repo, revision: str = "main", *, limit: int = 50) -> list[LogEntry]:
        """Return the newest `limit` commits, newest first; one call per thousand."""
        return list(islice(self.history(repo, revision, page=min(limit, 1000)), limit))

    def parent(self, repo: Repo, commit: str) -> str:
        """Return the commit before `commit`, which is not the repo's first one. Raises Garbled if the list lacks it."""
        return parse.parsed(lambda entries: str(entries[1].oid), self.commits(repo, commit, limit=2))

    def history(self, repo: Repo, revision: str = "main", *, page: int = 100) -> Iterator[LogEntry]:
        """Yield all commits, newest first; one call per `page` of them, when the iteration reaches it."""
        at = f"{repo.api}/commits/{quote(revision, safe='')}"
        return (parse.parsed(parse.log_entry, item) for item in self._pages(at, "commits", {"limit": str(page)}))


def _text(answer: Any) -> str:
    if not isinstance(answer, str):
        raise TypeError(f"a diff is text, this is a {type(answer).__name__}")
    return answer
