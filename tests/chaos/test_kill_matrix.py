"""Kill a process at each crash point: after a restart people see what they would have seen without the kill.

`make chaos` kills processes of three kinds in one run, and checks that every request ends as it should, once. Then it
runs the whole matrix, with one kill in each run, compares what people see with what they see after a run
without a kill, and prints the matrix as a table: a row for each crash point in the code, a column for each kind of
process. Where a process of a kind cannot be killed at a point, because its code does not have the point or
never reaches it, the table says so, and that is tested too.
"""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import bot
import workers
from redis_state.crashpoints import POINTS
from steward.testing.waiting import wait_until
from tests.support.chaos.board_processes import PATIENCE, BoardProcesses, open_board_processes
from tests.support.chaos.end_state import REQUESTS, check_end_state, without_attempts

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
BEAT = "1"
MODELS, PROPOSED = ("good", "remote", "good-dies", "other"), "another"
ENTRANCES = {
    "web": "bot.processes.web_app",
    "sync": "bot.processes.sync_process",
    "schedule": "bot.processes.sync_process",
    "worker": "workers.jobs.worker, workers.jobs.entry_point",
}
"""Kind of process → the modules that it imports when it starts."""
WEB_MODULES = {"bot.intake.inbox", "bot.intake.webhooks", "bot.intake.group_commit", "bot.processes.web_app"}
ELSEWHERE = {
    "a wrong merge is being reverted, not reported": "in process: test_pulls_races",
    "a part of several landed, the next one did not": "in process: test_moderation_saga",
    "a part was taken back, the one before it was not": "in process: test_moderation_saga",
    "proposal approved, nothing done": "in process: test_moderation_saga",
    "proposal carried out, not told": "in process: test_moderation_saga",
    "run of a backend intended, not started": "with a backend: test_backend_troubles",
    "run of a backend started, not recorded": "with a backend: test_backend_troubles",
}
"""Crash points that no process passes in this scenario → the tests that cover them. Tests "in process" kill the bot
before every call to the Hub, thus between any two points: they need a user who pushes between two calls of the bot, or
proposals and their approvals. The others need a board with a worker backend."""
PUBLISHING = (
    "pull request on a model counted, not opened",
    "pull request on a model opened, not told",
    "scores in a pull request on a model changed, not opened again",
    "command had its effect, reply not edited",
)
"""The crash points that the sync process passes when a model's owner publishes scores, in this order; it passes the
last three again when the owner does so a second time."""
INTERRUPTED = "evaluated, details not published"
"""A worker that is killed here has written all answers to its journal."""
DECLARES = "crashpoints"


def kinds(module: str) -> list[str]:
    """The kinds of process that pass the points of `module`. A sync process runs the timer if no other process does."""
    if module.startswith("workers."):
        return ["worker"]
    if module == "bot.processes.schedule":
        return ["schedule", "sync"]
    return ["web"] if module in WEB_MODULES else ["sync"]


def source(module: pkgutil.ModuleInfo) -> str:
    """The source of a module, read without importing it: some modules import the harness, which takes long."""
    spec = importlib.util.find_spec(module.name)
    assert spec and spec.origin
    return Path(spec.origin).read_text("utf-8")


def matrix() -> list[tuple[str, str]]:
    """(kind of process, crash point), for every point that the code declares."""
    for package in (bot, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if DECLARES in source(module):
                importlib.import_module(module.name)
    elsewhere = {*ELSEWHERE, *PUBLISHING}
    return sorted((kind, name) for name, module in POINTS.items() if name not in elsewhere for kind in kinds(module))


CELLS = matrix()
THREE = {
    "schedule": "round marked, its time not noted",
    "sync": "reply posted, command without effect",
    "web": "delivery stored, not acknowledged",
}
"""Kind of process → the crash point at which it is killed in `make test`, all in one run."""
TABLE: dict[tuple[str, str], str] = {}


@cache
def known(kind: str) -> frozenset[str]:
    """The crash points in the code that a process of this kind imports."""
    words = (
        f"import json, {ENTRANCES[kind]}; from redis_state.crashpoints import POINTS; print(json.dumps(list(POINTS)))"
    )
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True)
    return frozenset(json.loads(done.stdout.splitlines()[-1]))


def play(
    folder: Path,
    deaths: Mapping[str, str] = MappingProxyType({}),
    look: Callable[[BoardProcesses], dict[str, Any]] = BoardProcesses.final_state,
) -> tuple[dict[str, Any], set[str]]:
    """Run the scenario and kill each kind in `deaths` at its point; `look` at the end, and return which kinds died.

    A form submits models; an outsider submits another one by pull request, and writes a command in its thread.
    """
    notes = {kind: folder / f"{kind}-died" for kind in deaths}
    armed_still = set(deaths)
    with open_board_processes(folder) as board:
        for name in ("web", *(["schedule"] if "schedule" in deaths else []), "sync", "worker"):
            armed = {"crash_at": deaths[name], "STEWARD_CRASH_NOTE": str(notes[name])} if name in deaths else {}
            board.start(name, STEWARD_BEAT_SECONDS=BEAT, **armed)
        wait_until(board.web_answers, describe=board.words, seconds=PATIENCE)
        ended = act(board)

        def restarted_and_ended() -> bool:
            for kind in [kind for kind in armed_still if board.died(kind)]:
                board.start(kind, STEWARD_BEAT_SECONDS=BEAT)
                armed_still.remove(kind)
            return ended()

        wait_until(restarted_and_ended, describe=board.words, seconds=PATIENCE)
        return look(board), {kind for kind, note in notes.items() if note.exists()}


