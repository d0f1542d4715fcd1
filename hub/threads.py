"""Discussions and pull requests: read, opened once, commented once, edited in place, merged with care.

Every write that a second try would double looks at the thread first, and again after an error that leaves its effect
open. Races accepted:
  - two processes open the same thread, or write the same comment, at the same instant: both look, both find nothing,
    two appear. That one key is synced by one process at a time keeps it from happening.
  - an error comes back, the look finds nothing, and the Hub finishes the write only afterwards.
  - somebody hides the comment, or renames the thread before its number is noted anywhere: it is written anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any

from hub import parse
from hub.comments import Marker, find_marked, marked
from hub.errors import BadRequest, Busy, HubError, NotMergeable, RateLimited, Transient
from hub.reads import Reads
from hub.records import Comment, Repo, Thread, ThreadKind, ThreadStatus, ThreadSummary
from hub.session import MAX_ANSWER, HubResponse

_LOOK_FIRST = (Transient, Busy, RateLimited)


class ThreadCalls(Reads):
    """The half of `Hub` that talks with people."""

    def thread(self, repo: Repo, num: int) -> Thread:
        """A discussion or pull request with its comments, in one call."""
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
        """The repo's threads, newest first, a page per call as they are asked for.

        The Hub itself tells apart open and closed only; drafts and merged ones are picked out here.
        """
        asked = status if status in ("open", "closed") else "all"
        wanted = {"type": kind or "all", "status": asked} | ({"author": author} if author else {})
        told: set[int] = set()  # a thread opened meanwhile moves others on to the next page
        for page in count():
            summaries, more = self._page(repo, wanted, page)
            for summary in summaries:
                if status in (None, summary.status) and summary.num not in told:
                    yield summary
                told.add(summary.num)
            if not more:
                return

    def threads_page(self, repo: Repo, page: int, *, are_open: bool = False) -> tuple[list[ThreadSummary], bool]:
        """Page `page` (from 0) of the repo's threads, newest first, and whether another follows. One call.

        `are_open` leaves out what is closed or merged. How many fit on a page is up to the Hub.
        """
        return self._page(repo, {"type": "all", "status": "open" if are_open else "all"}, page)

    def _page(self, repo: Repo, wanted: dict[str, str], page: int) -> tuple[list[ThreadSummary], bool]:
        answer = self._get(f"{repo.api}/discussions", "threads", wanted | {"p": str(page)}).json()
        items, more = parse.parsed(_page, answer)
        return [parse.parsed(parse.summary, item) for item in items], more

    def pull(self, repo: Repo, num: int, *, max_bytes: int = MAX_ANSWER) -> tuple[Thread, str]:
        """A pull request, and what it changes since it left its target, as a git diff (see `diffs`), in one call.

        TooLarge, without reading on, where both together have more than `max_bytes` bytes.
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
        """The number of the discussion that carries `marker`, opened now if there is none.

        An earlier one is looked for among our own threads of that title, back to `since` (say, when the request was
        made; without it, through all of them): each page of the list is a call, each thread of that title another.
        Whoever has just `looked` saves the first look; after an error there is one all the same.
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
        """The comment of ours that carries `marker`, written now if there is none; an earlier one stays as it is.

        `seen`, the thread as just read, saves the first look.
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
        """Gives our comment the text `body` (below `marker`). False, without a call, where `seen`, its whole text as
        last read, is that already."""
        text = marked(body, marker) if marker is not None else body
        if seen is not None and _same(seen, text):
            return False
        address = f"{repo.api}/discussions/{num}/comment/{comment_id.lower()}/edit"
        self.retries.call(lambda: self._post_once(address, "comment-edit", {"content": text}), repeatable=True)
        return True

    def set_status(self, repo: Repo, num: int, status: ThreadStatus, comment: str | None = None) -> bool:
        """Opens or closes a thread, with a comment if wanted. False where nothing is left to do."""
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
        """Merges a pull request and returns it as it is then; one that is merged already is returned as it is.

        NotMergeable where it is a draft, closed, in conflict, or where `head`, the commit that was approved, is not its
        head now. The Hub takes no expected commit with a merge: a push in the instant between look and merge goes in.
        The caller compares `merge_commit` with what was approved.
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
                # How the Hub refuses a merge is written nowhere: the thread's own state decides what happened.
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
    """The items of a page of threads, and whether there are more. An empty page ends it, whatever the count says."""
    items = list(answer["discussions"])
    return items, bool(items) and answer["start"] + len(items) < answer["count"]


def _same(one: str, other: str) -> bool:
    """Equal but for line endings and outer blanks, which the Hub may change on the way."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
