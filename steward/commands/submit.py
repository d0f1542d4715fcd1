"""`steward submit`: submit a model from a shell, checked and answered as `/submit` in a thread and as the API.

With `--server` it is a client of that leaderboard's API and needs nothing but the person's own token. Without, it is
for whoever runs the bot: it asks the Hub itself, and a sync process writes the request file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from leaderboard.options import DEFAULT_PRECISION
from steward.commands.asked import Model, Precision, Revision, WeightType, reason_lines
from steward.commands.board import AsJson, open_board
from steward.commands.saying import ending
from steward.exit_statuses import MISCONFIGURED

if TYPE_CHECKING:
    from bot.read_models.submit_models import SubmissionBody, SubmissionResponse
    from hub.records import Account
    from redis_state.board.submissions import ApiSubmission

REFUSED = 1
STATUSES = {"submitted": 0, "resubmitted": 0, "under-way": MISCONFIGURED, "hub-refused": MISCONFIGURED}
PATIENCE, AGAIN = 300.0, 2.0
"""Seconds for which a server that is still checking is asked again, and between two times."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(submit)


def submit(
    model: Model,
    precision: Precision = DEFAULT_PRECISION,
    revision: Revision = "main",
    weight_type: WeightType = "Original",
    base_model: Annotated[str, typer.Option(help="What a Delta or an Adapter is applied to.")] = "",
    chat_template: Annotated[bool, typer.Option("--chat-template", help="Use its chat template.")] = False,
    server: Annotated[str, typer.Option(help="The leaderboard's address: submit there, with your own HF_TOKEN.")] = "",
    by: Annotated[str, typer.Option(help="Without --server: name on the Hub of whoever submits it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Submit a model: it is checked first, and only written where it passes. What it says twice counts once.

    Who submits is whoever owns the token in HF_TOKEN, or has the name in --by. Exit status 1 where nothing was
    submitted, with every reason; 2 where that is not known, for nobody could be asked.
    """
    from pydantic import ValidationError

    from bot.read_models.submit_models import SubmissionBody

    try:
        asked = SubmissionBody(
            model=model,
            revision=revision,
            precision=precision,
            weight_type=weight_type,
            base_model=base_model,
            use_chat_template=chat_template,
        )
    except ValidationError as error:
        raise _cannot("; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())) from None
    if server and by:
        raise _cannot("--by is for whoever runs the bot; at a server, it is in the name of whoever owns the token.")
    told = _by_server(server, asked) if server else _submit_locally(asked, by)
    print(told.model_dump_json() if as_json else "\n".join(_lines(told, server)))
    raise typer.Exit(STATUSES.get(told.code, REFUSED))


def _by_server(server: str, asked: SubmissionBody) -> SubmissionResponse:
    """What the leaderboard at `server` answers; asked again while it is checking."""
    import httpx2
    from pydantic import ValidationError

    from bot.read_models.submit_models import SubmissionResponse

    if not _keeps_a_secret(server):
        raise _cannot("your token would travel in the open; give the address with https.")
    headers = {"authorization": f"Bearer {_own_token()}"}
    address, deadline = f"{server.rstrip('/')}/api/requests", time.monotonic() + PATIENCE
    unsent: tuple[type[Exception], ...] = (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.ConnectError)
    while True:
        try:
            answer = httpx2.post(address, json=asked.model_dump(), headers=headers, timeout=60)
        except unsent as error:
            raise _cannot(f"{address} does not answer: {error}") from error
        except httpx2.HTTPError as error:
            raise _outcome_unknown(f"{address} does not answer: {error}") from error
        unsent = ()  # from here on the server has it
        try:
            told = SubmissionResponse.model_validate_json(answer.content)
        except ValidationError:
            raise _cannot(_other_words(answer.status_code, answer.content)) from None
        if told.code != "under-way" or time.monotonic() > deadline:
            return told
        time.sleep(AGAIN)


def _keeps_a_secret(server: str) -> bool:
    """Whether nobody on the way can read what is sent to this address."""
    from urllib.parse import urlsplit

    try:
        found = urlsplit(server)
        return found.scheme == "https" or found.hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError:
        return False


def _other_words(status: int, content: bytes) -> str:
    """What an answer says that tells of no submission: an error of the API, or of whatever else is there."""
    try:
        problem = json.loads(content)
        return f"{problem['message']} {problem.get('advice', '')}".strip()
    except (ValueError, TypeError, KeyError):
        return f"the server answered {status}, and not as a leaderboard does; is its address right?"


def _submit_locally(asked: SubmissionBody, by: str) -> SubmissionResponse:
    """What comes of it on the board of our own settings."""
    from bot.web.submission_sync import carry_out
    from hub.errors import HubError
    from redis_state.board.submissions import ApiSubmissions

    with open_board() as context:
        try:
            account = context.hub.user(by) if by else _owner(context.hub.endpoint)
            submission = _submission(asked, account, context.now())
            submissions = ApiSubmissions(context.redis, context.keys)
            submissions.put(submission)  # what is said again within a day is the same, and on record once
            return carry_out(context, submissions.find(submission.digest) or submission)
        except HubError as error:
            raise _cannot(f"the Hub was asked in vain: {error}") from error


def _submission(asked: SubmissionBody, account: Account, at: float) -> ApiSubmission:
    from bot.web.submission_sync import arguments_of
    from redis_state.board.submissions import ApiSubmission

    arguments = arguments_of(asked)
    if isinstance(arguments, str):
        raise _cannot(arguments)
    return ApiSubmission(person_id=account.id, person_name=account.name, arguments=arguments, at=at)


def _owner(endpoint: str) -> Account:
    """Whoever owns the token in HF_TOKEN, by the Hub's word."""
    from hub.client import Hub

    with Hub(endpoint, _own_token()) as hub:
        account, kind = hub.whoami_and_kind()
    if kind != "user":
        raise _cannot("the token in HF_TOKEN is not that of a person.")
    return account


def _own_token() -> str:
    """The person's token: HF_TOKEN, or that of `hf auth login`."""
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise _cannot("set HF_TOKEN to a token of yours, or log in with `hf auth login`; who submits is its owner.")
    return token


def _outcome_unknown(words: str) -> typer.Exit:
    """The server may have taken it before it fell silent."""
    again = "Submit it again to hear what came of it: it counts once."
    return ending(f"nobody can say whether it was submitted: {words} {again}", MISCONFIGURED)


def _cannot(words: str) -> typer.Exit:
    return ending(f"nothing was submitted: {words}", MISCONFIGURED)


def _lines(told: SubmissionResponse, server: str) -> Iterator[str]:
    from bot.core.render import printable  # strangers' words, without what moves a terminal's cursor

    yield printable(told.message)
    for reason in told.reasons:
        yield from reason_lines(reason, "  - ")
    if told.path:
        followed = f"{server.rstrip('/')}{told.page_url}" if server else f"steward status {told.model}"
        yield f"Its file: {printable(told.request_url)}{f' ({printable(told.status)})' if told.status else ''}"
        yield f"Follow it: {printable(followed)}"
    elif told.advice:
        yield printable(told.advice)
