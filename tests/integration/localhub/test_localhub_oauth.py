"""OAuth sign-in with localhub: the answers and refusals that an app gets."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from huggingface_hub import HfApi

from localhub.accounts.oauth import TOKEN_SECONDS, challenge_of
from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import accounts_world

APP, SECRET, BACK = "an-app", "an app's secret/+", "http://127.0.0.1:1/signin/callback"
VERIFIER = "v" * 43
ASKED = {
    "client_id": APP,
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid profile",
    "state": "the state",
    "nonce": "the nonce",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub with one app."""
    app = {"clientId": APP, "clientSecret": SECRET, "name": "The Board", "scopes": ["email", "read-repos"]}
    app["redirects"] = [BACK, "https://board.hf.space"]
    with LocalHub(tmp_path_factory.mktemp("hub"), {**accounts_world(), "oauthApps": [app]}) as running:
        yield running


@pytest.fixture(scope="module")
def web(hub: LocalHub) -> Iterator[httpx.Client]:
    """A browser that follows no redirect."""
    with httpx.Client(base_url=hub.url, timeout=20) as client:
        yield client


def agree(web: httpx.Client, who: str = "ada", **changes: str) -> dict[str, str]:
    """Authorise the app as `who`, and return the parameters of the redirect to the app."""
    answer = web.post("/oauth/authorize", data={**ASKED, **changes, "as": who})
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def exchange(web: httpx.Client, code: str, /, **changes: str) -> httpx.Response:
    """Exchange a code for a token, as the app does."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    return web.post("/oauth/token", data={**form, **changes}, auth=(APP, SECRET))


def claims_in(token: str) -> Any:
    """The claims of an id token."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_the_openid_metadata_list_the_endpoints(hub: LocalHub, web: httpx.Client) -> None:
    """The OpenID metadata have the endpoints and the supported features of this Hub."""
    metadata = web.get("/.well-known/openid-configuration").json()
    assert metadata["issuer"] == hub.url
    assert {metadata[f"{name}_endpoint"] for name in ("authorization", "token", "userinfo")} == {
        f"{hub.url}/oauth/{name}" for name in ("authorize", "token", "userinfo")
    }
    assert (metadata["code_challenge_methods_supported"], metadata["response_types_supported"]) == (["S256"], ["code"])
    assert web.get(metadata["jwks_uri"]).json() == {"keys": []}


def test_a_person_authorises_an_app_which_gets_their_identity(hub: LocalHub, web: httpx.Client) -> None:
    """An authorised app gets a code, a token and the claims of the person; with the token it cannot write."""
    page = web.get("/oauth/authorize", params=ASKED)
    assert page.status_code == 200
    assert "Sign in to The Board" in page.text
    assert '<button name="as" value="ada">Authorize as ada</button>' in page.text
    assert "form-action 'self' http://127.0.0.1:1;" in page.headers["content-security-policy"]
    answer = agree(web)
    assert answer["state"] == "the state"
    token_answer = exchange(web, answer["code"])
    assert token_answer.status_code == 200, token_answer.text
    assert token_answer.headers["cache-control"] == "no-store"
    token = token_answer.json()
    assert (token["token_type"], token["expires_in"], token["scope"]) == ("bearer", TOKEN_SECONDS, "openid profile")
    ada = hub.state.accounts.by_name("ada")
    assert ada is not None
    identity = claims_in(token["id_token"])
    assert (identity["iss"], identity["aud"], identity["nonce"]) == (hub.url, APP, "the nonce")
    assert (identity["sub"], identity["preferred_username"]) == (ada.id, "ada")
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    claims = web.get("/oauth/userinfo", headers=bearer).json()
    assert (claims["sub"], claims["preferred_username"], claims["name"]) == (ada.id, "ada", "Ada L")
    assert {org["preferred_username"]: org["roleInOrg"] for org in claims["orgs"]} == {
        "board": "admin",
        "details": "admin",
    }
    assert "email" not in claims
    assert all("plan" not in org for org in claims["orgs"])
    me = HfApi(hub.url, token=token["access_token"])
    assert me.whoami()["name"] == "ada"
    refused = web.post("/api/repos/create", json={"name": "x", "type": "model"}, headers=bearer)
    assert refused.status_code == 403, refused.text


