"""A Hub inside a test or a demo:

with LocalHub(tmp_path, HubWorld().user("ada")) as hub:
    HfApi(endpoint=hub.url, token="hf_ada").create_repo("ada/model")
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from localhub.clock import Clock
from localhub.server import Server, ServerThread
from localhub.world import open_hub


class HubWorld(dict[str, Any]):
    """A world (see `localhub.world`) that grows by one object per call:

    HubWorld().user("ada").org("lab", {"ada": "admin"}).repo("dataset", "lab/requests", {"README.md": "# Requests"})
    """

    def user(self, name: str, token: str | None = None, role: str = "write", **fields: Any) -> Self:
        """Add an account with a token of this role; without `token` it is `hf_{name}`."""
        return self._add("users", {"name": name, "tokens": [{"token": token or f"hf_{name}", "role": role}], **fields})

    def users(self, tokens: Mapping[str, str]) -> Self:
        """Add an account for each name in `tokens`, with that token."""
        for name, token in tokens.items():
            self.user(name, token)
        return self

    def org(self, name: str, members: Mapping[str, str] | None = None, **fields: Any) -> Self:
        """Add an organisation; `members` maps users to roles."""
        return self._add("orgs", {"name": name, "members": dict(members or {}), **fields})

    def repo(self, kind: str, id: str, files: Mapping[str, Any] | None = None, **fields: Any) -> Self:
        """Add a repo with `files` (path → content)."""
        return self._add("repos", {"type": kind, "id": id, "files": dict(files or {}), **fields})

    def datasets(self, *ids: str) -> Self:
        """Add empty dataset repos."""
        for id in ids:
            self.repo("dataset", id)
        return self

    def webhook(self, owner: str, url: str, *watched: tuple[str, str], secret: str | None = None) -> Self:
        """Add a webhook for the contents and the discussions of what is `watched`: pairs of type and name."""
        targets = [{"type": kind, "name": name} for kind, name in watched]
        return self._add("webhooks", {"owner": owner, "url": url, "secret": secret, "watched": targets})

    def _add(self, section: str, item: dict[str, Any]) -> Self:
        self.setdefault(section, []).append(item)
        return self


class LocalHub:
    """A running Hub in this process: it answers at `url` once constructed; `state` holds its parts."""

    def __init__(
        self,
        data: Path,
        world: Mapping[str, Any] | None = None,
        port: int = 0,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.state = open_hub(data, world, clock)
        try:
            server = Server(self.state, host, port)
            self._thread = ServerThread(server)
        except BaseException:
            self.state.close()
            raise
        self.url = server.url

    def close(self) -> None:
        """Stop the Hub; its folder can then be opened again."""
        self._thread.stop()
        self.state.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
