"""The first files of a new board: its board file, and the cards of its repos."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


SPACE = """\
emoji: 🏆
colorFrom: indigo
colorTo: yellow
sdk: static
app_file: index.html
pinned: true
"""
"""The part of the Space's card that the Hub reads."""


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
    """Return the card of one of the board's repos, which describes its contents."""
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
    split = TABLE if repo_id == repos.contents else ""
    return (
        f"---\n{'title' if space else 'pretty_name'}: {title}\n{space}{split}---\n\n"
        f"# {heading}\n\n{words}\n\nA bot maintains this repo. It respects files that are edited by hand.\n"
    ).encode()
