"""A board whose pages people can sign in to: a Hub with an app, a web server with its secret, and a loop that syncs."""

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
from tests.support.board.board_driver import BoardDriver
from tests.support.board.board_file import BOARD, SECRET
from tests.support.board.running_board import served
from tests.support.board.worlds import board_world

APP, APP_SECRET = "an-app", "the-app's-secret"
MIA = "hf_mia"


def signing_world(port: int) -> HubWorld:
    """The world of `board_driver`, with Mia, whom the board names, and Olaf, who is an admin of its organisation."""
    made = board_world().user("mia", MIA, "read").user("olaf")
    made["orgs"][0]["members"]["olaf"] = "admin"
    app = {"clientId": APP, "clientSecret": APP_SECRET, "name": "Demo"}
    made["oauthApps"] = [{**app, "redirects": [f"http://127.0.0.1:{port}/signin/callback"]}]
    return made


def free_port() -> int:
    """A port that nobody listens at: the Hub has to know it before the server is there."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class SignInSite:
    """The pages, the board behind them, and its settings."""

    url: str
    stand: BoardDriver
    settings: BotSettings
    browsers: list[Browser] = field(default_factory=list)

    def browser(self) -> Browser:
        """A browser that nobody has used yet."""
        made = Browser(base_url=self.url, timeout=30)
        self.browsers.append(made)
        return made

    def id_of(self, name: str) -> str:
        """The user id of somebody."""
        account = self.stand.hub.state.accounts.by_name(name)
        assert account is not None
        return account.id


class Browser(httpx2.Client):
    """Keeps cookies, and goes nowhere by itself."""

    def agree(self, who: str, next: str = "/") -> str:
        """Begin a sign-in and let the Hub name `who`; the address to which it sends this browser back."""
        begun = self.get("/signin", params={"next": next})
        assert begun.status_code == 303, begun.text
        asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
        hub = begun.headers["location"].partition("?")[0]
        # A browser keeps cookies by host, whatever the port; the Hub is given none of ours.
        agreed = httpx2.post(hub, data={**asked, "as": who}, timeout=30)
        assert agreed.status_code == 303, agreed.text
        return str(agreed.headers["location"])

    def sign_in(self, who: str, next: str = "/") -> httpx2.Response:
        """Sign in, as a person does; the answer of the way back."""
        return self.get(self.agree(who, next))

    @property
    def form_token(self) -> str:
        """What the forms on this browser's pages hold."""
        return str(self.get("/api/me").json()["csrf"])


@contextmanager
def signing(folder: Path, connection: redis.Redis, url: str, probe: Probe, more: str = "") -> Iterator[SignInSite]:
    """A board, all of it running, with `more` in its file; its queue server (`connection`, `url`) is emptied."""
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
