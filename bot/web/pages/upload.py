"""`POST /predictions`: a signed-in person sends a file of predictions by the form of the page, without a script.

The address of the answer holds the id of the upload and can be reloaded. So a form that is sent twice submits once.
"""

import hashlib

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from bot.read_models.models import ErrorResponse
from bot.requests.prediction_upload import UPLOADED_FORMATS
from bot.web.answers import PRIVATE, CannotAnswer
from bot.web.frame import Frame
from bot.web.incoming import body_of, parts_in
from bot.web.pages.predictions import PAGE
from bot.web.submit import Submitting
from bot.web.visitors import FORM_TOKEN
from redis_state.board.messages import PredictionUpload

MAX_UPLOAD_BYTES = 2_000_000
"""Bytes of the form. Larger files come by pull request."""
SENT = f"{PAGE.path}/sent"
KEY, NAME, FILE = "key", "name", "file"


def upload_routes(submitting: Submitting, frame: Frame) -> APIRouter:
    """The route that takes files of predictions."""
    routes = APIRouter(include_in_schema=False)

    @routes.post(PAGE.path)
    async def upload(request: Request) -> Response:
        if await run_in_threadpool(submitting.visitors.of, request) is None:
            return RedirectResponse(PAGE.path, 303, PRIVATE)  # that page says how to sign in
        body = await body_of(request, limit=MAX_UPLOAD_BYTES)
        fields = parts_in(request.headers.get("content-type", ""), body)
        account = await submitting.signed_in(request, _text(fields, FORM_TOKEN))
        message = PredictionUpload(
            person_id=account.id,
            person_name=account.name,
            name=_text(fields, NAME)[:200].strip(),
            extension=_extension(_text(fields, f"{FILE}:name")),
            data=_data(fields),
            key=hashlib.sha256(fields.get(KEY, b"")).hexdigest(),
        )
        await submitting.upload(message)
        return RedirectResponse(f"{SENT}?id={message.message_id}", 303, PRIVATE)

    @routes.get(SENT)
    def sent(request: Request) -> Response:
        visitor, name = submitting.visitors.of(request), request.query_params.get("id", "")[:64]
        if visitor is None or not name.isalnum():
            return RedirectResponse(PAGE.path, 303, PRIVATE)
        message, answer = submitting.uploaded(name)
        is_theirs = message is not None and message.person_id == visitor.person.id
        return frame.page(
            request,
            "predictions_sent",
            status=200 if is_theirs else 404,
            alone=True,
            is_theirs=is_theirs,
            answer=answer if is_theirs else None,
        )

    return routes


def _text(fields: dict[str, bytes], name: str) -> str:
    return fields.get(name, b"").decode("utf-8", "replace")


def _extension(name: str) -> str:
    extension = name.rpartition(".")[2].lower()
    if extension not in UPLOADED_FORMATS:
        raise _refused(f"The form takes files that end in .{' or .'.join(UPLOADED_FORMATS)}.", "Rename or convert it.")
    return extension


def _data(fields: dict[str, bytes]) -> str:
    try:
        return fields.get(FILE, b"").decode()
    except UnicodeDecodeError:
        raise _refused("The file is not text in UTF-8.", "Save it in UTF-8, without compression.") from None


def _refused(message: str, advice: str) -> CannotAnswer:
    return CannotAnswer(422, ErrorResponse(code="bad-file", message=message, advice=advice))
