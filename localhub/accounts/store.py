"""Users, organisations, their members, and tokens.

Names are stored as given, also those that the Hub's own rules would refuse, and compared without case. Tokens are
stored as their SHA-256: a lookup compares nothing with the secret itself.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast, get_args

from localhub.clock import Clock
from localhub.database import Database
from localhub.errors import Unauthorized, WorldError
from localhub.ids import new_id
from localhub.json_values import JsonObject

OrgRole = Literal["admin", "write", "contributor", "read"]
TokenRole = Literal["read", "write", "fineGrained"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, fullname TEXT NOT NULL,
  email TEXT, is_pro INTEGER NOT NULL, plan TEXT, created_at REAL NOT NULL, deleted INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS accounts_by_name ON accounts (key) WHERE NOT deleted;
CREATE TABLE IF NOT EXISTS members (
  org TEXT NOT NULL REFERENCES accounts, user TEXT NOT NULL REFERENCES accounts, role TEXT NOT NULL,
  PRIMARY KEY (org, user));
CREATE TABLE IF NOT EXISTS tokens (
  hash TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES accounts, name TEXT NOT NULL, role TEXT NOT NULL,
  scoped TEXT NOT NULL, global TEXT NOT NULL, reads_gated INTEGER NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS private_by_default (account TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS token_ends (hash TEXT PRIMARY KEY, at REAL NOT NULL);
"""


@dataclass(frozen=True)
class Account:
    """A user or an organisation."""

    id: str
    name: str
    kind: Literal["user", "org"]
    fullname: str
    email: str | None
    is_pro: bool
    plan: str | None
    created_at: datetime

    @property
    def can_pay(self) -> bool:
        """Whether it can pay for hardware: a Pro user, or an organisation with a plan [?]."""
        return self.is_pro or self.plan is not None

    @property
    def avatar_url(self) -> str:
        """The path of its picture."""
        return f"/avatars/{self.id}.svg"


@dataclass(frozen=True)
class TokenScope:
    """Permissions of a fine-grained token on one repo, or on all repos of one account."""

    entity_type: str
    entity_name: str
    permissions: frozenset[str]


@dataclass(frozen=True)
class Token:
    """What one token allows; its owner's own rights limit it further."""

    name: str
    role: TokenRole
    scoped: tuple[TokenScope, ...]
    global_permissions: frozenset[str]
    reads_gated: bool
    created_at: datetime

    def grants(self, account: Account, permission: str) -> bool:
        """Whether a fine-grained token has `permission` for `account` itself."""
        return self.role == "fineGrained" and any(
            scope.entity_type == account.kind
            and scope.entity_name.lower() == account.name.lower()
            and permission in scope.permissions
            for scope in self.scoped
        )


@dataclass(frozen=True)
class Caller:
    """The caller of a request: an account with its token, or without one if a page's cookie names it, or anonymous."""

    account: Account | None = None
    token: Token | None = None

    def require_account(self) -> Account:
        """The caller's account; `Unauthorized` for an anonymous caller."""
        if self.account is None:
            raise Unauthorized
        return self.account


