"""Keys of facts from the Hub, except requests: heads, threads, people, decisions, flags, adoption.

All of them can be read from the Hub again.
"""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class HubKeys(BoardKeys):
    """Keys of heads, threads, people, decisions, flags and adoption."""

    def head(self, repo: str) -> str:
        """String: the last commit of `repo` whose changes were marked dirty."""
        return self._key("head", repo)

    def newest(self, repo: str) -> str:
        """String: the newest known commit of `repo`; after `?` where a newer one may be known (`redis_state.heads`)."""
        return self._key("newest", repo)

    @property
    def life(self) -> str:
        """String: a random word that is another one after Redis was emptied."""
        return self._key("life")

    def person(self, question: str) -> str:
        """String: the Hub's answer to a question about a person, for a short time."""
        return self._key("person", question)

    def called_now(self, dataset: str) -> str:
        """String: the current name of a dataset that was linked under this name; expires after a day."""
        return self._key("called-now", dataset)

    def own_threads(self, repo: str) -> str:
        """Sorted set by name: `title NUL number` of each thread in `repo` that the bot opened and saw in its list."""
        return self._key("own-threads", repo)

    def own_threads_until(self, repo: str) -> str:
        """String: when the newest of `own_threads` was opened, by the Hub's clock."""
        return self._key("own-threads-until", repo)

    def thread_counts(self, repo: str) -> str:
        """Hash: thread of `repo` → its number of comments, in the list (`7`) and when it was last read (`7 read`)."""
        return self._key("thread-counts", repo)

    @property
    def doubles(self) -> str:
        """Set: `path NUL path` of each pair of duplicate requests that was reported, with a proposal to approve."""
        return self._key("doubles")

    @property
    def waiting_threads(self) -> str:
        """Hash: dirty key of a thread that waits for a maintainer → JSON of the facts that the list shows."""
        return self._key("waiting-threads")

    @property
    def pulls(self) -> str:
        """Hash: number of a pull request in the requests repo, or `repo number` in another → JSON of its record,
        written when it was checked."""
        return self._key("pulls")

    def pull_links(self, pull: str) -> str:
        """Set: dirty keys of the discussions that link the pull request `repo number`."""
        return self._key("pull-links", pull)

    @property
    def decisions(self) -> str:
        """Hash: id of a decision → JSON of the decision."""
        return self._key("decisions")

    @property
    def decision_order(self) -> str:
        """Sorted set: ids of decisions by time."""
        return self._key("decision-order")

    @property
    def flags(self) -> str:
        """Hash: `name` of a model, `thread` and its URL, `weights` and their digest → JSON of flag records."""
        return self._key("flags")

    @property
    def flags_state(self) -> str:
        """Hash: the `commit` of the flags repo from which `flags` was read."""
        return self._key("flags-state")

    @property
    def flag_reports(self) -> str:
        """Hash: model in lower case → JSON of its reporters and of the findings since."""
        return self._key("flag-reports")

    @property
    def flag_rechecks(self) -> str:
        """Hash: flagged model in lower case → JSON of how far the cause of its flag is removed."""
        return self._key("flag-cures")

    @property
    def adoption(self) -> str:
        """Hash: the record of adoption, its git blob id, and the commit whose files `adopted_files` holds."""
        return self._key("adoption")

    @property
    def adopted_files(self) -> str:
        """Hash: path of a request file at the commit of adoption → its git blob id, 20 bytes."""
        return self._key("adopted-files")
