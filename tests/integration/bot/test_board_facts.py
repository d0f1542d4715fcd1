"""The facts about the board against which a submission is judged, from the index of its requests in a real Redis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import redis

from bot.core.context import BoardContext
from bot.core.flag_table import FlagBook
from bot.model_facts.board_facts import gather_board_facts, weights_digest
from hub.client import Hub
from leaderboard.admission.facts import BoardFacts, EarlierRequest, ModelFacts, ModelFile, Weights
from leaderboard.attempts import Failure
from leaderboard.boards import parse_board
from leaderboard.request_paths import RequestPath
from leaderboard.requests import Request, parse_request
from leaderboard.suites import find_suite
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot
from steward.testing.board import BOARD

NOW = 1_800_000_000.0
DAY = 86_400.0
SHA = "a" * 40
DIGEST = hashlib.sha256(b"weights").hexdigest()
FACTS = ModelFacts(
    "found",
    SHA,
    files=(ModelFile("model.safetensors", 7, DIGEST), ModelFile("README.md", 1)),
    id="ada/tiger",
    weights=Weights(("model.safetensors",)),
)
THEIRS = Failure(cause="nan-scores", fault="submission", message="NaN")
OURS = Failure(cause="worker-lost", fault="us", message="lost")


@pytest.fixture
def context(connection: redis.Redis) -> Iterator[BoardContext]:
    """A board context whose Hub is not called."""
    with Hub("http://127.0.0.1:9", None) as hub:
        yield BoardContext(parse_board(BOARD), find_suite("starter"), hub, connection, now=lambda: NOW)


def place(model: str, precision: str = "float16", *, private: bool = False) -> str:
    """Return the path of the request for `model`."""
    org, _, name = model.rpartition("/")
    return str(RequestPath(org, name, private, precision, "Original"))


def entry(
    model: str, *, path: str = "", days: float = 1.0, by: str = "", status: str = "FINISHED", **more: Any
) -> IndexEntry:
    """Return the index entry of a request that by default finished well `days` ago."""
    facts = {"revision": SHA, "failure": more.pop("failure", None), "access": more.pop("access", "public")}
    standing = RequestSnapshot(status=status, time=NOW - days * DAY, chat_template=more.pop("chat", False), **facts)
    fields = {"state": "settled", "sha": SHA, "used": 1, "submitter": by, "standing": standing, **more}
    return IndexEntry(path=path or place(model), model=model, **fields)


def request(model: str = "ada/tiger", **fields: Any) -> Request:
    """Return a submission of `model`."""
    fields_of_file = {"model": model, "status": "PENDING", "precision": "float16", "weight_type": "Original", **fields}
    parsed = parse_request(place(model), json.dumps(fields_of_file).encode())
    assert isinstance(parsed, Request)
    return parsed


def around(
    context: BoardContext, *entries: IndexEntry, asked: Request | None = None, by: str = "grace", **facts: Any
) -> BoardFacts:
    """Return the board's facts about a submission by `by`, with `entries` as the requests on the board."""
    context.index.put(*entries)
    return gather_board_facts(context, asked or request(), replace(FACTS, **facts), by)


def test_an_empty_board_knows_nothing(context: BoardContext) -> None:
    """On an empty board there is no repetition, no used quota and no flag."""
    assert around(context) == BoardFacts(NOW, "grace")


def test_the_same_evaluation_at_another_path_is_told_with_its_address(context: BoardContext) -> None:
    """The bot finds the same evaluation at another path, in any letter case and under an earlier name, with its URL."""
    other = entry("Ada/Tiger")
    (same,) = around(context, other).same
    assert (same.path, same.model, same.status) == (other.path, "Ada/Tiger", "FINISHED")
    assert same.address == f"http://127.0.0.1:9/datasets/board/requests/blob/main/{other.path}"
    assert around(context, asked=request("ada/old-name")).same != ()


@pytest.mark.parametrize(
    "other",
    [
        entry("ada/tiger"),
        entry("Ada/Tiger", path=place("Ada/Tiger", "bfloat16")),
        entry("Ada/Tiger", chat=True),
        entry("Ada/Tigers"),
        entry("Ada/Tiger", state="new", sha=None),
        entry("Ada/Tiger", status="FAILED", used=None, failure=THEIRS),
        entry("Ada/Tiger", sha="b" * 40, standing=RequestSnapshot(status="FINISHED", revision="b" * 40)),
    ],
    ids=["own path", "precision", "chat template", "name", "not judged yet", "refused", "commit"],
)
def test_another_evaluation_is_no_repetition(context: BoardContext, other: IndexEntry) -> None:
    """No repetition is the request itself, another precision, template, name or commit, or a refused request."""
    assert around(context, other).same == ()


