"""A file of predictions that a signed-in person sends by the form: checked, then committed with its request.

Race closed: the process dies after the edits were staged and before the answer is stored. The second run stages them
under the same names, or finds that the request names this upload as its cause.
Race accepted: the request is submitted by other means at the same moment. The later file counts, and is checked.
"""

from __future__ import annotations

import json

import structlog

from bot.core import people
from bot.core.context import BoardContext, request_key
from bot.ledger.edits import PutFile
from bot.predictions.checking import check_upload
from bot.read_models.submit_models import SubmissionResponse
from bot.request_files.file_edits import pending_request
from bot.requests.api_submission import submission_response
from bot.requests.submitting import SubmitResult
from bot.requests.verb_submit import SUBMIT
from hub.errors import BadToken, HubError, RateLimited, Transient
from leaderboard.predictions import PREDICTIONS, predictions_place
from leaderboard.request_paths import RequestPath, is_repo_name
from leaderboard.requests import REASONS, Request, RequestFile, Status
from leaderboard.submissions import SETTLED
from redis_state.board.messages import PredictionUpload
from redis_state.clock import iso

log = structlog.get_logger()

UPLOADED_FORMATS = ("jsonl", "csv")
"""Formats that the form takes: text alone, since the message to the sync is text."""


def carry_out_upload(context: BoardContext, upload: PredictionUpload) -> SubmissionResponse:
    """Check the predictions and stage their files. Raises AnswersUnusable, or a HubError that a retry may overcome."""
    model = f"{upload.person_name}/{upload.name}"
    try:
        _, roles = people.roles(context, upload.person, model=model, submitter="", fresh=False, enough=SUBMIT.who)
        if not roles & SUBMIT.who:
            return submission_response(context, SubmitResult("not-allowed", model))
        return submission_response(context, _submit(context, upload, model))
    except (Transient, RateLimited, BadToken):
        raise  # the sync is retried
    except HubError as error:
        log.warning("an upload failed", error=f"{type(error).__name__}: {error}")
        return submission_response(context, SubmitResult("hub-refused", model))


def _submit(context: BoardContext, upload: PredictionUpload, model: str) -> SubmitResult:
    if not is_repo_name(upload.name) or upload.extension not in UPLOADED_FORMATS:
        return SubmitResult("refused", model, reasons=(REASONS["path-name"].problem(name=upload.name),))
    place = predictions_place(model, upload.extension)
    request = _request(context, upload, model, place)
    path = str(request.path)
    known = pending_request(context, path)
    if known == "unreadable":
        return SubmitResult("unreadable", model, path)
    if known != "missing":
        if upload.cause in known[0].file.steward.causes:
            return SubmitResult("submitted", model, path)
        if known[0].status not in SETTLED:
            return SubmitResult("exists", model, path, status=known[0].file.status)
    checked = check_upload(context, request, upload.person_name, place, upload.data.encode())
    if checked.problems:
        is_quota = all(problem.code == "predictions-quota" for problem in checked.problems)
        return SubmitResult("quota" if is_quota else "refused", model, path, reasons=checked.problems)
    return SubmitResult("submitted" if _stage(context, upload, request, place) else "off", model, path)


def _request(context: BoardContext, upload: PredictionUpload, model: str, place: str) -> Request:
    path = RequestPath(upload.person_name, upload.name, private=False, precision=PREDICTIONS, weight_type="Original")
    fields = {  # those that front ends read, in their order
        "model": model,
        "base_model": "",
        "revision": "main",
        "precision": PREDICTIONS,
        "weight_type": "Original",
        "architectures": "?",
        "model_type": "?",
        "params": 0,
        "job_id": -1,
        "job_start_time": None,
        "use_chat_template": False,
        "status": Status.PENDING.value,
        "submitted_time": iso(context.now()),
        "sender": upload.person_name,
        PREDICTIONS: place,
        "steward": {
            "submitter": upload.person_name,
            "submitter_id": upload.person_id,
            "causes": [upload.cause],
        },
    }
    return Request(path, RequestFile.model_validate(fields), json.dumps(fields, ensure_ascii=True))


def _stage(context: BoardContext, upload: PredictionUpload, request: Request, place: str) -> bool:
    """Stage the file of predictions and, to land after it, the request; False if the board holds edits back."""
    path, line = str(request.path), f"Add the predictions {request.path.model}"
    first, second = f"predictions {upload.cause}", f"submit {upload.cause}"
    wake = (request_key(path),)
    data = upload.data.encode()
    return context.effects.stage(
        context.requests,
        PutFile(id=first, path=place, data=data, line=line, subject=path, unless_exists=False, wake=wake),
        PutFile(
            id=second,
            path=path,
            data=request.raw.encode(),
            line=line,
            subject=path,
            unless_exists=False,
            after=(first,),
            wake=wake,
        ),
    )
