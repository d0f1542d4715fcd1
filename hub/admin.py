"""Idempotent creation, change and deletion of repos, branches and webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from hub import parse
from hub.calls import HubCalls
from hub.errors import Busy, Conflict, Denied, NotFound, RateLimited, RevisionNotFound, Transient
from hub.records import Repo, WatchedItem, Webhook


class Admin(HubCalls):
    """The part of `Hub` for whole repos, their branches, and webhooks."""

    def repo_exists(self, repo: Repo) -> bool:
        """Whether the token can see the repo."""
        try:
            self._get(f"{repo.api}/refs", "refs")
        except NotFound:
            return False
        return True

    def account_exists(self, name: str) -> bool:
        """Whether there is an organisation, or a user, of this name."""
        for kind in ("organizations", "users"):
            try:
                self._get(f"/api/{kind}/{quote(name, safe='')}/overview", "account")
            except NotFound:
                continue
            return True
        return False

    def create_repo(self, repo: Repo, *, private: bool = False, sdk: str = "static", exist_ok: bool = True) -> bool:
        """Create a repo. Return False if it exists (with `exist_ok`, else raises Conflict). `sdk` is for Spaces.

        The visibility of an existing repo stays unchanged.
        """
        owner, _, name = repo.id.rpartition("/")
        visibility = "private" if private else "public"
        request: dict[str, Any] = {"name": name, "organization": owner or None, "type": repo.kind}
        request |= {"visibility": visibility} | ({"sdk": sdk} if repo.kind == "space" else {})
        tries = 0

        def once() -> bool:
            nonlocal tries
            tries += 1
            try:
                self.session.send("POST", "/api/repos/create", route="repo-create", json=request)
            except Busy:
                raise
            except Conflict:
                # A conflict in a later try may be with the repo that the first try created before its error.
                if not exist_ok and tries == 1:
                    raise
                return False
            except Denied:
                if exist_ok and self.repo_exists(repo):
                    return False
                raise
            return True

        return self.retries.until(once, on=(Transient, Busy, RateLimited))

    def delete_repo(self, repo: Repo) -> None:
        """Delete a repo with its history, unless it is gone."""
        owner, _, name = repo.id.rpartition("/")
        request = {"name": name, "organization": owner or None, "type": repo.kind}
        with suppress(NotFound):
            self._repeated("DELETE", "/api/repos/delete", "repo-delete", request)

    def gate(self, repo: Repo, *, manual: bool = True) -> None:
        """Gate the repo: the owner accepts each user (`manual`), or every user who asks is accepted."""
        self._set(repo, {"gated": "manual" if manual else "auto"})

    def hide(self, repo: Repo) -> None:
        """Make the repo private: only its owner, or members of the owning organisation, can read it."""
        self._set(repo, {"visibility": "private"})

    def _set(self, repo: Repo, settings: dict[str, str]) -> None:
        self._repeated("PUT", f"{repo.api}/settings", "repo-settings", settings)

    def move_repo(self, repo: Repo, name: str) -> None:
        """Rename `repo` to `name` (`owner/name`) exactly once; the Hub then redirects its old name.

        Raises NotFound if there is no such repo, Denied if the token has no permission, Conflict if the name is taken.
        """
        request = {"fromRepo": repo.id, "toRepo": name, "type": repo.kind}

        def once() -> None:
            answer = self._get(repo.api, "info").json()
            if parse.parsed(lambda it: str(it["id"]), answer) == name:
                return  # done already: the old name redirects to the new one
            self.session.send("POST", "/api/repos/move", route="repo-move", json=request)

        self.retries.until(once, on=(Transient, Busy, RateLimited))

    def create_branch(self, repo: Repo, branch: str) -> None:
        """Create a branch without files, unless there is a branch of this name."""
        try:
            self._repeated("POST", _branch_path(repo, branch), "branch-create", {"emptyBranch": True})
        except Busy:
            raise
        except Conflict:
            return  # it exists

    def delete_branch(self, repo: Repo, branch: str) -> None:
        """Delete a branch, unless it is gone."""
        with suppress(RevisionNotFound):
            self._repeated("DELETE", _branch_path(repo, branch), "branch-delete", None)

    def webhooks(self) -> list[Webhook]:
        """Return all webhooks of the account."""
        items = self._get("/api/settings/webhooks", "webhooks").json()
        return parse.parsed(lambda it: [parse.webhook(item) for item in it], items)

    def ensure_webhook(self, url: str, watched: Iterable[WatchedItem], domains: Iterable[str], secret: str) -> Webhook:
        """Return the webhook that reports exactly these events to `url`; create or enable it if needed.

        The Hub does not show secrets, so an existing webhook keeps its secret; `rotate_webhook` changes it.
        """
        wanted, kinds = frozenset(watched), frozenset(domains)

        def once() -> Webhook:
            for hook in self.webhooks():
                if (hook.url, hook.watched, hook.domains) == (url, wanted, kinds):
                    return self.enable_webhook(hook.id) if hook.disabled else hook
            request = _webhook_request(url, wanted, kinds, secret)
            answer = self.session.send("POST", "/api/settings/webhooks", route="webhook-create", json=request)
            return parse.parsed(lambda it: parse.webhook(it["webhook"]), answer.json())

        return self.retries.until(once, on=(Transient, Busy, RateLimited))

    def rotate_webhook(self, hook: Webhook, secret: str) -> Webhook:
        """Give a webhook another secret. The call sends all fields, because the Hub treats missing ones as empty."""
        request = _webhook_request(hook.url or "", hook.watched, hook.domains, secret)
        return self._webhook_call(hook.id, "", "webhook-update", request)

    def enable_webhook(self, hook_id: str) -> Webhook:
        """Enable a webhook that was disabled, or that the Hub suspended after too many failures."""
        return self._webhook_call(hook_id, "/enable", "webhook-enable", None)

    def disable_webhook(self, hook_id: str) -> Webhook:
        """Disable a webhook until it is enabled again."""
        return self._webhook_call(hook_id, "/disable", "webhook-disable", None)

    def delete_webhook(self, hook_id: str) -> None:
        """Delete a webhook, unless it is gone."""
        with suppress(NotFound):
            self._repeated("DELETE", f"/api/settings/webhooks/{hook_id}", "webhook-delete", None)

    def _webhook_call(self, hook_id: str, action: str, route: str, request: object) -> Webhook:
        address = f"/api/settings/webhooks/{hook_id}{action}"
        answer = self._repeated("POST", address, route, request)
        return parse.parsed(lambda it: parse.webhook(it["webhook"]), answer.json())


def _branch_path(repo: Repo, branch: str) -> str:
    return f"{repo.api}/branch/{quote(branch, safe='')}"


def _webhook_request(
    url: str, watched: frozenset[WatchedItem], domains: frozenset[str], secret: str
) -> dict[str, object]:
    names = [{"type": item.type, "name": item.name} for item in sorted(watched)]
    return {"url": url, "watched": names, "domains": sorted(domains), "secret": secret}
