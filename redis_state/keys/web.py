"""Keys of what people ask for on the pages, and of the answers; all expire within a day."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class WebKeys(BoardKeys):
    """Keys of questions, submissions, sessions and maintainers' actions."""

    def question(self, digest: str) -> str:
        """String, for two minutes: JSON of a question."""
        return self._key("question", digest)

    def answer(self, digest: str) -> str:
        """String, for a minute: JSON of the answer."""
        return self._key("answer", digest)

    def asked(self, counter: str) -> str:
        """String, for a minute: the number of questions of one client, or of `all` clients."""
        return self._key("asked", counter)

    def submission(self, digest: str) -> str:
        """Hash, for a day: `asked`, JSON of the submission and its sender; `answer`, once there is one."""
        return self._key("submission", digest)

    def session(self, digest: str) -> str:
        """String, for hours: JSON of a signed-in person; `digest` is that of the id in their cookie."""
        return self._key("session", digest)

    def maintainer_action(self, name: str) -> str:
        """Hash, for an hour: `asked`, JSON of the action and the maintainer; `settled`, its result; `answer`."""
        return self._key("errand", name)
