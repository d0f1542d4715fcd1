"""The checks of `steward init` before it writes anything, so that it does not stop halfway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from leaderboard.reasons import Problem

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from bot.core.settings import BotSettings
    from hub.client import Hub
    from hub.records import Repo
    from hub.rights import Rights
    from leaderboard.boards import Board
    from steward.bot_space.hosting import HostedBot
    from steward.new_board import NewBoardOptions


def find_problems(
    settings: BotSettings, options: NewBoardOptions, url: str, hosted: HostedBot | None, *, has_webhooks: bool
) -> Iterator[Problem]:
    """Yield everything that keeps `init` from making the board, with advice for each. Changes nothing.

    `hosted` is the bot's Space, if the bot is to run in one: without a `url`, webhooks go to the Space's own address.
    """
    from bot.core.settings import SettingsError
    from hub.client import Hub
    from hub.errors import HubError
    from hub.rights import rights_of
    from steward.board_setup import repos

    if not has_webhooks and (url or hosted is not None):
        message = "--no-webhooks is for a board without a server, and --url and --bot-space name one."
        yield Problem(code="url", message=message, advice="Leave it out, or these.")
    elif has_webhooks and (url or hosted is None):
        yield from _url_problems(settings.hf_endpoint, url)
    board, wrong = _read_board(settings, options)
    if hosted is not None and board is not None:
        wrong += hosted.machine_problems(board)
    wrong += _secret_problems(settings, is_needed=has_webhooks)
    yield from wrong
    try:
        with Hub(settings.hf_endpoint, settings.token()) as hub:
            rights = rights_of(hub)
            wrong += (accounts := list(_account_problems(hub, rights, options)))
            yield from accounts
            if board is not None:
                yield from _owner_problems(hub, rights, board, [repo for repo, _ in repos(board)])
                yield from _other_board_problems(hub, board, settings)
            if hosted is not None and board is not None and not wrong:
                yield from hosted.hub_problems(hub, rights, board)
    except SettingsError as error:
        yield Problem(code="token", message=str(error))
    except HubError as error:
        yield Problem(
            code="hub",
            message=f"The Hub at {settings.hf_endpoint} could not be asked: {error}",
            advice="Check HF_ENDPOINT and the bot's token, and run the command again.",
        )


def _secret_problems(settings: BotSettings, *, is_needed: bool) -> Iterator[Problem]:
    """Yield why the webhook secret cannot be read; `init` generates one in a configured file that does not exist."""
    from bot.core.settings import SettingsError

    file = settings.webhook_secret_file
    try:
        if settings.webhook_secret is not None or (is_needed if file is None else file.exists()):
            settings.secrets()
    except SettingsError as error:
        advice = "With STEWARD_WEBHOOK_SECRET_FILE=secrets/webhook-secret, init generates the secret in that file."
        yield Problem(code="secret", message=str(error), advice=advice)


def _url_problems(endpoint: str, url: str) -> Iterator[Problem]:
    """Yield why deliveries to `url` would not arrive, or would show their secret on the way."""
    from urllib.parse import urlsplit

    from bot.intake.webhooks import PATH

    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and parts.path == PATH
    except ValueError:
        valid = False
    if not valid:
        advice = f"Give the address at which the Hub reaches `steward serve`, with the path {PATH}: https://…{PATH}"
        message = f"{url!r} is no address of a webhook." if url else "The option --url is missing."
        yield Problem(code="url", message=message, advice=advice)
        return
    if parts.username or parts.query or parts.fragment:
        advice = "Leave out user, password, query and fragment: the secret travels in a header."
        yield Problem(code="url", message=f"{_shown(parts)} is more than the address of a webhook.", advice=advice)
    if not endpoint.startswith("https:"):
        return
    if is_private(parts.hostname or ""):
        message = f"The Hub cannot reach {parts.hostname}, which is an address of a private network."
        yield Problem(code="url", message=message, advice="Give the public address of your proxy.")
    if parts.scheme == "http":
        message = f"The Hub would send the webhook's secret unencrypted to {url}."
        yield Problem(code="url", message=message, advice="Serve it with TLS, and use its https address.")


def _shown(parts: SplitResult) -> str:
    """Return the address without user, password, query and fragment, which may hold a secret."""
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def is_private(host: str) -> bool:
    """Whether a host is on no public network, by its name or address."""
    from ipaddress import ip_address

    try:
        return not ip_address(host).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith((".local", ".localhost", ".internal", ".lan", ".home.arpa"))


def _read_board(settings: BotSettings, options: NewBoardOptions) -> tuple[Board | None, list[Problem]]:
    """Return the board, if it is valid, and what is wrong with its file, or with the options for a new one."""
    from bot.core.settings import SettingsError
    from leaderboard.boards import BadBoard, parse_board
    from leaderboard.request_paths import is_repo_name
    from leaderboard.suites import BadSuite, find_suite

    board, suite, problems = None, options.suite, list[Problem]()
    if settings.board.exists():
        try:
            board = settings.read_board()
            suite = board.suite
        except SettingsError as error:
            return None, [Problem(code="board", message=str(error))]
    elif not options.org:
        message = f"There is no board file at STEWARD_BOARD={settings.board}."
        problems.append(Problem(code="board", message=message, advice="Write it, or use --org to create it."))
    elif bad := [name for name in (options.org, options.details) if not is_repo_name(name)]:
        message = f"{' and '.join(map(repr, bad))} cannot be the name of an organisation on the Hub."
        advice = "Use letters, digits, '-', '_' and '.', without blanks."
        problems.append(Problem(code="board", message=message, advice=advice))
    else:
        try:
            board = parse_board(options.board_text([]))
        except BadBoard as error:
            problems.append(Problem(code="board", message=str(error)))
    try:
        find_suite(suite)
    except BadSuite as error:
        problems.append(Problem(code="suite", message=str(error)))
    return board, problems


def _account_problems(hub: Hub, rights: Rights, options: NewBoardOptions) -> Iterator[Problem]:
    """Yield the maintainers that the Hub does not know, and what the bot's token may not do in its account."""
    from hub.errors import NotFound

    for name in options.maintainers:
        try:
            hub.user(name)
        except NotFound:
            advice = "Give --maintainer the name in the address of their profile."
            yield Problem(code="maintainer", message=f"There is no user {name} on the Hub.", advice=advice)
    if rights.missing_for_webhooks():
        message = f"The bot's token may not manage the webhooks of {rights.name}."
        yield Problem(
            code="rights", message=message, advice=f"Add {' and '.join(rights.missing_for_webhooks())} to it."
        )


