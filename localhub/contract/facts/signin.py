"""Signing in with the Hub: its OpenID metadata, and how its addresses refuse."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from localhub.contract.checks import check, check_equal, part
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import Workspace

signin = FactGroup("signin")


def _metadata(ws: Workspace) -> Any:
    return ws.client.get("/.well-known/openid-configuration", sender="anonymous").expect(200).json()


@signin.fact(calls=1)
def metadata(ws: Workspace) -> None:
    """`/.well-known/openid-configuration` gives the Hub as `issuer`, and three addresses on the same host."""
    fields = _metadata(ws)
    check_equal("issuer", str(part(fields, "issuer")).rstrip("/"), ws.client.endpoint)
    here = urlsplit(ws.client.endpoint)
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint"):
        there = urlsplit(str(part(fields, name)))
        check_equal(f"host of {name}", (there.scheme, there.netloc), (here.scheme, here.netloc))


@signin.fact(calls=1)
def code_flow(ws: Workspace) -> None:
    """The metadata name the response type `code` and the scopes `openid` and `profile`."""
    fields = _metadata(ws)
    check("response types", "code" in part(fields, "response_types_supported"), expected="code", got=fields)
    scopes = part(fields, "scopes_supported")
    check("scopes", {"openid", "profile"} <= set(scopes), expected="openid and profile", got=scopes)


@signin.fact(calls=1)
def invalid_code(ws: Workspace) -> None:
    """`POST /oauth/token` with a code that does not exist is refused with JSON."""
    answer = ws.client.post(
        "/oauth/token",
        content=b"grant_type=authorization_code&code=none&redirect_uri=https%3A%2F%2Fexample.org%2F&client_id=none",
        headers={"content-type": "application/x-www-form-urlencoded"},
        sender="anonymous",
    )
    answer.expect_refusal()
    check("error", bool(part(answer.json(), "error")), expected="a message", got=answer.text)


@signin.fact(calls=1)
def userinfo_without_token(ws: Workspace) -> None:
    """`/oauth/userinfo` without a token is 401."""
    ws.client.get("/oauth/userinfo", sender="anonymous").expect(401)
