"""A sign-in succeeds only if every part of the Hub's response is right."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from hub.errors import Denied, Garbled, HubError
from hub.oauth import OAuthApp, Provider, claims_in

APP = OAuthApp("an-app", "secret", "http://127.0.0.1/signin/callback")
NOW = 1_795_600_000.0


class Says:
    """A Hub with responses that a test sets."""

    def __init__(self) -> None:
        outer = self
        self.asked: list[tuple[str, dict[str, str], str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                outer.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                data = json.dumps(outer.answers[self.path]).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.say()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def say(self, *, metadata: Any = None, identity: Any = None, userinfo: Any = None, token: Any = None) -> None:
        """Give correct answers, except for these changes."""
        names = {f"{name}_endpoint": f"{self.url}/oauth/{name}" for name in ("token", "userinfo")}
        metadata_document = {"issuer": self.url, "authorization_endpoint": f"{self.url}/oauth/authorize", **names}
        claims = {
            "iss": self.url,
            "aud": "an-app",
            "exp": NOW + 60,
            "nonce": "n",
            "sub": "5f6b6d1a",
            **(identity or {}),
        }
        tokens = {"access_token": "hf_oauth_x", "id_token": written(claims)}
        self.answers: dict[str, Any] = {
            "/.well-known/openid-configuration": {**metadata_document, **(metadata or {})},
            "/oauth/token": tokens if token is None else token,
            "/oauth/userinfo": {"sub": "5f6b6d1a", "preferred_username": "ada", **(userinfo or {})},
        }

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


def written(claims: object) -> str:
    """An id token with these claims."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.x"


@pytest.fixture(scope="module")
def hub() -> Iterator[Says]:
    """One Hub for all tests of this module."""
    started = Says()
    yield started
    started.close()


def provider(hub: Says) -> Provider:
    """A new provider without a cache."""
    return Provider(hub.url, APP, now=lambda: NOW)


def test_the_hub_identifies_the_account(hub: Says) -> None:
    """The client sends code, verifier and secret to the Hub, and gets the account's id and name in three calls."""
    hub.say()
    hub.asked.clear()
    signing = provider(hub)
    url = urlsplit(signing.authorize_url(state="s", nonce="n", challenge="c"))
    assert (f"{url.scheme}://{url.netloc}{url.path}", parse_qs(url.query)["state"]) == (
        f"{hub.url}/oauth/authorize",
        ["s"],
    )
    account = signing.identify("the code", verifier="v", nonce="n")
    assert (account.id, account.name) == ("5f6b6d1a", "ada")
    _, token, userinfo = hub.asked
    assert token[1]["authorization"] == f"Basic {base64.b64encode(b'an-app:secret').decode()}"
    form = parse_qs(token[2])
    assert (form["code"], form["code_verifier"], form["redirect_uri"]) == (["the code"], ["v"], [APP.redirect_uri])
    assert userinfo[1]["authorization"] == "Bearer hf_oauth_x"


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"identity": {"iss": "https://evil.example"}}, Denied),
        ({"identity": {"aud": "another-app"}}, Denied),
        ({"identity": {"aud": ["an-app", "another-app"]}}, Denied),
        ({"identity": {"exp": NOW - 3_600}}, Denied),
        ({"identity": {"exp": "tomorrow"}}, Denied),
        ({"identity": {"nonce": "another"}}, Denied),
        ({"identity": {"nonce": None}}, Denied),
        ({"identity": {"sub": "another"}}, Denied),
        ({"userinfo": {"sub": "another"}}, Denied),
        ({"userinfo": {"preferred_username": "a<b>"}}, Denied),
        ({"userinfo": {"preferred_username": ""}}, Denied),
        ({"identity": {"sub": "../x"}, "userinfo": {"sub": "../x"}}, Denied),
        ({"token": {"access_token": "x"}}, Garbled),
        ({"token": []}, Garbled),
        ({"token": {"id_token": "a.b.c"}}, Garbled),
        ({"token": {"id_token": written([1])}}, Garbled),
        ({"metadata": {"issuer": "https://evil.example"}}, Garbled),
        ({"metadata": {"token_endpoint": "https://evil.example/oauth/token"}}, Garbled),
        ({"metadata": {"userinfo_endpoint": None}}, Garbled),
        ({"metadata": {"authorization_endpoint": "javascript:alert(1)"}}, Garbled),
    ],
)
def test_an_invalid_answer_signs_no_user_in(hub: Says, answers: dict[str, Any], error: type[HubError]) -> None:
    """A wrong issuer, app, time, nonce, user or host, or an empty response, is refused; the error reveals no secret."""
    hub.say(**answers)
    with pytest.raises(error) as caught:
        provider(hub).identify("the code", verifier="v", nonce="n")
    assert not [secret for secret in ("the code", "secret", "hf_oauth_x") if secret in str(caught.value)]


def test_clocks_may_differ_by_a_minute(hub: Says) -> None:
    """An id token that expired less than a minute ago is accepted."""
    hub.say(identity={"exp": NOW - 50})
    assert provider(hub).identify("c", verifier="v", nonce="n").name == "ada"


@pytest.mark.parametrize("token", ["", "a", "a.b", "a.!.c", "a.é.c", f"a.{'W' * 9_000}.c"])
def test_a_malformed_id_token_is_garbled(token: str) -> None:
    """A malformed id token raises Garbled, and no other error."""
    with pytest.raises(Garbled):
        claims_in(token)