@pytest.mark.parametrize("status", ["PENDING", "RUNNING", "FINISHED", "FAILED", "CANCELLED", "PENDING_NEW_EVAL"])
def test_a_repetition_is_one_whatever_became_of_it(context: BoardContext, status: str) -> None:
    """A request for the same evaluation counts as a repetition with any status."""
    assert [earlier.status for earlier in around(context, entry("Ada/Tiger", status=status)).same] == [status]


def test_another_spelling_of_the_precision_is_a_repetition(context: BoardContext) -> None:
    """A request with `FP16` in its path counts as the same evaluation as one with `float16`."""
    spelled = "ada/tiger_eval_request_False_FP16_Original.json"
    assert [same.path for same in around(context, entry("ada/tiger", path=spelled)).same] == [spelled]


def test_a_file_from_before_adoption_counts(context: BoardContext) -> None:
    """A request file from before the adoption counts as the same evaluation if its revision is the same commit."""
    old = entry("Ada/Tiger", sha=None, used=None, state="foreign")
    old = old.model_copy(update={"standing": old.standing.model_copy(update={"old": True})})
    assert around(context, old).same != ()


def test_the_same_weights_under_another_name_are_told(context: BoardContext) -> None:
    """A request with the same weights is a copy, unless it is private, refused, of the same model or has no digests."""
    weights = weights_digest(FACTS)
    assert len(weights) == 64
    assert [earlier.model for earlier in around(context, entry("eve/lion", weights=weights)).copies] == ["eve/lion"]
    assert around(context, entry("eve/lion", weights=weights, access="private")).copies == ()
    assert around(context, entry("eve/lion", weights=weights, status="FAILED", used=None)).copies == ()
    assert around(context, entry("eve/lion", weights=weights), id="eve/lion").copies == ()
    assert around(context, entry("eve/lion", weights=weights), files=(ModelFile("model.safetensors"),)).copies == ()


COUNTS: list[tuple[Callable[[], IndexEntry], bool]] = [
    (lambda: entry("ada/a", by="Grace"), True),
    (lambda: entry("ada/a", by="Grace", status="PENDING", state="waiting", used=None), True),
    (lambda: entry("ada/a", by="Grace", status="PENDING", state="new", used=None), False),
    (lambda: entry("ada/a", by="Grace", status="FAILED", failure=THEIRS), True),
    (lambda: entry("ada/a", by="Grace", status="FAILED", failure=OURS), False),
    (lambda: entry("ada/a", by="Grace", status="FAILED", failure=THEIRS, used=None), False),
    (lambda: entry("ada/a", by="Grace", status="CANCELLED", used=None), False),
    (lambda: entry("ada/a", by="Grace", days=7.1), False),
    (lambda: entry("ada/a", by="Grace", days=6.9), True),
]


@pytest.mark.parametrize(("make_entry", "counts"), COUNTS)
def test_a_quota_counts_neither_old_nor_refused_nor_lost_requests(
    context: BoardContext, make_entry: Callable[[], IndexEntry], counts: bool
) -> None:
    """Quotas count by submitter and by organisation in any letter case, but not what failed by the board's fault."""
    facts = around(context, make_entry())
    assert (facts.by_submitter, facts.by_organisation) == (int(counts), int(counts))
    assert around(context, asked=request("eve/lion"), by="heidi").by_submitter == 0


def test_what_was_accepted_once_is_not_counted_again(context: BoardContext) -> None:
    """A request that was accepted before is not checked against quotas and repetitions when it is judged again."""
    others = [entry(f"ada/m{number}", by="grace") for number in range(9)]
    again = request(steward={"attempt": 1, "spent": 1, "revision": SHA})
    facts = around(context, *others, entry("Ada/Tiger"), asked=again)
    assert (facts.by_submitter, facts.by_organisation, facts.same) == (0, 0, ())
    waits = entry("ada/tiger", status="PENDING", state="waiting", asked="main ")
    assert around(context, waits).by_submitter == 0


