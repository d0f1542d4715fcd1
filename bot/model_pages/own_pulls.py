"""Read the board's pull requests on a model's repo, and the scores that this repo has already."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.context import BoardContext
from bot.model_pages.page import ModelPage
from hub.client import Hub
from hub.comments import is_by, marker_of
from hub.records import Repo, Thread
from leaderboard.model_pages import PageScore, file_path

MARKER = "model-page"
"""Kind of the hidden marker in the description of such a pull request."""
UNDECIDED = ("open", "draft")
"""Statuses of a pull request that is neither merged nor closed; the bot opens drafts."""


def own_pulls(context: BoardContext, hub: Hub, model: str) -> list[Thread]:
    """The pull requests on the model's repo that this board opened, newest first."""
    me, repo = hub.me(), Repo("model", model)
    threads = [hub.thread(repo, summary.num) for summary in hub.threads(repo, author=me.name, kind="pull_request")]
    return [
        thread for thread in threads if is_by(me, thread.author_id, thread.author_name) and _has_marker(context, thread)
    ]


def _has_marker(context: BoardContext, thread: Thread) -> bool:
    """Whether a pull request carries the marker of this board; its key may be an earlier name of the model."""
    marker = marker_of(thread.comments[0].text) if thread.comments else None
    return marker is not None and (marker.board, marker.kind) == (context.board.name, MARKER)


def current_pull(ours: Sequence[Thread]) -> Thread | None:
    """The oldest undecided pull request, else the newest."""
    return next((thread for thread in reversed(ours) if thread.status in UNDECIDED), ours[0] if ours else None)


def may_reopen(hub: Hub, pull: Thread) -> bool:
    """Whether the bot closed `pull`: a pull request that another account closed stays closed."""
    return pull.closed_by is not None and is_by(hub.me(), *pull.closed_by)


def untaken_scores(hub: Hub, page: ModelPage, ours: Sequence[Thread], path: str) -> list[PageScore]:
    """The scores of tasks for which the model's repo has no other score yet. One call.

    Before the bot opens its pull request, open ones of other accounts count too; later ones do not close the bot's.
    """
    is_open = any(thread.status in UNDECIDED for thread in ours)
    own = {thread.num for thread in ours}
    taken = {
        (score.dataset.lower(), score.task_id)
        for score in hub.published_scores(page.model)
        if (score.path != path if score.pull is None else not is_open and score.pull not in own)
    }
    return [score for score in page.scores if score.task not in taken]


def scores_file_at(context: BoardContext, hub: Hub, model: str, revision: str) -> bytes | None:
    """The content of the board's file of scores in the model's repo at `revision`; None if there is none."""
    file = hub.find_file(Repo("model", model), file_path(context.board.name), revision)
    return file.data if file is not None else None
