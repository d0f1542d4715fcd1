"""Gathers facts from the Hub about the bot's Space and about the board's other repos. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from bot.intake.webhooks import PATH
from hub.client import Hub
from hub.file_checks import has_content
from hub.records import Repo, WatchedItem
from hub.rights import Rights
from hub.spaces import SpaceMachine
from leaderboard.boards import BadBoard, Board, parse_board
from steward.bot_space.wanted import BOARD_FILE, CARD, DOCKERFILE, MARK, WantedSpace, expected_host, is_space_id

PLAIN = frozenset({CARD, ".gitattributes"})
"""The files that the Hub itself writes into a new Space."""
MAX_FILES = 1000
NO_MACHINE = SpaceMachine(stage="", hardware="", storage="", sleep=None)
"""The machine of a Space that does not exist."""


@dataclass(frozen=True)
class SpaceFacts:
    """The bot's Space as it is. `foreign` names files that are not Steward's, `board` the board that it runs."""

    host: str
    exists: bool = False
    writable: bool = True
    sdk: str = "docker"
    foreign: tuple[str, ...] = ()
    board: str = ""
    stale: frozenset[str] = frozenset()
    """The wanted files that it lacks, or has with other contents."""
    secrets: frozenset[str] = frozenset()
    variables: Mapping[str, str] = field(default_factory=dict)
    machine: SpaceMachine = NO_MACHINE


@dataclass(frozen=True)
class SetupFacts:
    """The facts from which `steward.bot_space.deciding` decides."""

    account: str
    space: SpaceFacts
    may_create: bool
    has_owner: bool
    can_pay: bool
    hardware: frozenset[str]
    unwritable: tuple[Repo, ...] = ()
    public_private_logs: bool = False
    bucket_exists: bool = False
    bucket_is_public: bool = False
    may_create_bucket: bool = False
    other_servers: tuple[str, ...] = ()
    """Addresses of other servers to which webhooks of the account report the board's requests."""


def gather(
    hub: Hub, rights: Rights, board: Board, repos: Sequence[tuple[Repo, bool]], wanted: WantedSpace, url: str
) -> SetupFacts:
    """Read the facts from the Hub. `repos` are the board's, each with whether it is private; `url` is for webhooks."""
    owner = wanted.id.partition("/")[0]
    space = _space(hub, Repo("space", wanted.id), wanted)
    existing = [repo for repo, _ in repos if hub.repo_exists(repo)]
    private_logs = Repo("dataset", board.repos.private_logs)
    logs = Repo("dataset", board.repos.logs)
    requests = WatchedItem("dataset", board.repos.requests)
    addresses = {hook.url or "" for hook in hub.webhooks() if requests in hook.watched and not hook.disabled}
    bucket_is_private = hub.bucket_is_private(wanted.storage) if is_space_id(wanted.storage) else None
    ours = url or f"{space.host}{PATH}"
    return SetupFacts(
        account=rights.name,
        space=space,
        may_create=rights.may_create_in(owner),
        has_owner=hub.account_exists(owner),
        can_pay=owner.lower() in rights.payers,
        hardware=hub.space_hardware() if wanted.hardware else frozenset(),
        unwritable=tuple(repo for repo in existing if not hub.may_write(repo)),
        public_private_logs=private_logs in existing and not hub.is_private(private_logs) and logs != private_logs,
        bucket_exists=bucket_is_private is not None,
        bucket_is_public=bucket_is_private is False,
        may_create_bucket=rights.may_create_in(wanted.storage.partition("/")[0]),
        other_servers=tuple(sorted(address for address in addresses if address.endswith(PATH) and address != ours)),
    )


def _space(hub: Hub, space: Repo, wanted: WantedSpace) -> SpaceFacts:
    if not hub.repo_exists(space):
        return SpaceFacts(host=expected_host(space.id), stale=frozenset(wanted.files))
    host = hub.space_host(space) or expected_host(space.id)
    sdk = hub.space_sdk(space)
    if not hub.may_write(space):
        return SpaceFacts(host, exists=True, writable=False, sdk=sdk)
    paths = [entry.path for _, entry in zip(range(MAX_FILES), hub.each_file(space), strict=False)]
    dockerfile = hub.find_file(space, DOCKERFILE)
    is_ours = dockerfile is not None and dockerfile.data.startswith(MARK)
    present = hub.paths_info(space, list(wanted.files))
    return SpaceFacts(
        host=host,
        exists=True,
        sdk=sdk,
        foreign=() if is_ours else tuple(path for path in paths if path not in PLAIN),
        board=_board_in(hub, space) if is_ours else "",
        stale=frozenset(
            path
            for path, data in wanted.files.items()
            if path not in present or not has_content(BytesIO(data), present[path].oid)
        ),
        secrets=hub.space_secrets(space),
        variables=hub.space_variables(space),
        machine=hub.space_machine(space),
    )


def _board_in(hub: Hub, space: Repo) -> str:
    """The requests repo of the board that a Space runs; "" if its board file says none."""
    file = hub.find_file(space, BOARD_FILE)
    try:
        return parse_board(file.data.decode("utf-8", "replace")).repos.requests if file is not None else ""
    except BadBoard:
        return ""
