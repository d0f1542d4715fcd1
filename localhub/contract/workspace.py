"""The account and the scratch repos of one run, which its facts share; a fact creates a repo when it first needs it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from localhub.contract.checks import Differs, NotTried, check, part
from localhub.contract.client import ContractClient, HubAnswer, Sender
from localhub.contract.listener import WebhookListener
from localhub.contract.scratch import PUBLIC, SCRATCH_REPOS, ScratchRepo

T = TypeVar("T")
Files = Mapping[str, bytes | None]
"""Path → content; None removes the file."""

WHILE_MAKING = "while making"
"""Text that marks a difference found while a fact's repo or thread is created, before its own test."""
BENCHMARK = "TIGER-Lab/MMLU-Pro"
"""A dataset whose leaderboard the Hub keeps."""
JOB_IMAGE = "ubuntu"
"""The image of Jobs: it needs `sh`, `echo` and `sleep`."""
BASE_FILES: Mapping[str, bytes] = {
    "README.md": b"# A scratch repo\n\nThe contract of localhub made it, and removes it.\n",
    "notes/a.json": b'{"a": 1}\n',
    "notes/b.json": b'{"b": 2}\n',
    "notes/deep/c.txt": b"0123456789abcdef\n",
    "names/50% #1 ü.txt": b"a name to quote\n",
}
"""The files of the repo `contents`."""


class Workspace:
    """The account of the token, and the repos of this run.

    `patience`: seconds to wait for effects that the Hub may delay, such as a delivery.
    """

    def __init__(
        self,
        client: ContractClient,
        account: Mapping[str, Any],
        namespace: str,
        prefix: str,
        *,
        listener: WebhookListener | None = None,
        benchmark: str = BENCHMARK,
        job_image: str = JOB_IMAGE,
        patience: float = 60.0,
    ) -> None:
        self.client = client
        self.account = account
        self.namespace = namespace
        self.prefix = prefix
        self.listener = listener
        self.benchmark = benchmark
        self.job_image = job_image
        self.patience = patience
        self._made: dict[str, Any] = {}

    @property
    def me(self) -> str:
        """The name of the token's account."""
        return str(self.account["name"])

    @property
    def my_id(self) -> str:
        """The id of the token's account."""
        return str(self.account["id"])

    @property
    def run_label(self) -> str:
        """The label of the Jobs of this run."""
        return self.prefix.rstrip("-")

    @property
    def organisation(self) -> str | None:
        """The organisation to ask about: the namespace if it is one, else the first of the account."""
        names = [str(org["name"]) for org in self.account.get("orgs") or ()]
        return self.namespace if self.namespace in names else next(iter(names), None)

    # --- scratch repos

    def named(self, purpose: str) -> ScratchRepo:
        """The repo for a purpose in SCRATCH_REPOS, which need not exist yet; it may be written to from now on."""
        repo = ScratchRepo(SCRATCH_REPOS[purpose], f"{self.namespace}/{self.prefix}{purpose}")
        self.client.guard.admit_repo(repo)
        return repo

    def repo(self, purpose: str, files: Files | None = None) -> ScratchRepo:
        """The repo for `purpose`, made with `files` when it is asked for first; private, unless it is PUBLIC."""

        def make() -> ScratchRepo:
            repo = self.named(purpose)
            create_repo(self, repo, private=purpose != PUBLIC).expect(200)
            if files:
                commit(self, repo, files).expect(200)
            return repo

        return self.once(f"the repo {purpose}", make)

    def contents(self) -> ScratchRepo:
        """A private dataset with BASE_FILES."""
        return self.repo("contents", BASE_FILES)

    def threads_repo(self) -> ScratchRepo:
        """A private dataset for discussions and pull requests."""
        return self.repo("talk", {"a.txt": b"one\n"})

    def public(self) -> ScratchRepo:
        """A public dataset."""
        return self.repo(PUBLIC, {"a.txt": b"one\n"})

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Count calls inside this context as calls that create things for several facts."""
        budget = self.client.budget
        budget.in_set_up, before = True, budget.in_set_up
        try:
            yield
        finally:
            budget.in_set_up = before

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Call `make` the first time that a fact uses this name, and return its result each time.

        If `make` raises Differs or NotTried, this raises the same error, and NotTried to all later facts.
        """
        if name not in self._made:
            try:
                with self.set_up():
                    self._made[name] = make()
            except Differs as error:
                self._made[name] = error
                raise Differs(error.expected, f"{error.got}, {WHILE_MAKING} {name}") from error
            except NotTried as error:
                self._made[name] = error
                raise
        made = self._made[name]
        if isinstance(made, Differs | NotTried):
            raise NotTried(f"{name} could not be made: {made}")
        result: T = made
        return result

    def eventually(self, look: Callable[[], T | None], calls: int) -> T | None:
        """Call `look` up to `calls` times, until its result is not None; the waits double, within `patience` in all."""
        wait = self.patience / 2**calls
        for attempt in range(calls):
            if (result := look()) is not None or attempt == calls - 1:
                return result
            time.sleep(wait)
            wait *= 2
        return None


