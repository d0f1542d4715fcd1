"""Submissions of real models: a form commits them, the sync judges them, the request file holds the verdict."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd

import tests.support.models.tiny_models as models
from bot.model_facts.checking import gather_submission
from bot.requests.relaunching import relaunch
from bot.requests.submitting import SubmitCommand, submit
from hub.client import Hub
from hub.records import Repo, WriteFile
from leaderboard.admission.rules import judge
from leaderboard.boards import parse_board
from leaderboard.request_paths import RequestPath
from leaderboard.requests import Request, parse_request
from localhub.testing import LocalHub
from redis_state.board.entry import IndexEntry
from steward.testing.board import ADA, BOARD, REQUESTS, BoardDriver
from steward.testing.hub import board_world
from steward.valkey import Valkey
from tests.support.models.tiny_models import adapter, card, changed, tokenizer, whole, without

HEAD = BOARD.partition("# The models")[0] + "repos:" + BOARD.partition("repos:")[2]
POLICY = "admission: {quota: 2, official_providers: [ada]}\n"
WAITS = ""
MOST_CALLS = 11
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Case:
    """A model, how it is requested, and the expected code of the refusal, which is empty if the request waits."""

    name: str
    code: str
    files: Callable[[], Files]
    precision: str = "bfloat16"
    weight_type: str = "Original"
    asks: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def _fine(kind: str = "llama") -> Callable[[], Files]:
    return lambda: whole(kind)


def _with(**files: bytes) -> Callable[[], Files]:
    """A good model with other files; `__` stands for a dot."""
    return lambda: {**whole("llama"), **{name.replace("__", "."): content for name, content in files.items()}}


def _config(**fields: Any) -> Callable[[], Files]:
    return lambda: changed(whole("llama"), "config.json", **fields)


def _template(text: str | None) -> Callable[[], Files]:
    return lambda: changed(whole("llama"), "tokenizer_config.json", chat_template=text)


CHAT = {"use_chat_template": True}
LOOP = "{% for a in range(9999) %}"
FOREVER = 3 * LOOP + 3 * "{% endfor %}"
SHARD = "model-00002-of-00004.safetensors"
CASES = [
    *(Case(f"fine-{kind}", WAITS, _fine(kind)) for kind in models.KINDS),
    Case("fine-shards", WAITS, lambda: whole("llama", shards=True)),
    Case("fine-chat", WAITS, _fine(), asks=CHAT),
    Case("fine-4bit", WAITS, _fine(), precision="4bit"),
    Case("fine-adapter", WAITS, lambda: adapter("ada/fine-llama"), weight_type="Adapter", asks={"model_type": "chat"}),
    *(
        Case(name, code, partial(adapter, f"ada/{base}"), weight_type="Adapter", asks={"model_type": "chat"})
        for name, base, code in (
            ("circle-one", "circle-two", "base-is-adapter"),
            ("circle-two", "circle-one", "base-is-adapter"),
            ("circle", "circle", "base-is-itself"),
        )
    ),
    Case("cut-off", "weights-broken", lambda: {**whole("llama"), models.WEIGHTS: whole("llama")[models.WEIGHTS][:-99]}),
    Case("terabyte", "weights-broken", _with(model__safetensors=struct.pack("<Q", 10**12) + b"{}")),
    Case("lost-shard", "weights-incomplete", lambda: without(whole("llama", shards=True), SHARD)),
    Case("no-such-layer", "layers-missing", _config(num_hidden_layers=3)),
    Case("in-pickles", "weights-not-safetensors", lambda: {**without(whole("llama"), models.WEIGHTS), "w.bin": b"x"}),
    Case("many-words", "vocabulary-differs", lambda: {**whole("llama"), **tokenizer(models.VOCABULARY + 9)}),
    Case("other-end", "special-token-differs", _config(eos_token_id=7)),
    Case("wordless", "tokenizer-missing", lambda: without(whole("llama"), "tokenizer.json")),
    Case("garbled-words", "tokenizer-unreadable", _with(tokenizer__json=b"[" * 5_000)),
    Case("speechless", "template-missing", _template(None), asks=CHAT),
    Case("raising", "template-broken", _template("{{ raise_exception('no') }}"), asks=CHAT),
    Case("endless", "template-absurd", _template(FOREVER), asks=CHAT),
    Case("coded", "remote-code-needed", _config(auto_map={"AutoConfig": "x.Y"})),
    Case("snake", "python-files", _with(modeling_snake__py=b"print('hello')")),
    Case("peculiar", "unknown-architecture", _config(model_type="zork")),
    Case("classifier", "not-causal", _config(architectures=["LlamaForTokenClassification"])),
    Case("terse", "card-short", _with(README__md=card("Hello."))),
    Case("free", "licence-missing", _with(README__md=card(license=None))),
    Case("blend", "merge-undeclared", _with(README__md=card(tags=["merge"]))),
    Case("wide", "float32-only", lambda: whole("llama", dtype="float32"), precision="4bit"),
    Case("bare-adapter", "adapter-as-original", lambda: adapter("ada/fine-llama"), asks={"model_type": "chat"}),
    Case(
        "orphan",
        "base-model-not-found",
        lambda: adapter("ada/nobody"),
        weight_type="Adapter",
        asks={"model_type": "chat"},
    ),
]
PLAIN = Case("", WAITS, _fine())


OTHERS = ("copied", "quota-0", "quota-1", "quota-2", "quota-3")


def _named(name: str) -> Case:
    return replace(PLAIN, name=name)


def _stamped(files: Files, number: int) -> list[WriteFile]:
    """Return the files with `number` as the last weight of each, so that no two cases have the same weights."""
    writes = []
    for name, content in files.items():
        stamped = name.endswith(".safetensors") and len(content) > 200
        writes.append(WriteFile(name, content[:-2] + number.to_bytes(2, "little") if stamped else content))
    return writes


class Path:
    """A board with the default rules, and all cases as models on its Hub."""

    def __init__(self, hub: LocalHub, connection: redis.Redis) -> None:
        self.stand = BoardDriver(hub, connection)
        form = self.stand.form.whoami()["id"]
        self.stand.context.board = parse_board(f"{HEAD}{POLICY}front_ends: [{form}]\n")
        self.owner = Hub(hub.url, ADA)
        for number, case in enumerate(CASES):
            self.owner.commit(Repo("model", f"ada/{case.name}"), _stamped(case.files(), number), "Upload")

    def submit(self, *submissions: tuple[str, str, Case]) -> list[str]:
        """Have the form commit a request for each (model, submitter, case) and the sync judge it; return the paths."""
        written = [_request(*submission) for submission in submissions]
        operations = [CommitOperationAdd(path, content) for path, content in written]
        self.stand.form.create_commit(REQUESTS, operations, commit_message="Add", repo_type="dataset")
        self.stand.settle()
        paths = [path for path, _ in written]
        self.write(paths)
        return paths

    def write(self, paths: list[str]) -> None:
        """Wait until the edits of the files at `paths` have landed."""
        while any(map(self.stand.context.ledger.edits.is_pending, paths)):
            self.stand.time += 60  # several commits, one after the other
            self.stand.work()

    def relaunch(self, path: str) -> str:
        """Relaunch the request, have it judged again, and return why it was refused."""
        context = self.stand.context
        assert relaunch(context, context.index.get(path), cause="relaunch:1:c").how == "done"
        self.write([path])
        self.stand.settle()
        self.write([path])
        assert self.stand.file(path)["steward"]["causes"] == ["relaunch:1:c"]
        return self.cause(path)

    def cause(self, path: str) -> str:
        """Return the cause of the refusal, empty if the request waits."""
        file = self.stand.file(path)
        assert file["status"] == ("FAILED" if "failure" in file.get("steward", {}) else "PENDING")
        return str(file["steward"]["failure"]["cause"]) if file["status"] == "FAILED" else WAITS


def _request(name: str, sender: str, case: Case) -> tuple[str, bytes]:
    """Return the path and the content of the file that the form writes."""
    org, _, short = name.partition("/")
    path = RequestPath(org, short, False, case.precision, case.weight_type)
    fields = {"model": name, "status": "PENDING", "revision": "main", "sender": sender, "precision": case.precision}
    fields |= {"weight_type": case.weight_type, "model_type": "pretrained", "base_model": "", **case.asks}
    return str(path), json.dumps(fields).encode()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[Path]:
    """The board of all tests in this file; one commit submits every case, each for a different person."""
    people = board_world().org("ada__twin", {"ada": "admin"}).repo("model", "ada__twin/c").repo("model", "ada/twin__c")
    people.repo("model", "ada/sized")
    for case in (*CASES, *map(_named, OTHERS)):
        people.repo("model", f"ada/{case.name}")
    with redis.Redis.from_url(valkey.url) as connection, LocalHub(tmp_path_factory.mktemp("hub"), people) as hub:
        connection.flushall()
        admission_path = Path(hub, connection)
        admission_path.stand.tick()
        admission_path.submit(*((f"ada/{case.name}", f"person-{number}", case) for number, case in enumerate(CASES)))
        yield admission_path
        admission_path.stand.context.hub.close()
        admission_path.owner.close()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_submission_ends_in_its_verdict(path: Path, case: Case) -> None:
    """A valid model's request waits in the queue; a refused one's file holds the cause, a message and advice."""
    where, _ = _request(f"ada/{case.name}", "", case)
    assert path.cause(where) == case.code
    if case.code:
        failure = path.stand.file(where)["steward"]["failure"]
        assert failure["message"]
        assert failure["advice"]
    else:
        entry = path.stand.context.index.get(where)
        assert entry.state == "waiting"
        assert entry.parameters
        assert len(entry.weights) == 64


def test_a_worker_is_told_which_commit_of_the_base_model_was_accepted(path: Path) -> None:
    """The job of an adapter names its base model and the base model's commit at the time of admission."""
    where, _ = _request("ada/fine-adapter", "", _named("fine-adapter"))
    waiting = path.stand.context.index.get(where.replace("_Original", "_Adapter"))
    assert waiting.job is not None
    assert waiting.job.base_model == "ada/fine-llama"
    assert waiting.job.base_revision == path.owner.head(Repo("model", "ada/fine-llama"))


