"""About the leaderboard: what is evaluated, how scores are made, which models are accepted, and frequent questions."""

from dataclasses import dataclass

from markdown_it import MarkdownIt
from markupsafe import Markup
from pydantic import Field

from bot.read_models.models import ApiModel
from bot.threads.faq import board_answer, faq_entries
from bot.web.board import BoardReader
from bot.web.page import NoQuery, Page
from leaderboard.admission.docs import explanation
from leaderboard.admission.rules import RULES
from leaderboard.suites import Benchmark

_MARKDOWN = MarkdownIt("commonmark", {"html": False})


class BenchmarkView(ApiModel):
    """One benchmark of the suite."""

    name: str
    tasks: list[str]
    shots: int = Field(description="examples before each question")
    metrics: list[str]
    guessing: float | None = Field(description="score of guessing (0-1), which counts as 0; null: it differs by task")
    by_task: bool = Field(description="whether each task is normalised, and the score is their unweighted mean")
    restricted: bool = Field(description="whether its questions are secret")


class AboutRuleView(ApiModel):
    """One rule of admission."""

    name: str
    title: str
    explanation: str


class AboutResponse(ApiModel):
    """The suite, the rules of admission, and the largest models by precision."""

    title: str
    suite: str
    suite_digest: str = Field(description="digest of the suite: the board shows results of this one alone")
    datasets: list[str]
    benchmarks: list[BenchmarkView]
    largest: dict[str, float] = Field(description="precision → billions of parameters")
    rules: list[AboutRuleView]


@dataclass(frozen=True)
class Question:
    """A frequent question and its answer as HTML."""

    name: str
    question: str
    answer: Markup


def about(board: BoardReader, _query: NoQuery) -> AboutResponse:
    """What the leaderboard evaluates, how scores are made, and which models it accepts."""
    suite, policy, precisions = board.context.suite, board.context.board.admission, board.context.board.precisions
    rules = [
        AboutRuleView(name=rule.name, title=rule.title, explanation=explanation(rule, policy, precisions))
        for rule in RULES
        if policy.holds(rule.name)
    ]
    return AboutResponse(
        title=suite.title,
        suite=suite.name,
        suite_digest=suite.digest,
        datasets=[dataset.repo for dataset in suite.datasets],
        benchmarks=[_benchmark(benchmark) for benchmark in suite.benchmarks],
        largest=dict(policy.max_billions),
        rules=rules,
    )


def _benchmark(benchmark: Benchmark) -> BenchmarkView:
    by_task = benchmark.normalise == "subtasks"
    guessing = {task.lower_bound for task in benchmark.tasks} if by_task else {benchmark.lower_bound}
    return BenchmarkView(
        name=benchmark.name,
        tasks=[task.name for task in benchmark.tasks],
        shots=benchmark.shots,
        metrics=list(benchmark.metrics),
        guessing=guessing.pop() if len(guessing) == 1 else None,
        by_task=by_task,
        restricted=benchmark.restricted,
    )


def _questions(board: BoardReader) -> list[Question]:
    entries = [entry for entry in faq_entries().values() if entry.question and entry.answer_on(board.context.takes)]
    return [
        Question(
            entry.name,
            entry.question,
            Markup(_MARKDOWN.render(str(board_answer(board.context, entry.name)))),  # noqa: S704 (no HTML passes)
        )
        for entry in entries
    ]


PAGE = Page(
    "/about",
    "about",
    about,
    NoQuery,
    more_values=lambda board, _query, _view: {
        "questions": _questions(board),
        "evaluator": board.context.suite.evaluator,
        "endpoint": board.context.hub.endpoint,
        "contents": board.context.contents.id if board.context.contents is not None else "",
    },
    menu="About",
    api_path="/api/about",
    summary="What is evaluated, and how",
)
