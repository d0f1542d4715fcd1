"""`steward submit`: submits a model, with the same checks and answers as `/submit` in a thread and the API.

With `--server` it is a client of that leaderboard's API and needs only the person's own token. Without, it is for the
operator of the bot: it asks the Hub itself, and a sync process writes the request file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from leaderboard.options import DEFAULT_PRECISION
from steward.commands.board import AsJson, open_board
from steward.commands.check import Model, Precision, Revision, WeightType, reason_lines
from steward.commands.output import ending
from steward.exit_statuses import MISCONFIGURED

if TYPE_CHECKING:
    from bot.read_models.submit_models import SubmissionBody, SubmissionResponse
    from hub.records import Account
    from redis_state.board.messages import ApiSubmission

REFUSED = 1
STATUSES = {"submitted": 0, "resubmitted": 0, "under-way": MISCONFIGURED, "hub-refused": MISCONFIGURED}
WAIT_SECONDS, POLL_SECONDS = 300.0, 2.0
"""Seconds to wait for a server that is still checking, and between two calls."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(submit)


def submit(
    model: Model,
    precision: Precision = DEFAULT_PRECISION,
    revision: Revision = "main",
    weight_type: WeightType = "Original",
    base_model: Annotated[str, typer.Option(help="The base model of a Delta or an Adapter.")] = "",
    model_type: Annotated[str, typer.Option("--type", help="Its category, such as fine-tuned.")] = "",
    chat_template: Annotated[bool, typer.Option("--chat-template", help="Use the model's chat template.")] = False,
    server: Annotated[str, typer.Option(help="The leaderboard's URL: submit there, with your own HF_TOKEN.")] = "",
    by: Annotated[str, typer.Option(help="Without --server: Hub name of the submitter.")] = "",
    as_json: AsJson = False,
) -> None:
    """Submit a model. It is checked first, and submitted only if it passes; a repeated submission counts once.

    The submitter is the owner of the token in HF_TOKEN, or the account in --by. Exit status 1 if the model was not
    submitted, with every reason; 2 if the result is unknown because a service failed.
    """
    from pydantic import ValidationError

    from bot.read_models.submit_models import SubmissionBody

    try:
        body = SubmissionBody(
            model=model,
            revision=revision,
            precision=precision,
            weight_type=weight_type,
            base_model=base_model,
            model_type=model_type,
            use_chat_template=chat_template,
        )
    except ValidationError as error:
        raise _cannot("; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())) from None
    if server and by:
        raise _cannot("--by is for the operator of the bot; with --server, the owner of the token submits.")
    response = _by_server(server, body) if server else _submit_locally(body, by)
    print(response.model_dump_json() if as_json else "\n".join(_lines(response, server)))
    raise typer.Exit(STATUSES.get(response.code, REFUSED))


def _by_server(server: str, body: SubmissionBody) -> SubmissionResponse:
    """Submit to the leaderboard at `server`, and wait while it is checking."""
    import httpx2
    from pydantic import ValidationError

    from bot.read_models.submit_models import SubmissionResponse

    if not _is_private_connection(server):
        raise _cannot("your token would be sent unencrypted; use an https URL.")
    headers = {"authorization": f"Bearer {own_token()}"}
    address, deadline = f"{server.rstrip('/')}/api/requests", time.monotonic() + WAIT_SECONDS
    unsent: tuple[type[Exception], ...] = (httpx2.InvalidURL, httpx2.UnsupportedProtocol, httpx2.ConnectError)
    while True:
        try:
            answer = httpx2.post(address, json=body.model_dump(), headers=headers, timeout=60)
        except unsent as error:
            raise _cannot(f"{address} does not answer: {error}") from error
        except httpx2.HTTPError as error:
            raise _outcome_unknown(f"{address} does not answer: {error}") from error
        unsent = ()  # the server has received it
        try:
            response = SubmissionResponse.model_validate_json(answer.content)
        except ValidationError:
            raise _cannot(_error_message(answer.status_code, answer.content)) from None
        if response.code != "under-way" or time.monotonic() > deadline:
            return response
        time.sleep(POLL_SECONDS)


def _is_private_connection(server: str) -> bool:
    """Whether the connection to this URL is encrypted or local."""
    from urllib.parse import urlsplit

    try:
        url = urlsplit(server)
        return url.scheme == "https" or url.hostname in ("127.0.0.1", "::1", "localhost")
    except ValueError:
        return False


def _error_message(status: int, content: bytes) -> str:
    """Return the message of a response without a submission: an error of the API, or of another server."""
    try:
        problem = json.loads(content)
        return f"{problem['message']} {problem.get('advice', '')}".strip()
    except (ValueError, TypeError, KeyError):
        return f"the server answered {status}, but not like a leaderboard; check its URL."


def _submit_locally(body: SubmissionBody, by: str) -> SubmissionResponse:
    """Submit to the board in the settings."""
    from bot.read_models.submit_models import SubmissionResponse
    from bot.requests.api_submission import carry_out
    from hub.errors import HubError
    from redis_state.board.mailbox import Mailbox
    from redis_state.board.messages import ApiSubmission

    with open_board() as context:
        try:
            account = context.hub.user(by) if by else _owner(context.hub.endpoint)
            submission = _submission(body, account, context.hub.endpoint, context.now())
            mailbox = Mailbox(context.redis, context.keys, ApiSubmission, SubmissionResponse)
            mailbox.put(submission)  # repeated within a day, it is the same submission
            return carry_out(context, mailbox.find(submission.message_id) or submission)
        except HubError as error:
            raise _cannot(f"the Hub failed: {error}") from error


def _submission(body: SubmissionBody, account: Account, endpoint: str, at: float) -> ApiSubmission:
    from bot.core.commands.registry import BadArguments
    from bot.requests.api_submission import arguments_of
    from redis_state.board.messages import ApiSubmission

    arguments = arguments_of(body, endpoint)
    if isinstance(arguments, BadArguments):
        raise _cannot(arguments.why)
    return ApiSubmission(person_id=account.id, person_name=account.name, arguments=dict(arguments), at=at)


def _owner(endpoint: str) -> Account:
    """Return the owner of the token in HF_TOKEN, as the Hub reports it."""
    from hub.client import Hub

    with Hub(endpoint, own_token()) as hub:
        account, kind = hub.whoami_and_kind()
    if kind != "user":
        raise _cannot("the token in HF_TOKEN does not belong to a person.")
    return account


def own_token() -> str:
    """Return the person's token from HF_TOKEN or from `hf auth login`."""
    from huggingface_hub import get_token

    token = get_token()
    if not token:
        raise _cannot("set HF_TOKEN to your token, or log in with `hf auth login`; the token's owner submits.")
    return token


def _outcome_unknown(words: str) -> typer.Exit:
    """Return the end of the command if the server may have accepted the submission before it failed."""
    again = "Submit it again to get the result: it counts once."
    return ending(f"it is unknown whether the model was submitted: {words} {again}", MISCONFIGURED)


def _cannot(words: str) -> typer.Exit:
    return ending(f"nothing was submitted: {words}", MISCONFIGURED)


def _lines(response: SubmissionResponse, server: str) -> Iterator[str]:
    from bot.core.render import printable

    yield printable(response.message)
    for reason in response.reasons:
        yield from reason_lines(reason, "  - ")
    if response.path:
        follow_url = f"{server.rstrip('/')}{response.page_url}" if server else f"steward status {response.model}"
        status = f" ({printable(response.status)})" if response.status else ""
        yield f"Its file: {printable(response.request_url)}{status}"
        yield f"Follow it: {printable(follow_url)}"
    elif response.advice:
        yield printable(response.advice)
