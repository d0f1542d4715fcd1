"""The form of a model to check or to submit: its fields as typed, in an address, and as a question to a sync."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace

from pydantic import ValidationError

from bot.core.commands.registry import model_in
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from leaderboard.categories import ModelCategory, read_category
from leaderboard.guesses import Guess
from leaderboard.options import precision_named, weight_type_named
from redis_state.board.messages import CheckQuestion

MAX_CHARACTERS = 300
"""Characters of one field. A longer text is cut here and then refused by the check, because every field takes fewer."""
CHAT_TEMPLATE = ("yes", "no")


@dataclass(frozen=True)
class SubmissionForm:
    """The fields of the form; an empty option is guessed from the model."""

    model: str = ""
    revision: str = ""
    precision: str = ""
    weight_type: str = ""
    base_model: str = ""
    model_type: str = ""
    chat_template: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether a person has chosen, or seen, every option: only then the form is submitted."""
        return all((self.model, self.precision, self.weight_type, self.model_type, self.chat_template))

    @property
    def values(self) -> dict[str, str]:
        """The fields, for an address."""
        return asdict(self)

    def filled(self, guesses: Sequence[Guess]) -> SubmissionForm:
        """The form with `guesses` in its empty fields."""
        values = self.values
        return replace(self, **{guess.field: guess.value for guess in guesses if not values[guess.field]})

    def question(self, submitter: str = "") -> CheckQuestion:
        """The check of the form as a message to a sync; `submitter` is "" if unknown. Raises CannotAnswer."""
        values = {**self.values, "revision": self.revision or "main"}
        has_all = self.is_complete if submitter else self.precision and self.weight_type
        try:
            return CheckQuestion.model_validate({**values, "guess": not has_all, "submitter": submitter})
        except ValidationError as error:
            name = str(error.errors(include_url=False, include_input=False)[0]["loc"][0]).replace("_", " ")
            problem = ErrorResponse(code="bad-query", message=f"The {name} is too long.", advice="Shorten it.")
            raise CannotAnswer(422, problem) from None

    def body(self) -> dict[str, object]:
        """The body of a submission by API."""
        values: dict[str, object] = {**self.values, "revision": self.revision or "main"}
        return {**values, "use_chat_template": values.pop("chat_template") == "yes"}


def read_form(values: Mapping[str, str], endpoint: str) -> SubmissionForm:
    """The form in a query or a body: the model may be an address on the Hub `endpoint`, and a precision an alias."""
    typed = {field.name: values.get(field.name, "")[:MAX_CHARACTERS].strip() for field in fields(SubmissionForm)}
    category = read_category(typed["model_type"])
    return SubmissionForm(
        model=_model(typed["model"], endpoint),
        revision=typed["revision"],
        precision=precision_named(typed["precision"]),
        weight_type=weight_type_named(typed["weight_type"]),
        base_model=_model(typed["base_model"], endpoint),
        model_type="" if category is ModelCategory.UNKNOWN else category.value,
        chat_template=typed["chat_template"] if typed["chat_template"] in CHAT_TEMPLATE else "",
    )


def _model(typed: str, endpoint: str) -> str:
    return model_in(typed, endpoint) or typed