def test_a_code_that_is_used_again_is_refused_and_revokes_its_token(web: httpx.Client) -> None:
    """A code can be exchanged once; a second exchange is refused and revokes the token, as OAuth requires."""
    code = agree(web)["code"]
    token = exchange(web, code).json()["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert web.get("/api/whoami-v2", headers=bearer).status_code == 200
    again = exchange(web, code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert web.get("/api/whoami-v2", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code": "unknown"}, 400, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:1/other"}, 400, "invalid_grant"),
        ({"code_verifier": "w" * 43}, 400, "invalid_grant"),
        ({"code_verifier": ""}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_token_request_is_refused_in_the_documented_json(
    web: httpx.Client, changes: dict[str, str], status: int, error: str
) -> None:
    """A token request with a wrong code, redirect, verifier or grant type is refused with `error` and a description."""
    answer = exchange(web, agree(web)["code"], **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]


def test_a_wrong_app_gets_no_token(web: httpx.Client) -> None:
    """An app with wrong or missing credentials gets no token; correct credentials in the form are accepted."""
    form = {"grant_type": "authorization_code", "code": agree(web)["code"], "redirect_uri": BACK}
    form["code_verifier"] = VERIFIER
    for auth in ((APP, "wrong"), ("nobody", SECRET)):
        answer = web.post("/oauth/token", data=form, auth=auth)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"] == "Basic"
    assert web.post("/oauth/token", data=form).status_code == 401
    assert web.post("/oauth/token", json=form).json()["error"] == "invalid_request"
    assert web.post("/oauth/token", data={**form, "client_id": APP, "client_secret": SECRET}).status_code == 200


def test_localhub_redirects_only_to_addresses_of_the_app(web: httpx.Client) -> None:
    """An unknown app or redirect address is 400 without a redirect; any path of a registered Space is allowed."""
    for changes in (
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": BACK + "/more"},
        {"redirect_uri": "https://board.hf.space.evil.example/"},
        {"redirect_uri": "https://board.hf.space@evil.example/"},
        {"redirect_uri": "javascript:alert(1)"},
    ):
        for answer in (
            web.get("/oauth/authorize", params={**ASKED, **changes}, headers={"accept": "text/html"}),
            web.post("/oauth/authorize", data={**ASKED, **changes, "as": "ada"}),
        ):
            assert answer.status_code == 400, changes
            assert "location" not in answer.headers
    assert agree(web, redirect_uri="https://board.hf.space/signin/callback")["code"]


def test_the_app_gets_errors_and_a_refusal_by_redirect(web: httpx.Client) -> None:
    """A wrong request or a person's refusal redirects to the app with the error and its `state`."""
    wrong = (
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid write-repos"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    )
    for changes, error in wrong:
        answer = web.get("/oauth/authorize", params={**ASKED, **changes})
        query = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (query["error"], query["state"]) == ([error], ["the state"])
    assert agree(web, who="")["error"] == "access_denied"
    other = web.post("/oauth/authorize", data={**ASKED, "as": "ada"}, headers={"origin": "https://evil.example"})
    assert other.status_code == 403


def test_userinfo_is_for_tokens_of_apps(hub: LocalHub, web: httpx.Client) -> None:
    """`userinfo` refuses requests without an app's token. Without scopes it says who is Pro; no claim is null."""
    assert web.get("/oauth/userinfo").status_code == 401
    for token, status in (("hf_nobody", 401), ("hf_ada", 403)):
        assert web.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"}).status_code == status
    token = exchange(web, agree(web, scope="openid email")["code"]).json()["access_token"]
    claims = web.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"}).json()
    assert claims == {"sub": claims["sub"], "isPro": False, "orgs": [], "email_verified": False}


def test_codes_and_tokens_expire(tmp_path: Path) -> None:
    """A code expires after a minute, a token after its lifetime; a registered app is kept after a restart."""
    with LocalHub(tmp_path, accounts_world()) as hub:
        hub.state.oauth.register(APP, SECRET, [BACK])
    with LocalHub(tmp_path) as hub, httpx.Client(base_url=hub.url, timeout=20) as web:
        late = agree(web)["code"]
        hub.state.clock.advance(61)
        assert exchange(web, late).json()["error"] == "invalid_grant"
        bearer = {"authorization": f"Bearer {exchange(web, agree(web)['code']).json()['access_token']}"}
        assert web.get("/api/whoami-v2", headers=bearer).status_code == 200
        hub.state.clock.advance(TOKEN_SECONDS)
        assert web.get("/api/whoami-v2", headers=bearer).status_code == 401
