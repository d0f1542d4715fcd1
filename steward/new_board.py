"""The first files of a new board: its board file, and the cards of its repos."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pydantic import BaseModel

    from leaderboard.boards import Board

BOARD = """\
# One leaderboard. `steward doctor` checks the setup. docs/adoption.md explains the bot's effects, docs/submitting.md
# the rules for submissions.
name: {name}
title: {title}

# Repos on the Hub. All but the community repo are datasets.
repos:
  requests: {org}/requests
  results: {org}/results
  logs: {org}/logs
  flags: {org}/flags
  community: {org}/leaderboard
  community_type: space
  # One table of all evaluations, and what the Space shows; the sync process needs the extra `contents` for it.
  contents: {org}/contents
  # Workers write here and nowhere else, with their own token.
  details_namespace: {details}

# The suite: the name of one that ships with Steward, or the path of a suite file.
suite: {suite}

# Hub user ids: people who may use maintainers' commands, and accounts of submission forms.
maintainers: {maintainers}
front_ends: []
# front_end: react    # the Space that shows the board, if it is one of gradio-v1, gradio-v2 and react

# What the bot may do. In shadow, it writes nothing, and `steward shadow list` shows what it would have done.
# Switch effects on one by one: `steward effects set edit on`.
effects: shadow
"""

TABLE = """\
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
"""
"""The part of the aggregated table's card that dataset loaders read."""

NO_ROWS = "no-rows.jsonl"
"""An empty data file, so that dataset loaders find one in a repo that has no other yet."""
FRONT_END_FIELDS = {
    "params": "float64",
    "architectures": "string",
    "likes": "int64",
    "license": "string",
    "job_start_time": "string",
}
"""Fields of request files that front ends write and Steward does not declare, with their types for dataset loaders."""
DTYPES = {"boolean": "bool", "integer": "int64", "number": "float64"}
"""A type of JSON Schema → that of a dataset loader. All others, objects too, are text."""

SPACE = """\
emoji: 🏆
colorFrom: indigo
colorTo: yellow
sdk: static
app_file: index.html
pinned: true
"""
"""The part of the Space's card that the Hub reads."""


MADE_BY_INIT = "A bot maintains this repo."
"""The sentence in every card of `init`, by which another `init` sees that a board has the repo."""
KEPT_VALUES = ("HF_ENDPOINT", "HF_HUB_DISABLE_XET", "STEWARD_HOST", "STEWARD_PORT", "STEWARD_PUBLIC_URL")
KEPT_FILES = ("STEWARD_BOT_TOKEN_FILE", "STEWARD_WORKER_TOKEN_FILE", "STEWARD_WEBHOOK_SECRET_FILE")
"""Settings that `init` writes into the file `env`: values, and names of files."""


@dataclass(frozen=True)
class NewBoardOptions:
    """The options for a new board file. `maintainers` are names on the Hub."""

    org: str
    details: str
    title: str
    suite: str = "starter"
    maintainers: tuple[str, ...] = ()

    def board_text(self, maintainer_ids: Sequence[str]) -> str:
        """Return a board file with every effect in shadow. Raises BadBoard for invalid values."""
        from leaderboard.boards import parse_board

        name = "".join(letter if letter.isalnum() else "-" for letter in self.org.lower()).strip("-")[:40]
        title, suite = (json.dumps(value, ensure_ascii=False) for value in (self.title, self.suite))  # JSON is YAML
        ids = json.dumps(list(maintainer_ids))
        text = BOARD.format(name=name, org=self.org, details=self.details, title=title, suite=suite, maintainers=ids)
        parse_board(text)
        return text


def env_text(environment: Mapping[str, str], board_file: Path, data: str) -> str:
    """Return a file that new terminals source: the settings without the secrets themselves, with absolute paths.

    `data` is the folder of the queue server of `steward up`.
    """
    kept = {name: environment[name] for name in KEPT_VALUES if environment.get(name)}
    files = {name: environment[name] for name in KEPT_FILES if environment.get(name)}
    files |= {"STEWARD_BOARD": str(board_file), "STEWARD_DATA": environment.get("STEWARD_DATA", data)}
    settings = kept | {name: str(Path(file).resolve()) for name, file in files.items()}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()]
    activate = Path(sys.prefix) / "bin" / "activate"
    return "".join([*([f". {shlex.quote(str(activate))}\n"] if activate.exists() else []), *lines])


