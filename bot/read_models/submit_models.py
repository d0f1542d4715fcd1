"""The body and the response of a submission by API, by a page or by `steward submit`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.read_models.models import FAILURE, PATH, ErrorResponse
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.reasons import Problem

Code = Literal[
    "submitted",
    "resubmitted",
    "under-way",
    "refused",
    "quota",
    "exists",
    "unreadable",
    "off",
    "not-allowed",
    "hub-refused",
]
BODY: dict[str, Any] = {"model": "ada/tiny", "revision": "main", "precision": "bfloat16", "weight_type": "Original"}
ADDRESSES: dict[str, Any] = {
    "model": "ada/tiny",
    "path": PATH,
    "json_url": f"/api/requests/{PATH}",
    "page_url": f"/requests/{PATH}",
    "request_url": f"https://huggingface.co/datasets/board/requests/blob/main/{PATH}",
}
SUBMITTED: dict[str, Any] = {
    "code": "submitted",
    "message": "ada/tiny passed all checks and is submitted at 5f6b6d1a.",
    "advice": "Its request file appears within a minute or two, and shows its progress. …",
    "text": "**ada/tiny** passed all checks and is submitted at `5f6b6d1a`. …",
    "revision": "5f6b6d1a3a1f0a3f6f8e5b8b5c9d9a4f1c2e3d4b",
    "status": "PENDING",
    "reasons": [],
    **ADDRESSES,
}
REFUSED: dict[str, Any] = {
    **SUBMITTED,
    "code": "refused",
    "message": "ada/tiny was not submitted, because it would be refused.",
    "advice": "Once this is fixed, submit it again.",
    "text": "**ada/tiny** was not submitted, because it would be refused. …",
    "revision": "",
    "status": "",
    "reasons": [
        {"code": FAILURE["cause"], "message": FAILURE["message"], "advice": FAILURE["advice"], "link": ""},
    ],
}


class SubmissionBody(BaseModel):
    """The model to evaluate. The owner of the token is the submitter; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", json_schema_extra={"examples": [BODY]})

    model: str = Field(min_length=1, max_length=300, description="`org/name`, or its address on the Hub")
    revision: str = Field(default="main", min_length=1, max_length=100, description="branch, tag or commit")
    precision: str = Field(default=DEFAULT_PRECISION, min_length=1, max_length=100)
    weight_type: str = Field(default="Original", min_length=1, max_length=100, description="Original, Delta, Adapter")
    base_model: str = Field(default="", max_length=300, description="the base model of a Delta or an Adapter")
    model_type: str = Field(
        default="", max_length=100, description="its category, such as `fine-tuned`; `?` if unknown"
    )
    use_chat_template: bool = False

    def arguments(self) -> dict[str, str]:
        """The fields as arguments of `/submit`."""
        arguments = self.model_dump(exclude={"use_chat_template", "base_model", "model_type"})
        base = {"base_model": self.base_model} if self.base_model else {}
        category = self.model_type.strip().replace(" ", "-")
        kind = {"type": category} if category not in ("", "?") else {}
        return {**arguments, **base, **kind, "chat_template": "yes" if self.use_chat_template else "no"}


class SubmissionResponse(ErrorResponse):
    """The result of a submission: a code for programs, a sentence, the Markdown of a thread, all reasons."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SUBMITTED, REFUSED]})

    code: Code
    text: str = Field(default="", description="the answer of `/submit`, as Markdown")
    model: str
    path: str = Field(default="", description="path of its file in the requests repo; empty where it cannot have one")
    json_url: str = Field(default="", description="address of the request's JSON on this server")
    page_url: str = Field(default="", description="address of the request's page on this server")
    request_url: str = Field(default="", description="address of its file on the Hub")
    revision: str = Field(default="", description="the commit to evaluate")
    status: str = Field(default="", description="the status in the file, if there is a file")
    reasons: list[Problem] = Field(default_factory=list)
    model_page: str = Field(
        default="", description="the answer, as Markdown, to the form's box for the scores on the model's own page"
    )
