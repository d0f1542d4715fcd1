"""What a new board starts with: its board file, and the cards of its repos."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboard.boards import Board

BOARD = """\
# One leaderboard. `steward doctor` says whether all of it is in place; what the bot may do is explained in
# docs/adoption.md, what is asked of submissions in docs/submitting.md.
name: {name}
title: {title}

# Repos on the Hub. All are datasets but the community one.
repos:
  requests: {org}/requests
  results: {org}/results
  logs: {org}/logs
  flags: {org}/flags
  community: {org}/leaderboard
  community_type: space
  # contents: {org}/contents    # one table of all evaluations, for which the sync process needs the extra contents
  # Workers write here and nowhere else, with a token of their own.
  details_namespace: {details}

# What is evaluated: the name of a suite that ships with Steward, or the path of a suite file.
suite: {suite}

# Hub user ids: who may give orders, and whose forms submit for others.
maintainers: {maintainers}
front_ends: []

# What the bot may do. In shadow nothing is written, and `steward shadow list` tells what would have been.
# Switch on one by one: `steward effects set edit on`.
effects: shadow
"""

TABLE = """\
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
"""
"""What loaders of datasets read in the card of the aggregated table."""


def board_text(*, org: str, details: str, title: str, suite: str, maintainers: Sequence[str]) -> str:
    """A board file with every effect in shadow. Raises BadBoard where these cannot be a board."""
    from leaderboard.boards import parse_board

    name = "".join(letter if letter.isalnum() else "-" for letter in org.lower()).strip("-")[:40]
    quoted = {
        word: json.dumps(value, ensure_ascii=False) for word, value in (("title", title), ("suite", suite))
    }  # JSON is YAML
    text = BOARD.format(name=name, org=org, details=details, maintainers=json.dumps(list(maintainers)), **quoted)
    parse_board(text)
    return text


def card(board: Board, repo_id: str) -> bytes:
    """The card of one of the board's repos: what is in it, and who writes it."""
    repos = board.repos
    said = {
        repos.requests: (
            "Requests",
            "Each file is one submission, and says how it stands: its status, and when it failed, why and whose fault "
            "it was. To submit a model, use the leaderboard's form, or open a pull request that adds such a file.",
        ),
        repos.results: ("Results", "The scores of every evaluation, a folder for each model."),
        repos.logs: ("Logs", "The log and the outcome of every attempt, good or bad. Private, for logs hold much."),
        repos.flags: ("Flags", "One file for each model about which something was decided, with evidence and thread."),
        repos.community: ("Leaderboard", "Ask, report and plead in the Community tab: the bot answers there."),
    }
    if repos.contents:
        said[repos.contents] = ("Table", "One row for each evaluation: what front ends and notebooks read.")
    heading, words = said[repo_id]
    title = json.dumps(f"{board.title}: {heading}", ensure_ascii=False)
    space = "sdk: static\n" if repo_id == repos.community and board.repos.community_type == "space" else ""
    split = TABLE if repo_id == repos.contents else ""
    return (
        f"---\n{'title' if space else 'pretty_name'}: {title}\n{space}{split}---\n\n"
        f"# {heading}\n\n{words}\n\nThis repo is kept by a bot. Files that are edited by hand are respected.\n"
    ).encode()
