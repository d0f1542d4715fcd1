"""What people ask for on the pages, and the answers: none of it lives longer than a day."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class WebKeys(BoardKeys):
    """Questions, submissions, sessions, errands."""

    def question(self, digest: str) -> str:
        """String, for two minutes: JSON of what was asked."""
        return self._key("question", digest)

    def answer(self, digest: str) -> str:
        """String, for a minute: JSON of the answer."""
        return self._key("answer", digest)

    def asked(self, counter: str) -> str:
        """String, for a minute: how often one client, or `all` of them, asked."""
        return self._key("asked", counter)

    def submission(self, digest: str) -> str:
        """Hash, for a day: JSON of what was `asked`, by whom, and of the `answer` once there is one."""
        return self._key("submission", digest)

    def session(self, digest: str) -> str:
        """String, for hours: JSON of who is signed in; `digest` is that of the id in their cookie."""
        return self._key("session", digest)

    def maintainer_action(self, name: str) -> str:
        """Hash, for an hour: JSON of what was `asked`, by whom, what is `settled`, and the `answer`."""
        return self._key("errand", name)