@pytest.mark.parametrize(
    ("own", "steward", "is_counted"),
    [
        (entry("ada/tiger", status="FAILED", used=None, sha=None), {"attempt": 1}, True),
        (entry("ada/tiger", status="FAILED"), {"attempt": 2, "spent": 1}, False),
        (entry("ada/tiger", status="RERUN", state="waiting", used=None, asked="main "), {"attempt": 1}, False),
        (entry("ada/tiger", used=None, sha=None), {"attempt": 1, "kept": {"revision": "main"}}, False),
    ],
    ids=["refused", "failed", "accepted since", "finished before adoption"],
)
def test_a_relaunch_lifts_no_refusal(
    context: BoardContext, own: IndexEntry, steward: dict[str, Any], is_counted: bool
) -> None:
    """A relaunched request is compared and counted like a new one if it was refused, but not if it was accepted."""
    others = (entry("ada/m", by="grace", weights=weights_digest(FACTS)), entry("Ada/Tiger"))
    facts = around(context, own, *others, asked=request(status="RERUN", steward=steward))
    assert (facts.by_submitter, len(facts.copies), len(facts.same)) == (is_counted,) * 3


def test_a_relaunch_of_a_failure_from_before_adoption_is_not_counted(context: BoardContext) -> None:
    """A relaunch of a failure from before the adoption is not checked against the quota; a new file over it is."""
    own = entry("ada/tiger", status="FAILED", used=None, sha=None)
    own = own.changed(standing=own.standing.as_old())
    other = entry("ada/m", by="grace")
    assert around(context, own, other, asked=request(status="RERUN", steward={"attempt": 1})).by_submitter == 0
    assert around(context, own, other, asked=request()).by_submitter == 1


def test_a_relaunch_at_another_commit_is_compared(context: BoardContext) -> None:
    """A relaunch at another commit is compared with other models' weights again, but not checked against the quota."""
    copy = entry("ada/m", by="grace", weights=weights_digest(FACTS))
    again = request(status="RERUN", steward={"attempt": 2, "spent": 1})
    assert len(around(context, copy, entry("ada/tiger", sha="b" * 40), asked=again).copies) == 1
    assert around(context, copy, entry("ada/tiger", sha="b" * 40), asked=again).by_submitter == 0
    assert around(context, copy, entry("ada/tiger"), asked=again).copies == ()


def test_after_redis_is_lost_nobody_is_refused_for_what_came_later(context: BoardContext) -> None:
    """After Redis is lost, a request that waited is judged as of its own time, and a new one as of now."""
    others = [entry(f"ada/m{number}", by="grace", days=1) for number in range(5)]
    before = entry("ada/tiger", days=3, state="new", sha=None, used=None, status="PENDING")
    assert around(context, *others, before).by_submitter == 0
    assert around(context, before.model_copy(update={"fresh": True})).by_submitter == 5


def test_flags_are_asked_for_by_every_name(context: BoardContext) -> None:
    """The bot looks up flags by the requested name, the current name, the names of copies, and the weights' digest."""
    asked: list[tuple[list[str], str]] = []
    flag = EarlierRequest("", "eve/lion", "contaminated", "http://flag")

    def flags(models: Any, weights: str, /) -> tuple[EarlierRequest, ...]:
        asked.append((list(models), weights))
        return (flag,)

    context.flags = flags
    weights = weights_digest(FACTS)
    assert around(context, entry("eve/lion", weights=weights), asked=request("ada/old-name")).flags == (flag,)
    assert asked == [(["ada/old-name", "ada/tiger", "eve/lion"], weights)]


def test_an_authors_opt_out_holds_under_every_name_of_the_model(context: BoardContext) -> None:
    """An opt-out of the name that the model has now also holds for a submission under an earlier name."""
    policy = context.board.admission.model_copy(update={"do_not_submit": ("ada/Tiger",)})
    context.board = context.board.model_copy(update={"admission": policy})
    assert around(context, asked=request("ada/old-name")).opted_out
    assert not around(context, id="ada/lion", asked=request("ada/lion")).opted_out


def test_a_base_models_opt_out_holds_under_every_name_of_the_model(context: BoardContext) -> None:
    """An opt-out in the board file or the flags repo also holds for a base model under an earlier name."""
    base = replace(FACTS, id="eve/root")
    policy = context.board.admission.model_copy(update={"do_not_submit": ("Eve/Root",)})
    board, context.board = context.board, context.board.model_copy(update={"admission": policy})
    facts = around(context, base_name="eve/old-root", base=base)
    assert (facts.opted_out, facts.base_opted_out) == (False, True)
    context.board = board
    assert not around(context, base_name="eve/old-root", base=base).base_opted_out
    context.flag_book = OptedOut(context.redis, context.keys, context.hub, lambda: context.mirror, None)
    facts = around(context, base_name="eve/old-root", base=base)
    assert (facts.opted_out, facts.base_opted_out) == (False, True)


class OptedOut(FlagBook):
    """A flag book in which the authors of `eve/root` have opted out."""

    def has_opted_out(self, models: Sequence[str]) -> bool:
        """Return whether `eve/root` is one of `models`."""
        return "eve/root" in models
