"""Edits of files on the Hub, staged until they have landed, and the commits that were spent on them."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class EditKeys(BoardKeys):
    """Edits, and what was spent on commits."""

    def edits(self, repo: str) -> str:
        """Hash: edit id → version and JSON of an edit of `repo`."""
        return self._key("edits", repo)

    def edit_order(self, repo: str) -> str:
        """Sorted set: edit id of `repo` by the number under which it was first staged."""
        return self._key("edit-order", repo)

    @property
    def edit_repos(self) -> str:
        """Hash: edit id → the repo for which it is staged."""
        return self._key("edit-repos")

    @property
    def edit_waiters(self) -> str:
        """Hash: edit id → lines, each a dirty key to mark when that edit has ended, for edits that come after it."""
        return self._key("edit-waiters")

    @property
    def edit_number(self) -> str:
        """String: how many edits were ever staged."""
        return self._key("edit-number")

    @property
    def edit_subjects(self) -> str:
        """Hash: what waits for edits (a request's path) → for how many."""
        return self._key("edit-subjects")

    def edit_end(self, edit: str) -> str:
        """String: `landed` or `void`, for a day."""
        return self._key("edit-end", edit)

    def commits(self, repo: str) -> str:
        """Sorted set: our commits in `repo` within the last day, by time."""
        return self._key("commits", repo)

    def commits_counted(self, repo: str) -> str:
        """String: there, once it is known what was committed in `repo` in the day before this Redis heard of it."""
        return self._key("commits-counted", repo)

    def commits_paused(self, repo: str) -> str:
        """String: the time before which the Hub wants no commit in `repo`."""
        return self._key("commits-paused", repo)