def act(board: BoardProcesses) -> Callable[[], bool]:
    """Submit the models and write the command; return a function that says whether all of it has ended."""
    number = board.propose(PROPOSED)
    board.say(number, "/help")
    board.submit(*MODELS)

    def ended() -> bool:
        if not (board.ended() and len(board.statuses()) == len(MODELS) + 1):
            return False
        comments = board.reader.thread(REQUESTS, number).comments
        return any("town answer" in comment.text for comment in comments)

    return ended


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What people see after a run in which no process was killed."""
    seen, _ = play(tmp_path_factory.mktemp("undisturbed"))
    return seen


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print the matrix when all of it has run."""
    yield
    if TABLE.keys() >= set(CELLS):
        print("\n" + "\n".join(rows()))


def rows() -> Iterator[str]:
    """The matrix as a table in Markdown."""
    yield f"| crash point | {' | '.join(ENTRANCES)} |"
    yield "|---" * (len(ENTRANCES) + 1) + "|"
    for point in sorted(POINTS, key=lambda name: (POINTS[name], name)):
        cells = (_cell(kind, point) for kind in ENTRANCES)
        yield f"| {point} (`{POINTS[point]}`) | {' | '.join(cells)} |"


def _cell(kind: str, point: str) -> str:
    if point not in known(kind):
        return "not in its code"
    if point in ELSEWHERE and kind in kinds(POINTS[point]):
        return ELSEWHERE[point]
    return TABLE.get((kind, point), "")


@pytest.mark.long("eighteen seconds of a processor; `make chaos` runs it")
def test_three_killed_processes_change_nothing_for_people(tmp_path: Path) -> None:
    """If a timer, a sync process and a web server are killed in one run, each request ends, with one status comment."""
    _, died = play(tmp_path, THREE, lambda board: check_end_state(board, MODELS, PROPOSED))
    assert died == THREE.keys()


@pytest.mark.long("a run of four processes for each point")
@pytest.mark.parametrize(("kind", "point"), CELLS)
def test_a_process_killed_at_any_point_changes_nothing_for_people(
    kind: str, point: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """A run with a kill and a restart ends with the same files, statuses and comments as a run without."""
    TABLE[kind, point] = "FAILED"
    seen, died = play(tmp_path, {kind: point})
    assert died == {kind}, f"no process passed {point!r}: the point, or the scenario, is stale"
    assert seen == undisturbed or without_attempts(seen) == without_attempts(undisturbed)
    if (kind, point) == ("worker", INTERRUPTED):
        resumed = [value for name, value in seen.items() if name.startswith("results/") and value[-1]]
        assert len(resumed) == 1, "the next attempt has to reuse the stored answers"
    TABLE[kind, point] = "killed, same end"


@pytest.mark.long("real processes; test_model_pages_deaths dies before each call")
@pytest.mark.parametrize("point", PUBLISHING)
def test_a_sync_killed_while_it_publishes_scores_leaves_one_pull_request(point: str, tmp_path: Path) -> None:
    """Scores that are published, withdrawn and published again, with a kill each time, lead to one pull request."""
    left = [point]
    with open_board_processes(tmp_path, publishing=True) as board:
        for name in ("web", "worker"):
            board.start(name, STEWARD_BEAT_SECONDS=BEAT)
        board.start("sync", STEWARD_BEAT_SECONDS=BEAT, crash_at=left[0])
        wait_until(board.web_answers, describe=board.words, seconds=PATIENCE)

        def reached(ended: Callable[[], bool]) -> None:
            def restarted_and_ended() -> bool:
                if board.died("sync"):
                    left.pop(0)
                    board.start("sync", STEWARD_BEAT_SECONDS=BEAT, crash_at=left[0] if left else "")
                return ended()

            wait_until(restarted_and_ended, describe=board.words, seconds=PATIENCE)

        board.submit("good")
        reached(lambda: board.statuses() != {} and board.ended())
        thread = board.ask_for_scores()
        for number, (word, status) in enumerate([("publish", "open"), ("unpublish", "closed"), ("publish", "open")], 1):
            board.say(thread, f"/{word}-scores ada/good")
            reached(lambda number=number: board.answers(thread, "pull request #1") == number and board.is_idle())
            assert board.pulls_with_scores() == [(1, status, [".eval_results/town.yaml"])]
        assert not left, f"the sync process never passed {left[0]}"
        titles = [commit.title for commit in board.ada.list_repo_commits("ada/good", revision="refs/pr/1")]
        assert titles.count("Add scores of The town's board") == 1
        rows = board.ada.get_dataset_leaderboard("ada/riddles")
        assert [(row.model_id, row.pull_request) for row in rows] == [("ada/good", 1)]
    TABLE["sync", point] = "killed, one pull request"


@pytest.mark.long("the empty cells of the matrix")
def test_no_process_passes_a_point_that_is_not_its_own(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    """No process passes the crash points that its code has, but that belong to another kind of process."""
    spare = {kind: sorted(name for name in known(kind) if kind not in kinds(POINTS[name])) for kind in ENTRANCES}
    with open_board_processes(tmp_path) as board:
        for kind in ("web", "schedule", "sync", "worker"):
            board.start(kind, STEWARD_BEAT_SECONDS=BEAT, crash_at="|".join(spare[kind]))
        wait_until(board.web_answers, describe=board.words, seconds=PATIENCE)
        wait_until(act(board), describe=board.words, seconds=PATIENCE)
        assert board.final_state() == undisturbed
        assert not [name for name in board.processes if board.died(name)]
    TABLE.update({(kind, name): "never gets there" for kind, names in spare.items() for name in names})
