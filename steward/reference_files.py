"""Generates the reference page of files on the Hub and their fields, from the models that parse them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from steward.reference_words import COMMON, FOOT, HEAD, PLACES, WORDS

if TYPE_CHECKING:
    from pydantic import BaseModel


def files_page() -> str:
    """Return the reference page of files."""
    from leaderboard.adoption import AdoptionRecord
    from leaderboard.attempts import Failure, Outcome
    from leaderboard.backend_settings import CostLimits, JobsBackend, SlurmBackend
    from leaderboard.boards import Board, BoardRepos
    from leaderboard.budgets import Budgets
    from leaderboard.cross_checks import (
        CrossCheckPolicy,
        CrossCheckRecord,
        CrossCheckReport,
        QuestionVerdict,
        WorkerPolicy,
    )
    from leaderboard.evaluators import Evaluator, EvaluatorNeeds, ScoresAgain
    from leaderboard.flags import FlagRecord
    from leaderboard.front_ends import FrontEnd
    from leaderboard.holds import Hold
    from leaderboard.policy import AdmissionPolicy
    from leaderboard.predictions import PredictionRules, PrivateAnswers, Season
    from leaderboard.requests import RequestFile
    from leaderboard.result_digests import AskedParts, ResultDigests, ScoredParts
    from leaderboard.sample_checks import CheckedSamples
    from leaderboard.seasons import FrozenRow, FrozenSeason, SubmittedPredictions
    from leaderboard.steward_block import EvaluatorUse, RescoredFrom, StewardBlock
    from leaderboard.steward_facts import PreviousResult, StewardFacts
    from leaderboard.suites import Benchmark, Dataset, Definition, Erratum, Suite
    from leaderboard.tiers import TierLimits
    from redis_state.board.decisions import CommandDecision

    chapters: tuple[tuple[str, str, tuple[tuple[str, type[BaseModel]], ...]], ...] = (
        (
            "A request",
            "Fields that are not listed are preserved.",
            (("", RequestFile), ("`steward`", StewardFacts), ("`failure`", Failure), ("`kept`", PreviousResult)),
        ),
        (
            "A pause, or a hold",
            "In `.steward/pauses` by its target; in a request as `hold` or `cancelled`.",
            (("", Hold),),
        ),
        (
            "The block in results",
            "The member `steward` of a results file. Its [digests](scores.md#what-can-be-compared) tell which results "
            "can be compared; `tasks` has the parts of each task, as `{asked, scored, prompts}`.",
            (
                ("", StewardBlock),
                ("`digests`", ResultDigests),
                ("`asked`", AskedParts),
                ("`scored`", ScoredParts),
                ("`rescored_from`", RescoredFrom),
                ("`checked`", CheckedSamples),
                ("`checked.again`", CrossCheckRecord),
                ("`evaluator`", EvaluatorUse),
                ("`predictions`, beside `steward`, if the scores are of predictions", SubmittedPredictions),
            ),
        ),
        ("The outcome of an attempt", "The worker reports it; the bot checks it.", (("", Outcome),)),
        (
            "A cross-check",
            "The report of a worker that computed some answers of another one again "
            "([how](other-workers.md)). The account of its commit says whose report it is.",
            (("", CrossCheckReport), ("`answers`", QuestionVerdict)),
        ),
        ("A decision", "One command that decided something, or tried to.", (("", CommandDecision),)),
        ("A flag", "", (("", FlagRecord),)),
        ("The record of adoption", "", (("", AdoptionRecord),)),
        (
            "The board file",
            "YAML, named by `STEWARD_BOARD`; `steward init --org` writes a first version. All fields except `name`, "
            "`title`, `repos` and `suite` are optional. `effects` is `off`, `shadow` or `on`, or one of these for each "
            "[kind](adoption.md#effects).",
            (
                ("", Board),
                ("`repos`", BoardRepos),
                ("`front_end`", FrontEnd),
                ("`admission`", AdmissionPolicy),
                ("`tiers`", TierLimits),
                ("`budgets`", Budgets),
                ("`workers`", WorkerPolicy),
                ("`workers.check`", CrossCheckPolicy),
                ("`backends`, of the kind `jobs` ([worker backends](backends.md))", JobsBackend),
                ("`backends`, of the kind `slurm`", SlurmBackend),
                ("`backends.costs`", CostLimits),
            ),
        ),
        (
            "The suite file",
            "YAML, named in the board file; see [writing a suite](writing-a-suite.md).",
            (
                ("", Suite),
                ("`benchmarks`", Benchmark),
                ("`datasets`", Dataset),
                ("`definitions`", Definition),
                ("`errata`", Erratum),
                ("`evaluator`", Evaluator),
                ("`evaluator.needs`", EvaluatorNeeds),
                ("`evaluator.scores_again`", ScoresAgain),
                ("`predictions`", PredictionRules),
                ("`predictions.answers`", PrivateAnswers),
                ("`predictions.seasons`", Season),
            ),
        ),
        (
            "The table of a season",
            "`seasons/{name}.season` in the results repo, as JSON, written once, when the season has ended "
            "([predictions](predictions.md#seasons)). Front ends take every file that ends in `.json` for results.",
            (("", FrozenSeason), ("`rows`", FrozenRow)),
        ),
    )
    parts = [HEAD, *(f"| {' | '.join(place)} |" for place in PLACES), FOOT]
    for title, words, tables in chapters:
        parts += [f"## {title}\n", *([f"{words}\n"] if words else [])]
        for name, model in tables:
            parts += [*([f"**{name}**\n"] if name else []), *field_table(model), ""]
    return "\n".join(parts).rstrip() + "\n"


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
        return f"`{value}`"
    return ", ".join(f"`{item}`" for item in value) if isinstance(value, list) else ""


def cell(words: str | None) -> str:
    """Return `words` for a cell of a Markdown table."""
    return " ".join((words or "").split()).replace("|", "\\|")