class Accounts:
    """All accounts with their members and tokens."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.ensure(SCHEMA)

    def create(
        self,
        name: str,
        kind: Literal["user", "org"] = "user",
        *,
        fullname: str = "",
        email: str | None = None,
        is_pro: bool = False,
        plan: str | None = None,
        id: str | None = None,
        created: float | None = None,
    ) -> Account:
        """Create an account, dated `created` or now; `WorldError` if the name is taken."""
        row = (id or new_id(), name, name.lower(), kind, fullname or name, email, is_pro, plan)
        try:
            with self._database.write() as db:
                db.execute(
                    "INSERT INTO accounts (id, name, key, kind, fullname, email, is_pro, plan, created_at)"
                    " VALUES (?,?,?,?,?,?,?,?,?)",
                    (*row, self._clock.seconds() if created is None else created),
                )
        except sqlite3.IntegrityError as error:
            raise WorldError(f"there is an account {name!r} already") from error
        return cast(Account, self.by_id(row[0]))

    def delete(self, account: Account) -> None:
        """Delete the account; its commits and comments stay, without an author."""
        with self._database.write() as db:
            db.execute("UPDATE accounts SET deleted = 1 WHERE id = ?", (account.id,))
            db.execute("DELETE FROM tokens WHERE user = ?", (account.id,))
            db.execute("DELETE FROM members WHERE user = ? OR org = ?", (account.id, account.id))

    def by_name(self, name: str) -> Account | None:
        """The account of that name, compared without case."""
        row = self._database.row("SELECT * FROM accounts WHERE key = ? AND NOT deleted", (name.lower(),))
        return _account(row) if row else None

    def by_id(self, id: str) -> Account | None:
        """The account with that id; None also if it was deleted."""
        row = self._database.row("SELECT * FROM accounts WHERE id = ? AND NOT deleted", (id,))
        return _account(row) if row else None

    def all(self, kind: Literal["user", "org"] | None = None) -> list[Account]:
        """Every account, ordered by name."""
        sql = "SELECT * FROM accounts WHERE NOT deleted AND (? IS NULL OR kind = ?) ORDER BY key"
        return [_account(row) for row in self._database.rows(sql, (kind, kind))]

    def set_private_by_default(self, org: Account) -> None:
        """Make the organisation's new repos private unless their creator says otherwise, as an enterprise plan can."""
        with self._database.write() as db:
            db.execute("INSERT OR IGNORE INTO private_by_default VALUES (?)", (org.id,))

    def creates_private_repos(self, owner: Account) -> bool:
        """Whether new repos of `owner` are private unless their creator says otherwise."""
        return self._database.row("SELECT 1 FROM private_by_default WHERE account = ?", (owner.id,)) is not None

    def set_member(self, org: Account, user: Account, role: OrgRole | None) -> None:
        """Make the user a member with that role; with None, remove the membership."""
        if role is not None and role not in get_args(OrgRole):
            raise WorldError(f"{role!r} is no role: one of {', '.join(get_args(OrgRole))}")
        with self._database.write() as db:
            db.execute("DELETE FROM members WHERE org = ? AND user = ?", (org.id, user.id))
            if role:
                db.execute("INSERT INTO members VALUES (?,?,?)", (org.id, user.id, role))

    def members(self, org: Account) -> list[tuple[Account, OrgRole]]:
        """The members of an organisation with their roles, ordered by name."""
        return self._joined("m.user", "m.org", org)

    def orgs(self, user: Account) -> list[tuple[Account, OrgRole]]:
        """The organisations of a user with the role in each, ordered by name."""
        return self._joined("m.org", "m.user", user)

    def role(self, org_id: str, user_id: str) -> OrgRole | None:
        """The user's role in the organisation, if any."""
        row = self._database.row("SELECT role FROM members WHERE org = ? AND user = ?", (org_id, user_id))
        return row["role"] if row else None

    def add_token(self, user: Account, secret: str, spec: Mapping[str, Any]) -> None:
        """Add a token of the user. `spec`: `role`, `name`, `scoped`, `global`, `canReadGatedRepos`, `expiresAt`.

        It is valid until `expiresAt` (seconds since the epoch), or forever without one.
        """
        role = spec.get("role", "write")
        if role not in get_args(TokenRole):
            raise WorldError(f"{role!r} is no role of a token: one of {', '.join(get_args(TokenRole))}")
        scoped = [_scope_json(scope) for scope in spec.get("scoped") or ()]
        row = (
            token_hash(secret),
            user.id,
            spec.get("name", f"{user.name}-{role}"),
            role,
            json.dumps(scoped),
            json.dumps(list(spec.get("global") or ())),
            bool(spec.get("canReadGatedRepos", False)),
            self._clock.seconds(),
        )
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO tokens VALUES (?,?,?,?,?,?,?,?)", row)
            if "expiresAt" in spec:
                db.execute("INSERT OR REPLACE INTO token_ends VALUES (?,?)", (row[0], float(spec["expiresAt"])))

    def revoke_token(self, secret: str) -> None:
        """Delete a token."""
        with self._database.write() as db:
            db.execute("DELETE FROM tokens WHERE hash = ?", (token_hash(secret),))

    def by_token(self, secret: str) -> Caller | None:
        """The caller that the token identifies; None if it is unknown or has expired."""
        sql = "SELECT t.*, e.at AS ends FROM tokens t LEFT JOIN token_ends e USING (hash) WHERE hash = ?"
        row = self._database.row(sql, (token_hash(secret),))
        if row and row["ends"] is not None and row["ends"] <= self._clock.seconds():
            return None
        account = self.by_id(row["user"]) if row else None
        return Caller(account, _token(row)) if row and account else None

    def by_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> Account | None:
        """The account whose token a call's headers carry, for middlewares; None without a valid token."""
        for name, value in headers:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                caller = self.by_token(value[7:].decode("latin-1").strip())
                return caller.account if caller else None
        return None

    def _joined(self, listed: str, given: str, account: Account) -> list[tuple[Account, OrgRole]]:
        sql = f"SELECT a.*, m.role FROM members m JOIN accounts a ON a.id = {listed} WHERE {given} = ? ORDER BY a.key"  # noqa: S608 (both names are this module's own)
        return [(_account(row), row["role"]) for row in self._database.rows(sql, (account.id,))]


def token_hash(secret: str) -> str:
    """The hash of a token, which is stored in its place."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _account(row: sqlite3.Row) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        fullname=row["fullname"],
        email=row["email"],
        is_pro=bool(row["is_pro"]),
        plan=row["plan"],
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
    )


def _token(row: sqlite3.Row) -> Token:
    scopes = (TokenScope(s["type"], s["name"], frozenset(s["permissions"])) for s in json.loads(row["scoped"]))
    return Token(
        name=row["name"],
        role=row["role"],
        scoped=tuple(scopes),
        global_permissions=frozenset(json.loads(row["global"])),
        reads_gated=bool(row["reads_gated"]),
        created_at=datetime.fromtimestamp(row["created_at"], UTC),
    )


def _scope_json(scope: Mapping[str, Any]) -> JsonObject:
    """`{entity: {type, name}, permissions}`, as whoami shows it, flattened for the table."""
    try:
        entity = scope["entity"]
        return {"type": entity["type"], "name": entity["name"], "permissions": list(scope["permissions"])}
    except (KeyError, TypeError) as error:
        raise WorldError(
            f"a token's scope reads {{entity: {{type, name}}, permissions: […]}}, not {scope!r}"
        ) from error