# --- the calls that many facts make


def create_repo(workspace: Workspace, repo: ScratchRepo, *, private: bool = True, sdk: str = "static") -> HubAnswer:
    """Create a repo as Steward does; `sdk` of a Space."""
    body: dict[str, Any] = {"name": repo.name, "organization": repo.owner, "type": repo.kind}
    body |= {"visibility": "private" if private else "public"} | ({"sdk": sdk} if repo.kind == "space" else {})
    return workspace.client.post("/api/repos/create", json=body)


def commit(
    workspace: Workspace,
    repo: ScratchRepo,
    files: Files,
    message: str = "Write files",
    description: str = "",
    *,
    branch: str = "main",
    parent: str | None = None,
    create_pr: bool = False,
    large: Mapping[str, tuple[str, int]] | None = None,
    sender: Sender = "own",
    wait: bool = True,
) -> HubAnswer:
    """Send a commit. `branch` as in a URL (`refs%2Fpr%2F1`); `large`: path → sha256 and size of a stored LFS object."""
    header = {"summary": message, "description": description}
    lines: list[dict[str, Any]] = [{"key": "header", "value": header | ({"parentCommit": parent} if parent else {})}]
    for path, data in files.items():
        if data is None:
            lines.append({"key": "deletedFile", "value": {"path": path}})
        else:
            value = {"path": path, "content": base64.b64encode(data).decode(), "encoding": "base64"}
            lines.append({"key": "file", "value": value})
    for path, (oid, size) in (large or {}).items():
        lines.append({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": oid, "size": size}})
    return workspace.client.post(
        f"{repo.api}/commit/{branch}",
        content=b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        headers={"content-type": "application/x-ndjson"},
        params={"create_pr": "1"} if create_pr else None,
        sender=sender,
        wait=wait,
    )


def committed(
    workspace: Workspace, repo: ScratchRepo, files: Files, message: str = "Write files", **options: Any
) -> str:
    """Send a commit as `commit` does; return the new commit. Raises Differs if the Hub refuses it."""
    return str(part(commit(workspace, repo, files, message, **options).expect(200).json(), "commitOid"))


def heads(workspace: Workspace, repo: ScratchRepo, *, pulls: bool = False) -> dict[str, str]:
    """Every ref of a repo → its commit, in one call."""
    params = {"include_prs": "1"} if pulls else None
    refs = workspace.client.get(f"{repo.api}/refs", params=params).expect(200).json()
    kinds = ("branches", "tags", "converts", "pullRequests")
    return {part(ref, "ref"): part(ref, "targetCommit") for kind in kinds for ref in refs.get(kind) or ()}


def head(workspace: Workspace, repo: ScratchRepo, ref: str = "refs/heads/main") -> str:
    """The commit of a ref."""
    return str(part(heads(workspace, repo, pulls=ref.startswith("refs/pr/")), ref))


def open_thread(
    workspace: Workspace,
    repo: ScratchRepo,
    title: str,
    text: str = "A text",
    *,
    pull: bool = False,
    sender: Sender = "own",
) -> int:
    """Open a discussion, or a pull request without changes; return its number."""
    body = {"title": title, "description": text, "pullRequest": pull}
    number = part(workspace.client.post(f"{repo.api}/discussions", json=body, sender=sender).expect(200).json(), "num")
    check("num", isinstance(number, int), expected="a number", got=number)
    return int(number)


def open_pull(workspace: Workspace, repo: ScratchRepo, files: Files, title: str, *, sender: Sender = "own") -> int:
    """Open a pull request by a commit; return its number."""
    answer = commit(workspace, repo, files, title, create_pr=True, sender=sender).expect(200)
    url = str(part(answer.json(), "pullRequestUrl"))
    number = url.rpartition("/discussions/")[2]
    check("pullRequestUrl", number.isdigit(), expected="an address that ends with /discussions/NUMBER", got=url)
    return int(number)


def thread(workspace: Workspace, repo: ScratchRepo, number: int) -> Any:
    """The details of a discussion or pull request."""
    return workspace.client.get(f"{repo.api}/discussions/{number}").expect(200).json()


def act_in_thread(workspace: Workspace, repo: ScratchRepo, number: int, action: str, body: object = None) -> HubAnswer:
    """Act in a thread: `comment`, `status`, `merge`, `title`, `comment/ID/edit`."""
    return workspace.client.post(f"{repo.api}/discussions/{number}/{action}", json={} if body is None else body)


def events(details: Any, kind: str) -> list[Any]:
    """The events of one kind in a thread's details, in order."""
    return [event for event in part(details, "events") if part(event, "type") == kind]


def needs_listener(workspace: Workspace) -> WebhookListener:
    """The listener for deliveries. Raises NotTried if there is none."""
    if workspace.listener is None:
        raise NotTried("there is no address to which the Hub could deliver")
    return workspace.listener
