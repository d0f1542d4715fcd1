"""A board that people sign in to: a Hub with an OAuth app, a web server with the app's secret, and a sync loop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx2
import redis

from bot.core.settings import BotSettings
from bot.probe import Probe
from leaderboard.boards import parse_board
from localhub.testing import HubWorld, LocalHub
from redis_state import clock
from steward.testing.board import BOARD, SECRET, BoardDriver
from steward.testing.hub import board_world
from steward.testing.running import served

APP, APP_SECRET = "an-app", "the-app's-secret"
MIA = "hf_mia"


def signing_world(port: int) -> HubWorld:
    """Return the world of `board_driver` with Mia, a maintainer, and Olaf, an admin of the board's organisation."""
    made = board_world().user("mia", MIA, "read").user("olaf")
    made["orgs"][0]["members"]["olaf"] = "admin"
    app = {"clientId": APP, "clientSecret": APP_SECRET, "name": "Demo"}
    made["oauthApps"] = [{**app, "redirects": [f"http://127.0.0.1:{port}/signin/callback"]}]
    return made


def free_port() -> int:
    """Return an unused port: the Hub needs the web server's address before the server starts."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class SignInSite:
    """The board's pages, its driver, and its settings."""

    url: str
    stand: BoardDriver
    settings: BotSettings
    browsers: list[Browser] = field(default_factory=list)

    def browser(self) -> Browser:
        """Return a new browser without cookies."""
        made = Browser(base_url=self.url, timeout=30)
        self.browsers.append(made)
        return made

    def id_of(self, name: str) -> str:
        """Return the user id of an account."""
        account = self.stand.hub.state.accounts.by_name(name)
        assert account is not None
        return account.id


class Browser(httpx2.Client):
    """An HTTP client that stores cookies and follows no redirect."""

    def agree(self, who: str, next: str = "/") -> str:
        """Start a sign-in and consent as `who` on the Hub; return the address of the redirect back to the board."""
        begun = self.get("/signin", params={"next": next})
        assert begun.status_code == 303, begun.text
        asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
        hub = begun.headers["location"].partition("?")[0]
        # Browsers share cookies between the ports of a host; this client sends the Hub none of the board's.
        agreed = httpx2.post(hub, data={**asked, "as": who}, timeout=30)
        assert agreed.status_code == 303, agreed.text
        return str(agreed.headers["location"])

    def sign_in(self, who: str, next: str = "/") -> httpx2.Response:
        """Sign in as a person does; return the response of the redirect back to the board."""
        return self.get(self.agree(who, next))

    @property
    def form_token(self) -> str:
        """Return the token in the forms of this browser's pages."""
        return str(self.get("/api/me").json()["csrf"])


@contextmanager
def signing(folder: Path, connection: redis.Redis, url: str, probe: Probe, more: str = "") -> Iterator[SignInSite]:
    """A running board with the lines `more` in its board file; its queue server (`connection`, `url`) is emptied."""
    connection.flushall()
    port = free_port()
    with LocalHub(folder / "hub", signing_world(port)) as hub:
        mia = hub.state.accounts.by_name("mia")
        assert mia is not None
        text = f'{BOARD}maintainers: ["{mia.id}"]\nmaintainer_organisations: [{{name: board, role: admin}}]\n{more}'
        (folder / "board.yaml").write_text(text)
        stand = BoardDriver(hub, connection, probe)
        stand.context.board = parse_board(text)
        stand.context.now = clock.now
        stand.context.me()
        settings = BotSettings(
            redis_url=url,
            hf_endpoint=hub.url,
            board=folder / "board.yaml",
            webhook_secret=SECRET,
            port=port,
            oauth_client_id=APP,
            oauth_client_secret=APP_SECRET,
            public_url=f"http://127.0.0.1:{port}",
        )
        syncs = threading.Thread(target=stand.loop.run)
        syncs.start()
        site = SignInSite("", stand, settings)
        try:
            with served(settings) as site.url:
                yield site
        finally:
            for browser in site.browsers:
                browser.close()
            stand.loop.stop()
            syncs.join()
            stand.context.hub.close()
