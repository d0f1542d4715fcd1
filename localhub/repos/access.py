"""Rules of access: what a caller may do with a repo.

`read`     public repos: every caller; private ones: the owner and the members of the owning organisation
`discuss`  open threads and pull requests, comment: every caller with an account who may read
`write`    commit, merge: the owner, members with the role write or admin, contributors on repos that they created
`admin`    settings, rename, delete: as `write` (the Hub gives the write role these too)

A token can only take away from what its account may do. A fine-grained one needs `repo.content.read`, `repo.write` or
`discussion.write` for the repo or its owner, or `discussion.write` everywhere.
"""

from __future__ import annotations

from typing import Literal

from localhub.accounts.store import Account, Accounts, Caller, OrgRole, Token
from localhub.errors import Forbidden, GatedRepo, HubError, RepoMoved, RepoNotFound, Unauthorized
from localhub.repos.grants import Grants
from localhub.repos.records import Repo, RepoType
from localhub.repos.store import RepoStore

AccessLevel = Literal["read", "discuss", "write", "admin"]

_PERMISSIONS: dict[AccessLevel, frozenset[str]] = {
    "read": frozenset({"repo.content.read", "repo.write"}),
    "discuss": frozenset({"discussion.write"}),
    "write": frozenset({"repo.write"}),
    "admin": frozenset({"repo.write"}),
}


class Access:
    """Decides what callers may do, by their roles, their tokens and the grants of gated repos."""

    def __init__(self, accounts: Accounts, repos: RepoStore, grants: Grants) -> None:
        self._accounts = accounts
        self._repos = repos
        self._grants = grants

    def repo(self, repo_type: RepoType, full_name: str, caller: Caller, level: AccessLevel = "read") -> Repo:
        """Return the repo of that name, if the caller has `level` on it.

        Raises `RepoMoved` for a former name, `RepoNotFound` if the repo is missing or hidden, and what
        `require_access` raises.
        """
        repo = self._repos.get(repo_type, full_name)
        moved = repo is None
        repo = repo or self._repos.moved(repo_type, full_name)
        if repo is None or not self.allows(caller, repo, "read"):
            raise RepoNotFound
        if moved:
            raise RepoMoved(full_name, repo.full_name)
        self.require_access(caller, repo, level)
        return repo

    def require_access(self, caller: Caller, repo: Repo, level: AccessLevel) -> None:
        """Raise unless the caller has `level`: `Unauthorized` without an account, else `Forbidden`.

        A disabled repo gives 403 for everything but `read`.
        """
        if repo.disabled and level != "read":
            raise repo_disabled()
        if self.allows(caller, repo, level):
            return
        if caller.account is None:
            raise Unauthorized
        raise Forbidden(_refusal(caller, repo, level))

    def require_content_access(self, caller: Caller, repo: Repo) -> None:
        """Raise unless the caller may read the files themselves: `GatedRepo`, or 403 for a disabled repo."""
        if repo.disabled:
            raise repo_disabled()
        if not repo.gated or self._has_gated_access(caller, repo):
            return
        raise GatedRepo(repo.type, repo.full_name, repo.web_path, logged_in=caller.account is not None)

    def allows(self, caller: Caller, repo: Repo, level: AccessLevel) -> bool:
        """Whether both the caller's account and its token allow `level` on the repo."""
        return self._account_allows(caller.account, repo, level) and _token_allows(caller.token, repo, level)

    def role_in(self, account: Account | None, repo: Repo) -> OrgRole | None:
        """The account's role on the repo: as its owner, or by the owning organisation."""
        if account is None:
            return None
        return "admin" if account.id == repo.owner_id else self._accounts.role(repo.owner_id, account.id)

    def may_create_in(self, caller: Caller, namespace: Account) -> bool:
        """Whether the caller may create repos in `namespace`: users in their own, members with a role above read."""
        account = caller.account
        if account is None or not _token_may_create(caller.token, namespace):
            return False
        return account.id == namespace.id or self._accounts.role(namespace.id, account.id) not in (None, "read")

    def _account_allows(self, account: Account | None, repo: Repo, level: AccessLevel) -> bool:
        role = self.role_in(account, repo)
        if level in ("read", "discuss"):
            return (not repo.private or role is not None) and (level == "read" or account is not None)
        if role == "contributor":
            return account is not None and repo.created_by == account.id
        return role in ("admin", "write")

    def _has_gated_access(self, caller: Caller, repo: Repo) -> bool:
        token = caller.token
        fine_grained = token is not None and token.role == "fineGrained"
        if token and fine_grained and not token.reads_gated and not _in_scope(token, repo, _PERMISSIONS["read"]):
            return False
        if self.role_in(caller.account, repo) is not None:
            return True
        return caller.account is not None and self._grants.status(repo, caller.account) == "accepted"


def repo_disabled() -> HubError:
    """The answer for a disabled repo: the client recognises it by this message alone."""
    return HubError(403, "Access to this resource is disabled.")


def _token_allows(token: Token | None, repo: Repo, level: AccessLevel) -> bool:
    if token is None or token.role == "write":
        return True
    if level == "read" and (not repo.private or token.role == "read"):
        return True
    if token.role == "read":
        return False
    if level == "discuss" and "discussion.write" in token.global_permissions:
        return True
    return _in_scope(token, repo, _PERMISSIONS[level])


def _token_may_create(token: Token | None, namespace: Account) -> bool:
    if token is None or token.role != "fineGrained":
        return token is None or token.role == "write"
    return any(
        scope.entity_type in ("user", "org")
        and scope.entity_name.lower() == namespace.name.lower()
        and "repo.write" in scope.permissions
        for scope in token.scoped
    )


def _in_scope(token: Token, repo: Repo, permissions: frozenset[str]) -> bool:
    for scope in token.scoped:
        if scope.entity_type in ("user", "org"):
            covers = scope.entity_name.lower() == repo.namespace.lower()
        else:
            covers = scope.entity_type == repo.type and scope.entity_name.lower() == repo.full_name.lower()
        if covers and scope.permissions & permissions:
            return True
    return False


def _refusal(caller: Caller, repo: Repo, level: AccessLevel) -> str:
    if caller.token and caller.token.role == "read":
        return f"This token can only read. Use one with the write role on {repo.full_name}."
    if level == "write":
        return "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request"
    if caller.token and caller.token.role == "fineGrained":
        needs = " or ".join(sorted(_PERMISSIONS[level]))
        return f"This token is not allowed to do that on {repo.full_name}: it needs {needs}."
    return f"You need the write role on {repo.full_name} for that."