def _owner_problems(hub: Hub, rights: Rights, board: Board, repos: list[Repo]) -> Iterator[Problem]:
    """Yield the owners of the board's repos that are missing, or in which the bot may not create what is missing."""
    missing = [repo.id.partition("/")[0] for repo in repos if not hub.repo_exists(repo)]
    for name in dict.fromkeys((*missing, board.repos.details_namespace)):
        if not hub.account_exists(name):
            advice = f"Create it at {hub.endpoint}/organizations/new, or use the name of one that exists."
            yield Problem(code="owner", message=f"There is no organisation {name} on the Hub.", advice=advice)
        elif name in missing and not rights.may_create_in(name):
            message = f"The bot's token (account {rights.name}) may not create repos in {name}."
            advice = f"Make {rights.name} a member of {name} with the role write, and use a token that may write there."
            yield Problem(code="owner", message=message, advice=advice)


def _other_board_problems(hub: Hub, board: Board, settings: BotSettings) -> Iterator[Problem]:
    """Yield that the requests repo belongs to another board: two bots would both answer on its requests.

    The record of adoption names its board. Without a board file here, a record, or a card by `init`, is of a board
    whose file is elsewhere, and whose name may be the same.
    """
    from hub.errors import TooLarge
    from hub.records import Repo
    from leaderboard.adoption import FORMER_RECORD, MAX_RECORD, RECORD, BadRecord, parse_record
    from steward.board_setup import CARD
    from steward.new_board import MADE_BY_INIT

    repo, is_new = Repo("dataset", board.repos.requests), not settings.board.exists()
    if not hub.repo_exists(repo):
        return
    advice = (
        f"Point STEWARD_BOARD={settings.board} to that board's own file, or use another organisation. If that board is "
        "given up, delete its repos, or write a board file for them by hand."
    )
    try:
        record = hub.find_file(repo, RECORD, max_bytes=MAX_RECORD) or hub.find_file(
            repo, FORMER_RECORD, max_bytes=MAX_RECORD
        )
        name = parse_record(record.data, "" if is_new else board.name).board if record is not None else ""
        card = hub.find_file(repo, CARD, max_bytes=MAX_RECORD) if is_new and record is None else None
    except (BadRecord, TooLarge) as error:
        yield Problem(code="other-board", message=f"{repo.id}: {error}", advice=advice)
        return
    if is_new and name:
        yield Problem(code="other-board", message=f"{repo.id} belongs to the board '{name}' already.", advice=advice)
    elif card is not None and MADE_BY_INIT.encode() in card.data:
        message = f"{repo.id} belongs to another board already: its card was written by `steward init`."
        yield Problem(code="other-board", message=message, advice=advice)
