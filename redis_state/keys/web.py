"""Keys of messages from the web server to syncs, counted requests and sessions; all expire within a day."""

from __future__ import annotations

from redis_state.keys.board import BoardKeys


class WebKeys(BoardKeys):
    """Keys of messages to syncs, of counted requests, and of sessions."""

    def message(self, kind: str, message_id: str) -> str:
        """Hash, for a day at most: a message to a sync, and its answer (`redis_state.board.mailbox`)."""
        return self._key(kind, message_id)

    def asked(self, counter: str) -> str:
        """String, for a minute: the number of requests that `bot.web.incoming.over_limit` counted."""
        return self._key("asked", counter)

    def session(self, digest: str) -> str:
        """String, for hours: JSON of a signed-in person; `digest` is that of the id in their cookie."""
        return self._key("session", digest)
