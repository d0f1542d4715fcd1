"""Discussions and pull requests: reads, and idempotent opening, commenting, editing and merging.

A write that a retry would duplicate reads the thread first, and again after an error with an unknown effect. Races
accepted:
  - two processes open the same thread, or write the same comment, at the same instant: both find nothing, and two
    appear. It does not happen while only one process syncs a key at a time.
  - after an error, the read finds nothing, and the Hub completes the write later.
  - a person hides the comment, or renames the thread before its number is stored: it is written again.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any

from hub import parse
from hub.accounts import AccountCalls
from hub.comments import Marker, find_marked, marked
from hub.errors import BadRequest, Busy, HubError, NotMergeable, RateLimited, Transient
from hub.records import Comment, Repo, Thread, ThreadKind, ThreadStatus, ThreadSummary
from hub.session import MAX_ANSWER, HubResponse

_LOOK_FIRST = (Transient, Busy, RateLimited)
"""Errors after which a write may have had an effect: the next try reads the thread before it writes."""


class ThreadCalls(AccountCalls):
    """The part of `Hub` for discussions and pull requests."""

    def thread(self, repo: Repo, num: int) -> Thread:
        """Return a discussion or pull request with its comments, in one call."""
        answer = self._get(f"{repo.api}/discussions/{num}", "thread")
        return parse.parsed(lambda item: parse.thread(item, num), answer.json())

    def threads(
        self,
        repo: Repo,
        *,
        author: str | None = None,
        kind: ThreadKind | None = None,
        status: ThreadStatus | None = None,
    ) -> Iterator[ThreadSummary]:
        """Yield the repo's threads, newest first; one call per page, when the iteration reaches it.

        The Hub filters by open and closed only; this method filters drafts and merged pull requests.
        """
        state = status if status in ("open", "closed") else "all"
        filters = {"type": kind or "all", "status": state} | ({"author": author} if author else {})
        seen: set[int] = set()  # a new thread moves others to the next page
        for page in count():
            summaries, more = self._page(repo, filters, page)
            for summary in summaries:
                if status in (None, summary.status) and summary.num not in seen:
                    yield summary
                seen.add(summary.num)
            if not more:
                return

    def threads_page(self, repo: Repo, page: int, *, are_open: bool = False) -> tuple[list[ThreadSummary], bool]:
        """Return page `page` (from 0) of the repo's threads, newest first, and whether another follows; one call.

        `are_open` omits closed and merged threads. The Hub sets the size of a page.
        """
        return self._page(repo, {"type": "all", "status": "open" if are_open else "all"}, page)

    def _page(self, repo: Repo, filters: dict[str, str], page: int) -> tuple[list[ThreadSummary], bool]:
        answer = self._get(f"{repo.api}/discussions", "threads", filters | {"p": str(page)}).json()
        items, more = parse.parsed(_page, answer)
        return [parse.parsed(parse.summary, item) for item in items], more

    def pull(self, repo: Repo, num: int, *, max_bytes: int = MAX_ANSWER) -> tuple[Thread, str]:
        """Return a pull request and its changes as a git diff (see `diffs`), in one call.

        Raises TooLarge, before it reads further, if both together have more than `max_bytes` bytes.
        """
        answer = self._get(f"{repo.api}/discussions/{num}", "thread", {"diff": "1"}, limit=max_bytes)
        return parse.parsed(lambda item: (parse.thread(item, num), str(item.get("diff") or "")), answer.json())

    def open_thread(
        self,
        repo: Repo,
        title: str,
        body: str,
        marker: Marker,
        *,
        since: datetime | None = None,
        looked: bool = False,
    ) -> int:
        """Return the number of the discussion with `marker`; open it if there is none.

        It searches the bot's own threads with this title, back to `since` (such as the time of the request; by default
        all of them): one call per page of the list, and one per thread with this title. `looked`: the caller has
        searched already, so the first search is left out; after an error this method searches anyway.
        """

        def once() -> int:
            nonlocal looked
            just_looked, looked = looked, False
            if not just_looked and (earlier := self._opened(repo, title, marker, since)) is not None:
                return earlier
            request = {"title": title.strip(), "description": marked(body, marker), "pullRequest": False}
            answer = self._post_once(f"{repo.api}/discussions", "thread-open", request)
            return parse.parsed(lambda it: int(it["num"]), answer.json())

        return self.retries.until(once, on=_LOOK_FIRST)

    def _opened(self, repo: Repo, title: str, marker: Marker, since: datetime | None) -> int | None:
        me = self.me()
        for summary in self.threads(repo, author=me.name, kind="discussion"):
            if since is not None and summary.created_at < since:
                return None
            same = summary.title == title.strip()
            if same and find_marked(self.thread(repo, summary.num).comments[:1], marker, me) is not None:
                return summary.num
        return None

    def ensure_comment(self, repo: Repo, num: int, body: str, marker: Marker, *, seen: Thread | None = None) -> Comment:
        """Return the bot's comment with `marker`; write it if there is none. An earlier one stays unchanged.

        `seen`: the thread that the caller has just read, in place of the first read.
        """
        looked = seen

        def once() -> Comment:
            nonlocal looked
            thread, looked = looked or self.thread(repo, num), None
            earlier = find_marked(thread.comments, marker, self.me())
            return earlier or self._comment(repo, num, marked(body, marker))

        return self.retries.until(once, on=_LOOK_FIRST)

    def _comment(self, repo: Repo, num: int, text: str) -> Comment:
        answer = self._post_once(f"{repo.api}/discussions/{num}/comment", "comment", {"comment": text})
        return parse.parsed(lambda it: parse.comment(it["newMessage"]), answer.json())

    def edit_comment(
        self, repo: Repo, num: int, comment_id: str, body: str, *, marker: Marker | None = None, seen: str | None = None
    ) -> bool:
        """Replace the text of the bot's comment by `body` (after `marker`).

        Return False, without a call, if `seen`, its whole text as last read, is equal.
        """
        text = marked(body, marker) if marker is not None else body
        if seen is not None and _same(seen, text):
            return False
        address = f"{repo.api}/discussions/{num}/comment/{comment_id.lower()}/edit"
        self.retries.call(lambda: self._post_once(address, "comment-edit", {"content": text}), repeatable=True)
        return True

    def set_status(self, repo: Repo, num: int, status: ThreadStatus, comment: str | None = None) -> bool:
        """Open or close a thread, with an optional comment. Return False if it has that status already."""
        if status not in ("open", "closed"):
            raise BadRequest(f"A thread can be set to open or closed, not to {status}.")

        def once() -> bool:
            if self.thread(repo, num).status == status:
                return False
            request = {"status": status} | ({"comment": comment} if comment else {})
            self._post_once(f"{repo.api}/discussions/{num}/status", "status", request)
            return True

        return self.retries.until(once, on=_LOOK_FIRST)

    def merge(self, repo: Repo, num: int, *, head: str | None = None) -> Thread:
        """Merge a pull request, unless it is merged already, and return it.

        Raises NotMergeable if it is a draft, closed or in conflict, or if its head is not the approved commit `head`.
        The Hub's merge call takes no expected commit, so a push between the check and the merge is merged too: the
        caller compares `merge_commit` with the approved changes.
        """

        def once() -> Thread:
            before = self.thread(repo, num)
            if before.status == "merged":
                return before
            _refuse_unmergeable(before, head)
            try:
                self._post_once(f"{repo.api}/discussions/{num}/merge", "merge", {})
            except (Transient, Busy, RateLimited):
                raise
            except HubError:
                # The Hub's refusals of merges are undocumented: the state of the thread shows what happened.
                after = self.thread(repo, num)
                _refuse_unmergeable(after, head)
                raise
            return self.thread(repo, num)

        return self.retries.until(once, on=_LOOK_FIRST)

    def _post_once(self, path: str, route: str, body: object) -> HubResponse:
        return self.session.send("POST", path, route=route, json=body)


def _refuse_unmergeable(thread: Thread, head: str | None) -> None:
    if thread.status == "merged":
        return
    why = ""
    if not thread.is_pull_request or thread.status != "open":
        why = f"it is {thread.status}" if thread.is_pull_request else "it is a discussion"
    elif thread.conflicting_files:
        why = f"it conflicts with the branch: {', '.join(thread.conflicting_files)[:300]}"
    elif head is not None and thread.head_commit != head:
        why = f"its head is {thread.head_commit}, not the approved {head}"
    if why:
        raise NotMergeable(f"Pull request #{thread.num} cannot be merged: {why}.")


def _page(answer: Any) -> tuple[list[Any], bool]:
    """Return the items of a page of threads, and whether more follow; an empty page is the last, whatever the count."""
    items = list(answer["discussions"])
    return items, bool(items) and answer["start"] + len(items) < answer["count"]


def _same(first: str, second: str) -> bool:
    """Whether two texts are equal except for line endings and outer spaces, which the Hub may change."""
    return first.replace("\r\n", "\n").strip() == second.replace("\r\n", "\n").strip()