def _judged(path: Path, name: str, **asks: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Judge a submission without storing it; return the codes of the refusal and the calls of the Hub."""
    where, raw = _request(name, "", replace(PLAIN, **asks))
    request = parse_request(where, raw)
    assert isinstance(request, Request)
    path.stand.calls.clear()
    verdict = judge(gather_submission(path.stand.context, request, "somebody"))
    return [reason.code for reason in verdict.reasons], list(path.stand.calls)


@pytest.mark.parametrize("model", ["ada/fine-llama", "ada/fine-shards"])
def test_admission_costs_few_calls_and_no_weights(path: Path, model: str) -> None:
    """Judging a model takes at most eleven calls of the Hub, redirects to the store of large files included."""
    reasons, calls = _judged(path, model)
    assert reasons == []
    assert 6 <= len(calls) <= MOST_CALLS
    assert {route for _, route in calls} == {"info", "resolve"}


def _copy(path: Path) -> None:
    """Give `ada/copied` the weights of `ada/fine-mistral`."""
    number = [case.name for case in CASES].index("fine-mistral")
    path.owner.commit(Repo("model", "ada/copied"), _stamped(whole("mistral"), number), "Upload")


def test_the_same_weights_under_another_name_are_a_copy(path: Path) -> None:
    """The bot refuses a model with the weights of another one, also after a relaunch, and names the original."""
    _copy(path)
    (where,) = path.submit(("ada/copied", "copycat", PLAIN))
    assert path.cause(where) == path.relaunch(where) == "copy"
    assert "ada/fine-mistral" in path.stand.file(where)["steward"]["failure"]["message"]
    assert _judged(path, "ada/fine-mistral")[0] == []


def test_a_submission_by_the_bot_keeps_the_size_for_a_lost_redis(path: Path) -> None:
    """The request file that the bot writes holds the number of parameters in billions, as a front end's file does."""
    path.owner.commit(Repo("model", "ada/sized"), _stamped(whole("llama"), 3_000), "Upload")
    command = SubmitCommand("ada/sized", "main", "bfloat16", "Original", "", False, "Sizer", "id-of-sizer")
    submission = submit(path.stand.context, command, cause="test", may_resubmit=lambda _: False)
    assert submission.how == "submitted"
    while path.stand.context.ledger.edits.is_pending(submission.path):
        path.stand.time += 60
        path.stand.work()
    path.stand.settle()
    counted = path.stand.context.index.get(submission.path).parameters
    assert counted is not None
    assert path.stand.file(submission.path)["params"] == round(counted / 1e9, 6) > 0


def test_a_model_whose_details_another_models_dataset_holds_is_refused(path: Path) -> None:
    """`ada/twin__c` and `ada__twin/c` have the same details dataset: the bot accepts the first, refuses the second."""
    first, second = "ada/twin__c", "ada__twin/c"
    for number, name in enumerate((first, second)):
        path.owner.commit(Repo("model", name), _stamped(whole("qwen2"), 2_000 + number), "Upload")
    causes = [path.cause(*path.submit((name, f"owner of {name}", PLAIN))) for name in (first, second)]
    assert causes == [WAITS, "details-taken"]
    assert _judged(path, first)[0] == []


def test_a_submitter_has_a_quota_that_refusals_do_not_use_up(path: Path) -> None:
    """With a quota of two, one refusal uses up none of it: two more requests wait, and the next is refused."""
    for number, name in enumerate(OTHERS[1:]):
        path.owner.commit(Repo("model", f"ada/{name}"), _stamped(whole("qwen2"), 1000 + number), "Upload")
    asks = [replace(PLAIN, asks={"use_chat_template": True, "model_type": "merge"}), PLAIN, PLAIN, PLAIN]
    causes = []
    for name, how in zip(OTHERS[1:], asks, strict=True):
        (where,) = path.submit((f"ada/{name}", "Grace", how))
        causes.append(path.cause(where))
        path.stand.time += 60
    assert causes == ["category-no-merge", WAITS, WAITS, "quota-submitter"]
    assert path.relaunch(where) == "quota-submitter"


def test_after_redis_is_lost_the_same_verdicts_follow(path: Path) -> None:
    """After Redis is lost, waiting requests still wait, refused ones stay refused, and a copy still counts as one."""
    _copy(path)
    before = {entry.path: entry.state for entry in _entries(path)}
    path.stand.context.redis.flushall()
    path.stand.tick()
    path.stand.settle()
    after = {entry.path: entry.state for entry in _entries(path)}
    assert after == before
    assert {"waiting", "settled"} <= set(after.values())
    assert _judged(path, "ada/copied")[0] == ["copy"]


def _entries(path: Path) -> list[IndexEntry]:
    index = path.stand.context.index
    return [entry for entry in index.find(sorted(index.paths())) if entry is not None]
