"""A part of the published answers to one task: questions with the answers of one or two evaluations."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bot.read_models.models import PATH, ApiModel

Show = Literal["all", "right", "wrong"]
EXAMPLE: dict[str, Any] = {
    "state": "done",
    "code": "",
    "message": "",
    "paths": [PATH],
    "task": "starter_navigation",
    "show": "all",
    "offset": 0,
    "counts": {"all": 250, "right": 187, "wrong": 63},
    "questions": [
        {
            "id": 7,
            "question": "Is it?",
            "prompt": "Q: Is it?\nA:",
            "choices": [" Yes", " No"],
            "target": "0",
            "target_choice": 0,
            "answers": [{"text": "", "likelihoods": [-0.5, -1.5], "chosen": 0, "score": 1.0, "right": True}],
        }
    ],
}


class AnswerView(ApiModel):
    """The answer of one evaluation to one question."""

    text: str = Field(default="", description="what the model generated; empty where it chose from `choices`")
    likelihoods: list[float | None] = Field(default_factory=list, description="log-likelihood of each choice")
    chosen: int | None = Field(default=None, description="the place of the model's choice among `choices`")
    score: float | None = None
    right: bool | None = Field(default=None, description="whether the score is 1; null without a score")


class QuestionView(ApiModel):
    """One question with the answers of the evaluations, in their order. Long texts are cut."""

    id: int = Field(description="the number of the question in the task")
    question: str = Field(description="the question alone, where the task has a field for it")
    prompt: str = Field(description="what the model read, with examples")
    choices: list[str] = Field(default_factory=list)
    target: str
    target_choice: int | None = Field(default=None, description="the place of the right answer among `choices`")
    answers: list[AnswerView]


class ReproductionView(ApiModel):
    """How anybody can repeat an evaluation: one line for a shell, or why there is none."""

    command: str = Field(default="", description="for a new virtual environment: it installs the recorded versions")
    notes: list[str] = Field(default_factory=list, description="what a reader should know of it, in sentences")
    message: str = Field(default="", description="why there is no command; empty if there is one")
    attempt: str = Field(default="", description="the attempt, for `steward reproduce`")


class RescoringView(ApiModel):
    """Scores of an evaluation that were computed again from its answers, by a newer version of the suite."""

    at: str = Field(description="when they were computed again")
    is_shown: bool = Field(description="whether the answers have the new verdicts; else those from before")
    results_url: str = Field(description="the results file with the new scores")
    earlier_url: str = Field(description="the results file of the evaluation itself")


class DetailsResponse(ApiModel):
    """A part of the answers to one task; without questions while they are read, or where they may not be shown."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    state: Literal["done", "under-way", "refused"]
    code: str = Field(default="", description="why nothing is shown, for programs")
    message: str = Field(default="", description="the same as a sentence")
    paths: list[str] = Field(description="the request of each evaluation")
    task: str
    show: Show = "all"
    offset: int = 0
    counts: dict[str, int] = Field(
        default_factory=dict,
        description="number of questions by the answer of the first evaluation: `all`, `right`, `wrong`; "
        "of two evaluations, of the questions that exactly one got right, and `common`, of all that both answered",
    )
    questions: list[QuestionView] = Field(default_factory=list)
    rescorings: list[RescoringView | None] = Field(
        default_factory=list, description="of each evaluation; null if its scores were not computed again"
    )
    reproduction: ReproductionView | None = Field(
        default=None, description="with the first part of one evaluation: how to repeat it"
    )
