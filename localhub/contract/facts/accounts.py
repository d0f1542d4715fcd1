"""Accounts: the token's own, users, organisations and members."""

from __future__ import annotations

from localhub.contract.checks import check, check_date, check_equal, described, only, part
from localhub.contract.registry import FactGroup
from localhub.contract.workspace import Workspace

accounts = FactGroup("accounts")
_NO_NAME = "no-account-has-this-name-4f1c"


@accounts.fact(calls=1)
def whoami(ws: Workspace) -> None:
    """`GET /api/whoami-v2` gives `id`, `name`, `type` and `orgs` of the token's account."""
    answer = ws.client.get("/api/whoami-v2").expect(200).json()
    for name in ("id", "name", "type"):
        check(name, isinstance(part(answer, name), str), expected="text", got=part(answer, name))
    check_equal("type", answer["type"], "user")
    check("orgs", isinstance(part(answer, "orgs"), list), expected="a list", got=described(answer["orgs"]))


@accounts.fact(calls=0)
def token_role(ws: Workspace) -> None:
    """`whoami-v2` gives the token's role in `auth.accessToken.role`: read, write, fineGrained or god."""
    role = part(ws.account, "auth", "accessToken", "role")
    check("role", role in ("read", "write", "fineGrained", "god"), expected="one of the four roles", got=role)


@accounts.fact(calls=1)
def wrong_token(ws: Workspace) -> None:
    """An unknown token gets 401 and a JSON `error`."""
    answer = ws.client.get("/api/whoami-v2", sender="wrong").expect(401)
    check("error", bool(answer.error), expected="a message", got=answer.text)


@accounts.fact(calls=1)
def user(ws: Workspace) -> None:
    """`GET /api/users/{name}/overview` gives `_id`, the same as in `whoami-v2`, with `user` and `createdAt`."""
    answer = ws.client.get(f"/api/users/{ws.me}/overview").expect(200).json()
    check_equal("_id", part(answer, "_id"), ws.my_id)
    check_equal("user", part(answer, "user"), ws.me)
    check_date("createdAt", part(answer, "createdAt"))


@accounts.fact(calls=1)
def user_missing(ws: Workspace) -> None:
    """The overview of a user who does not exist is 404."""
    ws.client.get(f"/api/users/{_NO_NAME}/overview").expect(404)


@accounts.fact(calls=1)
def organisation_missing(ws: Workspace) -> None:
    """The overview of an organisation that does not exist is 404."""
    ws.client.get(f"/api/organizations/{_NO_NAME}/overview").expect(404)


@accounts.fact(calls=1, needs=("organisation",))
def organisation(ws: Workspace) -> None:
    """`GET /api/organizations/{name}/overview` gives its `name`."""
    answer = ws.client.get(f"/api/organizations/{ws.organisation}/overview").expect(200).json()
    check_equal("name", part(answer, "name"), ws.organisation)


@accounts.fact(calls=0, needs=("organisation",))
def role_in_organisation(ws: Workspace) -> None:
    """`whoami-v2` gives the account's role in each organisation as `roleInOrg`."""
    mine = only("orgs", ws.account["orgs"], lambda org: org["name"] == ws.organisation)
    roles = ("admin", "write", "contributor", "read", "no_access")
    check("roleInOrg", part(mine, "roleInOrg") in roles, expected=f"one of {roles}", got=mine["roleInOrg"])


@accounts.fact(calls=1, needs=("organisation",))
def members(ws: Workspace) -> None:
    """`GET /api/organizations/{name}/members?search=` finds a member by name, with `_id` and, for members, `role`."""
    params = {"search": ws.me, "limit": "100"}
    answer = ws.client.get(f"/api/organizations/{ws.organisation}/members", params=params).expect(200).json()
    mine = only("members", answer, lambda member: member.get("_id") == ws.my_id)
    check_equal("user", part(mine, "user"), ws.me)
    check("role", bool(part(mine, "role")), expected="a role", got=mine["role"])
