"""The users of deploy/redis on a real queue server: the commands that each role is refused."""

from __future__ import annotations

import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from bot.ledger.edits import PutFile
from bot.ledger.store import EditStore
from hub.records import Repo
from redis_state import jobs
from redis_state.accepted_digests import AcceptedDigests, RefusedTasks
from redis_state.attempts import AttemptProgress, Attempts
from redis_state.board.mailbox import Message
from redis_state.board.messages import ApiSubmission, CheckQuestion, MaintainerAction
from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.dirty import DirtyKeys
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys
from redis_state.set_aside import SetAsideWorker, SetAsideWorkers
from steward.valkey import Valkey

ROLES = ("sync", "web", "worker")
KEYS, MINE, THEIRS = Keys("demo"), "0123456789ab-cccccccc-1", "ba9876543210-cccccccc-1"
READ_ALL = "return redis.call('KEYS', '*')"
READ_ONE = f"return redis.call('GET', '{KEYS.session('x')}')"

FOR_NOBODY = (
    ("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("MONITOR",),
    ("KEYS", "*"), ("SCAN", "0"), ("RANDOMKEY",), ("DBSIZE",), ("SELECT", "1"), ("SWAPDB", "0", "1"), ("SHUTDOWN",),
    ("SCRIPT", "FLUSH"), ("SCRIPT", "KILL"), ("SCRIPT", "DEBUG", "SYNC"), ("FUNCTION", "LIST"), ("SAVE",),
    ("REPLICAOF", "127.0.0.1", "1"), ("MIGRATE", "127.0.0.1", "1", "x", "0", "1"), ("CLIENT", "KILL", "ID", "1"),
    ("PUBLISH", "rq:pubsub:w", "{}"), ("SUBSCRIBE", "rq:pubsub:w"), ("SET", "of-somebody-else", "x"),
    ("GET", "of-somebody-else"), ("SET", Keys("other").born, "x"), ("PSUBSCRIBE", "__key*"),
    ("CLIENT", "TRACKING", "ON", "BCAST"), ("CLIENT", "TRACKING", "ON"), ("CLIENT", "CACHING", "YES"),
    ("SLOWLOG", "GET"), ("LATENCY", "LATEST"), ("PUBSUB", "CHANNELS"),
    ("OBJECT", "ENCODING", "of-somebody-else"), ("MEMORY", "STATS"), ("CLUSTER", "GETKEYSINSLOT", "0", "1"),
    ("EVAL", READ_ALL, "0"), ("EVAL", READ_ALL.replace("'KEYS', '*'", "'SCAN', 0"), "0"),
)  # fmt: skip
WITHOUT_KEYS = {
    *("auth", "hello", "ping", "echo", "quit", "reset", "select", "asking", "readonly", "readwrite", "wait", "waitaof"),
    *("time", "info", "multi", "exec", "discard", "unwatch", "script|load", "script|exists", "lolwut"),
    *(f"client|{name}" for name in ("setname", "setinfo", "getname", "id", "info", "list")),
    *(f"command|{name}" for name in ("count", "docs", "getkeys", "getkeysandflags", "help", "info", "list")),
}
"""The commands without keys that a role may run: none of them reveals the name of a key."""
FOR_NO_WORKER = (
    ("XRANGE", KEYS.inbox, "-", "+"), ("XADD", KEYS.inbox, "*", "body", "x"), ("GET", KEYS.delivery("x")),
    ("HGETALL", KEYS.edits("r")), ("HSET", KEYS.edits("r"), "e", "{}"), ("ZADD", KEYS.edit_order("r"), "1", "e"),
    ("HSET", KEYS.edit_repos, "e", "r"), ("SET", KEYS.edit_end("e"), "landed"), ("ZADD", KEYS.commits("r"), "1", "x"),
    ("GET", KEYS.session("x")), ("SET", KEYS.session("x"), "{}"), ("HSET", KEYS.message("errand", "x"), "asked", "{}"),
    ("HSET", KEYS.message("submission", "x"), "asked", "{}"),
    ("HSET", KEYS.message("question:check", "x"), "asked", "{}"),
    ("SET", KEYS.person("role board 1"), "admin"), ("GET", KEYS.person("user ada")), ("HDEL", KEYS.hub_state, "me"),
    ("HGETALL", KEYS.requests), ("HSET", KEYS.requests, "p", "{}"), ("HSET", KEYS.origins, "p", "{}"),
    ("SET", KEYS.head("r"), "a"), ("HSET", KEYS.flags, "name x", "[]"), ("HSET", KEYS.pauses, "file", "{}"),
    ("HSET", KEYS.decisions, "d", "{}"), ("HSET", KEYS.scores, "p", "{}"), ("DEL", KEYS.waiting),
    ("HDEL", KEYS.dirty_leases, "k"), ("HDEL", KEYS.parked, "k"), ("HSET", KEYS.adoption, "record", "{}"),
    ("XADD", KEYS.shadow, "*", "would", "{}"), ("INCRBY", KEYS.edit_number, "1"), ("SET", "rq:suspended", "1"),
    ("LPUSH", "rq:queue:default", "x"), ("EVAL", READ_ONE, "0"), ("EVAL", "return 1", "1", KEYS.session("x")),
    ("RENAME", KEYS.attempts, KEYS.requests), ("SET", KEYS.attempt(MINE), "x"), ("DEL", KEYS.attempt(MINE)),
    ("DEL", KEYS.dirty), ("ZREM", KEYS.dirty, "k"), ("HSET", KEYS.dirty_generations, "k", "x"), ("SET", KEYS.wake, "x"),
    ("DEL", KEYS.workers), ("SET", KEYS.claims, "x"), ("DEL", f"rq:queue:{KEYS.queue('small')}"),
    ("COPY", KEYS.inbox, KEYS.attempts), ("HSET", KEYS.accepted_digests("s"), "accepted:x", "operator"),
    ("HGETALL", KEYS.refused_tasks("s")), ("HSET", KEYS.set_aside, "w", "{}"), ("HDEL", KEYS.set_aside, "w"),
)  # fmt: skip
FOR_NO_WEB_SERVER = (
    ("HSET", KEYS.edits("r"), "e", "{}"), ("HSET", KEYS.edit_repos, "e", "r"), ("SET", KEYS.edit_end("e"), "landed"),
    ("HSET", KEYS.attempt(MINE), "outcome", "{}"), ("ZREM", KEYS.attempts, MINE), ("RPUSH", KEYS.claim(MINE), "x"),
    ("HSET", KEYS.requests, "p", "{}"), ("HSET", KEYS.origins, "p", "{}"), ("SET", KEYS.head("r"), "a"),
    ("SET", KEYS.person("role board 1"), "admin"), ("HSET", KEYS.flags, "name x", "[]"), ("DEL", KEYS.waiting),
    ("HSET", KEYS.pauses, "file", "{}"), ("HSET", KEYS.decisions, "d", "{}"),
    ("HSET", KEYS.hub_state, "answered", "x"), ("DEL", KEYS.dirty), ("HSET", KEYS.dirty_generations, "k", "x"),
    ("HDEL", KEYS.parked, "k"), ("HDEL", KEYS.dirty_leases, "k"), ("HSET", KEYS.workers, "w", "{}"),
    ("SET", KEYS.wake, "x"), ("HSET", "rq:job:x", "data", "{}"), ("HGETALL", "rq:job:x"),
    ("RPUSH", f"rq:queue:{KEYS.queue('small')}", "x"),
)  # fmt: skip
REFUSED = [
    *((role, words) for role in ROLES for words in FOR_NOBODY),
    *(("worker", words) for words in FOR_NO_WORKER),
    *(("web", words) for words in FOR_NO_WEB_SERVER),
]


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A folder with the users of the board `demo` and their addresses."""
    folder: Path = tmp_path_factory.mktemp("users")
    subprocess.run([project / "deploy/redis/make-users.sh", "demo", folder, "redis://HERE/0"], check=True)
    return folder


@pytest.fixture(scope="module")
def clients(users: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, redis.Redis]]:
    """A client of each role, of one server."""
    with (users / "users.acl").open("a") as file:
        file.write("user root on nopass ~* &* +@all\n")
    with Valkey(tmp_path_factory.mktemp("roles"), users=users / "users.acl") as server:
        by_role = {"root": redis.Redis("127.0.0.1", server.port, username="root", password="x", protocol=2)}
        for role in ROLES:
            url = (users / f"redis-url-{role}").read_text().strip().replace("HERE", f"127.0.0.1:{server.port}")
            by_role[role] = redis.Redis.from_url(url)
        by_role["stranger"] = redis.Redis("127.0.0.1", server.port)
        yield by_role
        for client in by_role.values():
            client.close()


NO = r"(?i)no permissions|ACL failure in script|user executing the script can't"
"""A refusal in the wording of each server version: Redis 7 has its own for scripts."""


def test_what_a_role_does_not_need_it_is_refused(clients: dict[str, redis.Redis]) -> None:
    """No role runs dangerous commands; workers read no inbox and stage no edit; web servers write no outcome."""
    for role, words in REFUSED:
        with pytest.raises(ResponseError, match=NO):
            clients[role].execute_command(*words)
            pytest.fail(f"{role} may {' '.join(words)}")


def test_no_command_without_keys_tells_of_keys(clients: dict[str, redis.Redis]) -> None:
    """Of this server's commands that take no keys, a role may run only those that are known to reveal no names."""
    root = clients["root"]
    root.response_callbacks.clear()
    waiting = root.execute_command("COMMAND")
    allowed = set()
    while waiting:
        command = waiting.pop()
        name, arity, key_specifications, subcommands = command[0].decode(), command[1], command[8], command[9]
        waiting += subcommands
        words = [*name.split("|"), *["1"] * abs(arity)][: max(abs(arity), 1 + name.count("|"))]
        if key_specifications or subcommands:
            continue
        for role in ROLES:
            if root.execute_command("ACL", "DRYRUN", f"steward-{role}", *words) == b"OK":
                allowed.add(name)
    assert allowed <= WITHOUT_KEYS, sorted(allowed - WITHOUT_KEYS)
    assert {"ping", "client|list", "script|load", "multi"} <= allowed


def test_a_worker_can_neither_stage_an_edit_nor_read_one(clients: dict[str, redis.Redis]) -> None:
    """The server refuses a worker that stages or reads edits."""
    ours, theirs = EditStore(clients["sync"], KEYS), EditStore(clients["worker"], KEYS)
    repo, edit = Repo("dataset", "b/r"), PutFile(id="e", path="x", data=b"", line="Add x")
    assert ours.stage(repo, [edit], due=1) == 1
    with pytest.raises(NoPermissionError):
        theirs.stage(repo, [edit], due=1)
    with pytest.raises(NoPermissionError):
        list(theirs.read(repo))
    assert [staged.edit for staged in ours.read(repo)] == [edit]


def test_a_worker_can_all_that_its_work_needs(clients: dict[str, redis.Redis]) -> None:
    """A worker may announce itself, take, beat, hand back, run a canary and mark keys."""
    client = clients["worker"]
    attempts, canaries = Attempts(client, KEYS), Canaries(client, KEYS, "starter")
    WorkerRegistry(client, KEYS).announce(WorkerCard(name="w", tiers=("all",), since=1, beat=1))
    assert attempts.take(MINE, "p", "w", now=1)
    assert attempts.beat(MINE, AttemptProgress("load"), now=2, worker="w", path="p")
    attempts.hand_back(MINE, worker="w")
    Canaries(clients["sync"], KEYS, "starter").ask("load-failed")
    assert canaries.take("w") == "load-failed"
    canaries.release("w")
    assert canaries.report("w", CanaryVerdict(cause="load-failed", worker="w"))
    DirtyKeys(client, KEYS).mark("request:p", due=1)
    assert clients["sync"].zscore(KEYS.dirty, "request:p") is not None
    assert attempts.wait_for_claim(MINE, seconds=0.01, worker="w") is None


def test_jobs_are_taken_out_of_the_queue_by_the_workers_account_alone(clients: dict[str, redis.Redis]) -> None:
    """The web server's account may not take a job out of a queue; the workers' account may."""
    job = jobs.EvaluationJob(
        board="demo", attempt=MINE, path="p", model="ada/good", revision="c" * 40, precision="float32",
        weight_type="Original", suite="starter", suite_digest="d" * 64,
    )  # fmt: skip
    name = KEYS.queue("small")
    jobs.enqueue(clients["sync"], name, job, timeout=60)
    with pytest.raises(NoPermissionError):
        jobs.take_out(clients["web"], [name], MINE)
    assert jobs.take_out(clients["worker"], [KEYS.queue("large"), name], MINE) == job
    attempts = Attempts(clients["worker"], KEYS)
    attempts.take(MINE, "p", "w", now=1)
    assert attempts.read(MINE) is not None
    attempts.drop(MINE)


def test_a_worker_may_say_that_it_waits_and_accepts_nothing(clients: dict[str, redis.Redis]) -> None:
    """A worker records that it waits but cannot accept its own tasks; a user without access to the keys never waits."""
    board, worker, unknown = (AcceptedDigests(clients[name], KEYS, "s") for name in ("sync", "worker", "stranger"))
    refused = RefusedTasks(worker="w", fingerprint=f"{'a' * 16}-{'b' * 16}", differences=("a module differs",), at=1.0)
    worker.refuse(refused)
    assert worker.must_wait("w") and board.waiting() == [refused] and worker.read().permitted
    with pytest.raises(NoPermissionError):
        worker.accept(refused.fingerprint)
    board.accept(refused.fingerprint)
    assert worker.read().fingerprints == {refused.fingerprint} and not worker.must_wait("w")
    assert not unknown.read().permitted and not unknown.read().fingerprints and not unknown.must_wait("w")


def test_a_worker_may_ask_whether_it_is_set_aside(clients: dict[str, redis.Redis]) -> None:
    """A worker reads whether the bot set it aside; a user without access to this key counts as not set aside."""
    board, worker, unknown = (SetAsideWorkers(clients[name], KEYS) for name in ("sync", "worker", "stranger"))
    aside = SetAsideWorker(worker="w", attempt=MINE, path="p", reason="its samples give another score", at=1.0)
    assert board.put(aside) and not board.put(aside.model_copy(update={"reason": "another"}))
    assert worker.includes("w") and not worker.includes("v") and not unknown.includes("w")
    assert board.all() == [aside]


def test_a_worker_takes_cross_checks_from_its_own_queue(clients: dict[str, redis.Redis]) -> None:
    """A worker takes cross-checks from its own queue, but cannot read the bot's record of drawn questions."""
    queue = f"rq:queue:{KEYS.worker_queue('host-1-abc')}"
    assert clients["sync"].rpush(queue, MINE) == 1
    assert clients["worker"].lpop(queue) == MINE.encode()
    assert clients["sync"].set(KEYS.cross_check(MINE), "{}")
    with pytest.raises(NoPermissionError):
        clients["worker"].get(KEYS.cross_check(MINE))


def test_a_client_without_a_password_may_only_ping(clients: dict[str, redis.Redis]) -> None:
    """A client without a password may ping the server, and no more."""
    assert clients["stranger"].ping()
    for words in (("INFO",), ("GET", KEYS.born), ("CLIENT", "LIST"), ("EVAL", "return 1", "0")):
        with pytest.raises(NoPermissionError):
            clients["stranger"].execute_command(*words)
    with pytest.raises(AuthenticationError):
        clients["stranger"].execute_command("AUTH", "steward-sync", "guessed")


def _stored_kinds(kind: type[Message]) -> list[type[Message]]:
    """All kinds of messages that have a key."""
    below = [stored for each in kind.__subclasses__() for stored in _stored_kinds(each)]
    return ([kind] if hasattr(kind, "KEY") else []) + below


@pytest.mark.parametrize("kind", _stored_kinds(Message), ids=lambda kind: kind.__name__)
def test_the_web_server_may_store_every_kind_of_message(clients: dict[str, redis.Redis], kind: type[Message]) -> None:
    """The web server's user may store each kind of message, and mark the key of the sync that answers it."""
    assert clients["web"].hset(KEYS.message(kind.KEY, "x"), "asked", "{}") == 1
    DirtyKeys(clients["web"], KEYS).mark(f"{kind.KIND}:x", due=1.0)


def test_every_key_that_the_file_names_is_one_of_ours(project: Path) -> None:
    """Each key in the file of users exists in `redis_state.keys`, or is that of a kind of messages."""
    keys = set(re.findall(r'(?:self\.key|BoardKey|BoardKeyOf)\("([a-z-]+)"', inspect.getsource(Keys)))
    keys |= {kind.KEY.partition(":")[0] for kind in (CheckQuestion, ApiSubmission, MaintainerAction)}
    named = re.findall(r"~steward:1:BOARD:([a-z-]+)", (project / "deploy/redis/users.acl").read_text())
    assert len(set(named)) > 15 and set(named) <= keys, set(named) - keys


def test_the_maker_of_users_takes_no_strange_name(project: Path, tmp_path: Path) -> None:
    """`make-users.sh` refuses a board name that would add words to the rules."""
    script = project / "deploy/redis/make-users.sh"
    for name in ("", "a b", "a\nuser x on nopass +@all ~*", "a/b", "*"):
        process = subprocess.run([script, name, tmp_path / "users"], capture_output=True, text=True)
        assert (process.returncode, "is not the name of a board" in process.stderr) == (2, True), name
    assert not (tmp_path / "users").exists()
