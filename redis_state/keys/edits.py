"""Keys of staged edits of files on the Hub, and of the budget of commits."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class EditKeys(BoardKeys):
    """Keys of edits and of recorded commits."""

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
        """Hash: edit id → lines, each a dirty key to mark when that edit has ended: other edits must follow it."""
        return self._key("edit-waiters")

    @property
    def edit_number(self) -> str:
        """String: the number of edits that were ever staged."""
        return self._key("edit-number")

    @property
    def edit_subjects(self) -> str:
        """Hash: subject that waits for edits (a request's path) → number of edits."""
        return self._key("edit-subjects")

    def edit_end(self, edit: str) -> str:
        """String: `landed` or `void`, for a day."""
        return self._key("edit-end", edit)

    def commits(self, repo: str) -> str:
        """Sorted set: Steward's commits in `repo` within the last day, by time."""
        return self._key("commits", repo)

    def commits_counted(self, repo: str) -> str:
        """String: exists once the commits in `repo` of the day before this Redis was first used are recorded."""
        return self._key("commits-counted", repo)

    def commits_paused(self, repo: str) -> str:
        """String: the time before which the Hub accepts no commit in `repo`."""
        return self._key("commits-paused", repo)
