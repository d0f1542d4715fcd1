"""Generates the reference page of files on the Hub and their fields, from the models that parse them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from steward.reference_words import COMMON, FOOT, HEAD, PLACES, WORDS

if TYPE_CHECKING:
    from pydantic import BaseModel


CHAPTERS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "A request",
        "Fields that are not listed are preserved.",
        (
            ("", "leaderboard.requests:RequestFile"),
            ("`steward`", "leaderboard.steward_facts:StewardFacts"),
            ("`failure`", "leaderboard.attempts:Failure"),
            ("`kept`", "leaderboard.steward_facts:PreviousResult"),
        ),
    ),
    (
        "A pause, or a hold",
        "In `.steward/pauses` by its target; in a request as `hold` or `cancelled`.",
        (("", "leaderboard.holds:Hold"),),
    ),
    (
        "The block in results",
        "The member `steward` of a results file. Its [digests](scores.md#what-can-be-compared) tell which results "
        "can be compared; `tasks` has the parts of each task, as `{asked, scored, prompts}`.",
        (
            ("", "leaderboard.steward_block:StewardBlock"),
            ("`digests`", "leaderboard.result_digests:ResultDigests"),
            ("`asked`", "leaderboard.result_digests:AskedParts"),
            ("`scored`", "leaderboard.result_digests:ScoredParts"),
            ("`rescored_from`", "leaderboard.steward_block:RescoredFrom"),
            ("`checked`", "leaderboard.sample_checks:CheckedSamples"),
            ("`checked.again`", "leaderboard.cross_checks:CrossCheckRecord"),
            ("`evaluator`", "leaderboard.steward_block:EvaluatorUse"),
            (
                "`predictions`, beside `steward`, if the scores are of predictions",
                "leaderboard.seasons:SubmittedPredictions",
            ),
        ),
    ),
    ("The outcome of an attempt", "The worker reports it; the bot checks it.", (("", "leaderboard.attempts:Outcome"),)),
    (
        "A cross-check",
        "The report of a worker that computed some answers of another one again "
        "([how](other-workers.md)). The account of its commit says whose report it is.",
        (("", "leaderboard.cross_checks:CrossCheckReport"), ("`answers`", "leaderboard.cross_checks:QuestionVerdict")),
    ),
    (
        "A decision",
        "One command that decided something, or tried to.",
        (("", "redis_state.board.decisions:CommandDecision"),),
    ),
    ("A flag", "", (("", "leaderboard.flags:FlagRecord"),)),
    ("The record of adoption", "", (("", "leaderboard.adoption:AdoptionRecord"),)),
    (
        "The board file",
        "YAML, named by `STEWARD_BOARD`; `steward init --org` writes a first version. All fields except `name`, "
        "`title`, `repos` and `suite` are optional. `effects` is `off`, `shadow` or `on`, or one of these for each "
        "[kind](adoption.md#effects).",
        (
            ("", "leaderboard.boards:Board"),
            ("`repos`", "leaderboard.boards:BoardRepos"),
            ("`front_end`", "leaderboard.front_ends:FrontEnd"),
            ("`admission`", "leaderboard.policy:AdmissionPolicy"),
            ("`tiers`", "leaderboard.tiers:TierLimits"),
            ("`budgets`", "leaderboard.budgets:Budgets"),
            ("`workers`", "leaderboard.cross_checks:WorkerPolicy"),
            ("`workers.check`", "leaderboard.cross_checks:CrossCheckPolicy"),
            (
                "`backends`, of the kind `jobs` ([worker backends](backends.md))",
                "leaderboard.backend_settings:JobsBackend",
            ),
            ("`backends`, of the kind `slurm`", "leaderboard.backend_settings:SlurmBackend"),
            ("`backends.costs`", "leaderboard.backend_settings:CostLimits"),
        ),
    ),
    (
        "The suite file",
        "YAML, named in the board file; see [writing a suite](writing-a-suite.md).",
        (
            ("", "leaderboard.suites:Suite"),
            ("`benchmarks`", "leaderboard.suites:Benchmark"),
            ("`datasets`", "leaderboard.suite_questions:Dataset"),
            ("`definitions`", "leaderboard.suite_questions:Definition"),
            ("`errata`", "leaderboard.suite_questions:Erratum"),
            ("`evaluator`", "leaderboard.evaluators:Evaluator"),
            ("`evaluator.needs`", "leaderboard.evaluators:EvaluatorNeeds"),
            ("`evaluator.scores_again`", "leaderboard.evaluators:ScoresAgain"),
            ("`predictions`", "leaderboard.predictions:PredictionRules"),
            ("`predictions.answers`", "leaderboard.predictions:PrivateAnswers"),
            ("`predictions.seasons`", "leaderboard.predictions:Season"),
        ),
    ),
    (
        "The table of a season",
        "`seasons/{name}.season` in the results repo, as JSON, written once, when the season has ended "
        "([predictions](predictions.md#seasons)). Front ends take every file that ends in `.json` for results.",
        (("", "leaderboard.seasons:FrozenSeason"), ("`rows`", "leaderboard.seasons:FrozenRow")),
    ),
)
"""Title, introduction and tables of each chapter; a table has a title, and the model of its fields: `module:class`."""


def files_page() -> str:
    """Return the reference page of files."""
    parts = [HEAD, *(f"| {' | '.join(place)} |" for place in PLACES), FOOT]
    for title, words, tables in CHAPTERS:
        parts += [f"## {title}\n", *([f"{words}\n"] if words else [])]
        for name, model in tables:
            parts += [*([f"**{name}**\n"] if name else []), *field_table(_model(model)), ""]
    return "\n".join(parts).rstrip() + "\n"


def _model(name: str) -> type[BaseModel]:
    """Return the model `module:class`, which is imported late, so that commands start fast."""
    module, _, model = name.partition(":")
    loaded: type[BaseModel] = getattr(import_module(module), model)
    return loaded


def field_table(model: type[BaseModel]) -> Iterator[str]:
    """The lines of a table of the fields of `model`."""
    yield "| field | meaning | kind | if left out |"
    yield "|---|---|---|---|"
    schema = model.model_json_schema(mode="validation")
    for name, field in schema["properties"].items():
        known = WORDS.get(model.__name__, {}).get(name) or field.get("description") or COMMON.get(name, "")
        needed = "needed" if name in schema.get("required", ()) else _default(field)
        yield f"| `{name}` | {cell(known)} | {cell(_kind(field))} | {needed} |"


def _kind(field: dict[str, Any]) -> str:
    """Return the type of a field in a word or two."""
    if "$ref" in field:
        return "an object"
    if words := field.get("enum"):
        return ", ".join(f"`{word}`" for word in words) if len(words) < 8 else "a word"
    if "const" in field:
        return f"`{field['const']}`"
    if options := field.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind(option) for option in options if option.get("type") != "null"))
    kinds = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
    return kinds.get(field.get("type", ""), {"array": "a list", "object": "an object"}.get(field.get("type", ""), ""))


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str) and value != "":
        return _code(value)
    return ", ".join(map(_code, value)) if isinstance(value, list) else ""


def _code(value: object) -> str:
    """Return a value as code in one line, with escapes in the place of control characters."""
    return f"`{json.dumps(value, ensure_ascii=False)[1:-1] if isinstance(value, str) else value}`"


def cell(words: str | None) -> str:
    """Return `words` for a cell of a Markdown table."""
    return " ".join((words or "").split()).replace("|", "\\|")