def card(board: Board, repo_id: str) -> bytes:
    """Return the card of one of the board's repos, which describes its contents, to people and to dataset loaders."""
    repos = board.repos
    texts = {
        repos.requests: (
            "Requests",
            "Each file is one submission with its status and, after a failure, the reason and its fault. To submit a "
            "model, use the leaderboard's form, or open a pull request that adds such a file.",
        ),
        repos.results: ("Results", "The scores of every evaluation, in one folder per model."),
        repos.logs: (
            "Logs",
            "The log and the outcome of every attempt at a public model, and the decisions of maintainers. Programs "
            "remove tokens and addresses from the logs: the bot publishes them unreviewed.",
        ),
        repos.private_logs: ("Private logs", "Logs and outcomes of gated and private models, and of secret questions."),
        repos.flags: ("Flags", "One file for each model with decisions about flags, with evidence and thread."),
        repos.community: ("Leaderboard", "Ask, report and appeal in the Community tab: the bot answers there."),
    }
    if repos.contents:
        texts[repos.contents] = ("Table", "One row per evaluation, for front ends and notebooks.")
    heading, words = texts[repo_id]
    title = json.dumps(f"{board.title}: {heading}", ensure_ascii=False)
    space = SPACE if repo_id == repos.community and board.repos.community_type == "space" else ""
    configs = TABLE if repo_id == repos.contents else _configs(records(board, repo_id))
    return (
        f"---\n{'title' if space else 'pretty_name'}: {title}\n{space}{configs}---\n\n"
        f"# {heading}\n\n{words}\n\n{MADE_BY_INIT} It respects files that are edited by hand.\n"
    ).encode()


def records(board: Board, repo_id: str) -> dict[str, tuple[str, type[BaseModel]]]:
    """Return the configs of a repo whose files are records: name → the pattern of the files' paths, and their model.

    Other repos have none: the files of the results repo load without a description.
    """
    from leaderboard.attempts import Outcome
    from leaderboard.flags import FlagRecord
    from leaderboard.requests import RequestFile
    from redis_state.board.decisions import CommandDecision

    repos = board.repos
    if repo_id in (repos.logs, repos.private_logs):
        decisions = ("decisions/*/*/all.jsonl", CommandDecision)
        return {"outcomes": ("**/outcome.json", Outcome), "decisions": decisions}
    if repo_id == repos.requests:
        return {"default": ("**/*_eval_request_*.json", RequestFile)}
    return {"default": ("flags/**/*.json", FlagRecord)} if repo_id == repos.flags else {}


def _configs(configs: Mapping[str, tuple[str, type[BaseModel]]]) -> str:
    """Return the part of a card that tells dataset loaders the data files and the columns of each config.

    Loaders take the columns of the first file for those of all, so they fail where one file has a field that another
    lacks, unless the card lists the columns. The empty file is the last one: datasets 5.0 fails on an empty first one.
    """
    if not configs:
        return ""
    files = [
        {"config_name": name, "data_files": [{"split": "train", "path": [pattern, NO_ROWS]}]}
        for name, (pattern, _) in configs.items()
    ]
    columns = [{"config_name": name, "features": _features(model)} for name, (_, model) in configs.items()]
    return yaml.safe_dump({"configs": files, "dataset_info": columns}, sort_keys=False)


def _features(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the columns of the records that `model` describes: lists stay lists, other objects become JSON text."""
    from leaderboard.requests import RequestFile

    schema = model.model_json_schema()
    columns = _columns(schema, schema.get("$defs", {}))
    if model is RequestFile:
        columns += [{"name": name, "dtype": dtype} for name, dtype in FRONT_END_FIELDS.items()]
    return columns


def _columns(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = []
    for name, field in schema["properties"].items():
        kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
        kind = kinds[0] if len(kinds) == 1 else {}
        if kind.get("type") != "array":
            columns.append({"name": name, "dtype": DTYPES.get(kind.get("type", ""), "string")})
        elif "$ref" in kind["items"]:
            definition = definitions[kind["items"]["$ref"].rpartition("/")[2]]
            columns.append({"name": name, "list": _columns(definition, definitions)})
        else:
            columns.append({"name": name, "sequence": DTYPES.get(kind["items"].get("type", ""), "string")})
    return columns
