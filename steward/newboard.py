"""The first files of a new board: its board file, and the cards of its repos."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
  # contents: {org}/contents    # one table of all evaluations; the sync process then needs the extra `contents`
  # Workers write here and nowhere else, with their own token.
  details_namespace: {details}

# The suite: the name of one that ships with Steward, or the path of a suite file.
suite: {suite}

# Hub user ids: people who may use maintainers' commands, and accounts of submission forms.
maintainers: {maintainers}
front_ends: []

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


def board_text(*, org: str, details: str, title: str, suite: str, maintainers: Sequence[str]) -> str:
    """Return a board file with every effect in shadow. Raises BadBoard for invalid values."""
    from leaderboard.boards import parse_board

    name = "".join(letter if letter.isalnum() else "-" for letter in org.lower()).strip("-")[:40]
    quoted = {
        word: json.dumps(value, ensure_ascii=False) for word, value in (("title", title), ("suite", suite))
    }  # JSON is YAML
    text = BOARD.format(name=name, org=org, details=details, maintainers=json.dumps(list(maintainers)), **quoted)
    parse_board(text)
    return text


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
            "remove tokens and addresses from the logs; nobody reviews them.",
        ),
        repos.private_logs: ("Private logs", "Logs and outcomes of gated and private models, and of secret questions."),
        repos.flags: ("Flags", "One file for each model with decisions about flags, with evidence and thread."),
        repos.community: ("Leaderboard", "Ask, report and appeal in the Community tab: the bot answers there."),
    }
    if repos.contents:
        texts[repos.contents] = ("Table", "One row per evaluation, for front ends and notebooks.")
    heading, words = texts[repo_id]
    title = json.dumps(f"{board.title}: {heading}", ensure_ascii=False)
    space = "sdk: static\n" if repo_id == repos.community and board.repos.community_type == "space" else ""
    split = TABLE if repo_id == repos.contents else ""
    return (
        f"---\n{'title' if space else 'pretty_name'}: {title}\n{space}{split}---\n\n"
        f"# {heading}\n\n{words}\n\nA bot maintains this repo. It respects files that are edited by hand.\n"
    ).encode()
