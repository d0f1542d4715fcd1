"""Is everything in place that a board needs? One line for each thing, and how to mend it.

Nothing is changed by looking. That a worker's token may not write is tried with a commit on a parent that is not the
branch's head: where the Hub would take it, it answers that the parent is stale, and nothing lands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import redis

from bot import doctor_machine, doctor_rights
from bot.consistency import disagreements
from bot.desk import Desk
from bot.findings import Check, Checks, State
from bot.history import MAX_BYTES, FileChange, changes, status_in
from bot.mirror_folder import MirrorDamaged, UnusableFolder, trouble_with
from bot.sync.kept import missing_results
from bot.sync.reconcile import thread_repos, watched
from hub.client import Hub
from hub.errors import BadToken, Denied, HubError, NotFound, RepoNotFound
from hub.records import Put, Repo
from leaderboard.adoption import RECORD, BadRecord, parse_record
from leaderboard.effects import Effect, Mode
from leaderboard.requests import is_request_path
from wire.clock import iso

if TYPE_CHECKING:
    from bot.mirror import View

QUIET = 24 * 3600.0
"""Seconds for which nobody else may have changed a status before effects are switched on."""
DRIFT, MUCH_DRIFT = 5.0, 60.0
NEVER = "0" * 40
OTHERS_MEND = "Stop what else evaluates for this board, and leave edits in shadow until a day has passed without it."
ENDS = ("FINISHED", "FAILED", "PENDING_NEW_EVAL", "CANCELLED")


def examine(desk: Desk, *, worker: Hub | None = None, switching_on: bool = False) -> list[Check]:
    """All checks. `worker` is the Hub in the name of the workers' token, where that is known.

    With `switching_on`, what would forbid to switch edits on is an error, though they are not on yet.
    """
    on = switching_on or desk.effects.mode(Effect.EDIT) is Mode.ON
    parts: list[tuple[str, Callable[[], Checks]]] = [
        ("token", lambda: _token(desk)),
        ("repos", lambda: _repos(desk)),
        ("rights", lambda: doctor_rights.bot_rights(desk, on=on)),
        ("worker token", lambda: _worker(desk, worker)),
        ("worker details", lambda: doctor_rights.worker_rights(desk, worker)),
        ("logs", lambda: doctor_rights.hidden_logs(desk)),
        ("details", lambda: _details(desk)),
        ("webhooks", lambda: _webhooks(desk)),
        ("webhook address", lambda: doctor_machine.hook_addresses(desk)),
        ("redis", lambda: _redis(desk)),
        ("redis version", lambda: doctor_machine.queue_server(desk)),
        ("clock", lambda: _clock(desk)),
        ("disk", lambda: doctor_machine.disk(desk.mirror.root)),
        ("mirrors", lambda: _mirrors(desk)),
        ("workers", lambda: doctor_machine.workers(desk)),
        ("effects", lambda: _effects(desk)),
        ("adoption", lambda: _adoption(desk, on=on)),
        ("other accounts", lambda: _others(desk, on=on)),
        ("results", lambda: _results(desk)),
    ]
    return [check for name, part in parts for check in _looked_at(name, part)]


def agreement(desk: Desk) -> list[Check]:
    """Whether the board's repos agree with each other, file by file: an error for each disagreement."""
    return list(_looked_at("consistency", lambda: _agreement(desk)))


def _agreement(desk: Desk) -> Checks:
    found = disagreements(desk)
    for one in found:
        yield Check("consistency", "error", f"{one.path}: {one.words} ({one.what})", "Look at that file, then mend it.")
    if not found:
        yield Check("consistency", "ok", "Requests, results, flags and the table agree with each other.")


def against_switching_on(desk: Desk) -> list[Check]:
    """What forbids to switch an effect on now: another account at work on the queue, or a past without a record."""
    parts: list[tuple[str, Callable[[], Checks]]] = [
        ("mirrors", lambda: _mirrors(desk)),
        ("adoption", lambda: _adoption(desk, on=True)),
        ("other accounts", lambda: _others(desk, on=True)),
    ]
    checks = [check for name, part in parts for check in _looked_at(name, part)]
    return [check for check in checks if check.state == "error"]


def _looked_at(name: str, part: Callable[[], Checks]) -> Checks:
    try:
        yield from part()
    except (HubError, MirrorDamaged, UnusableFolder, redis.ResponseError) as error:
        yield Check(name, "error", f"Could not be looked at: {error}", "Mend what is above, and look again.")


def _token(desk: Desk) -> Checks:
    try:
        me = desk.hub.whoami()
    except BadToken as error:
        yield Check("token", "error", str(error), "Put a valid token into STEWARD_BOT_TOKEN or STEWARD_BOT_TOKEN_FILE.")
    else:
        yield Check("token", "ok", f"The bot is {me.name}.")


def _repos(desk: Desk) -> Checks:
    for repo in _shared(desk):
        if desk.hub.repo_exists(repo):
            yield Check("repos", "ok", f"The {repo.kind} {repo.id} can be read.")
        else:
            mend = "Make it, let the bot's account in, or mend its name in the board file."
            yield Check("repos", "error", f"There is no {repo.kind} {repo.id} that the bot may see.", mend)


def _shared(desk: Desk) -> list[Repo]:
    """The repos that only the bot may write to."""
    flags = [desk.flags_repo] if desk.flags_repo is not None else []
    contents = [desk.contents] if desk.contents is not None else []
    return [desk.requests, desk.results, desk.logs, *flags, *contents, desk.community]


def _worker(desk: Desk, worker: Hub | None) -> Checks:
    if worker is None:
        yield Check(
            "worker token",
            "warning",
            "Nobody said what the workers' token is, so nobody knows what it may write.",
            "Run this with STEWARD_WORKER_TOKEN or STEWARD_WORKER_TOKEN_FILE set.",
        )
        return
    for repo in _shared(desk):
        mend = f"Give workers a token of an account that may write to {desk.board.repos.details_namespace} alone."
        match _may_write(worker, repo):
            case None:
                yield Check("worker token", "ok", f"It may not write to {repo.id}.")
            case words:
                yield Check("worker token", "error", f"It may write to {repo.id}, as far as can be told: {words}", mend)


def _may_write(hub: Hub, repo: Repo) -> str | None:
    """What the Hub said to a commit that cannot land; None where it was refused for want of permission."""
    try:
        hub.commit(repo, [Put(".steward/never", b"")], "Never", parent=NEVER, regular=[".steward/never"])
    except BadToken as error:
        return str(error)
    except (Denied, RepoNotFound):
        return None
    except HubError as error:  # above all StaleParent: it got that far
        return str(error)
    return "it wrote."


def _details(desk: Desk) -> Checks:
    """What a private or gated model answered lies in a private repo, and the bot has to read the results there."""
    namespace, policy = desk.board.repos.details_namespace, desk.board.admission
    if not (policy.gated_models or policy.private_models):
        yield Check("details", "ok", "Every model is public here, and so are its details.")
    elif namespace.lower() in {desk.me().name.lower(), *desk.hub.organisations()}:
        yield Check("details", "ok", f"The bot can read private repos of {namespace}.")
    else:
        words = (
            f"The details of gated or private models lie in private repos of {namespace}, which the bot cannot read."
        )
        mend = "Make the bot a member of it with the role read, or take neither: `admission: {gated_models: false}`."
        yield Check("details", "warning", words, mend)


def _webhooks(desk: Desk) -> Checks:
    hooks = desk.hub.webhooks()
    for repo in thread_repos(desk):
        for domain in ("repo", "discussion") if repo == desk.requests else ("discussion",):
            told = [hook for hook in hooks if domain in hook.domains and repo in watched(desk, hook)]
            what = f"{'commits to' if domain == 'repo' else 'comments in'} {repo.id}"
            if not told:
                mend = "Make one that watches this repo, with STEWARD_WEBHOOK_SECRET, to this server's /webhooks/hub."
                yield Check("webhooks", "warning", f"No webhook tells of {what}; the bot polls.", mend)
            elif all(hook.disabled for hook in told):
                mend = "It is switched on again by itself while `steward sync` runs; else do so in the Hub's settings."
                yield Check("webhooks", "error", f"The webhook that tells of {what} is {told[0].disabled}.", mend)
            else:
                yield Check("webhooks", "ok", f"A webhook tells of {what}.")


def _redis(desk: Desk) -> Checks:
    try:
        persistence, memory = desk.redis.info("persistence"), desk.redis.info("memory")
    except redis.ResponseError as error:
        yield Check("redis", "warning", f"It does not say how it is set up: {error}", "Look at its settings yourself.")
        return
    if int(persistence.get("aof_enabled", 0)):
        yield Check("redis", "ok", "Every write is kept in an append-only file.")
    else:
        mend = "Set `appendonly yes`."
        yield Check("redis", "error", "What was acknowledged is lost with the process: no append-only file.", mend)
    policy = str(memory.get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        yield Check("redis", "ok", "It evicts nothing.")
    else:
        mend = "Set `maxmemory-policy noeviction`."
        yield Check("redis", "error", f"It may throw away what is still needed ({policy}).", mend)


def _clock(desk: Desk) -> Checks:
    seconds, micros = desk.redis.time()
    yield _drift("Redis", desk.now() - seconds - micros / 1e6)
    answer = desk.hub.session.send("GET", f"{desk.requests.api}/refs", route="refs")
    if date := answer.headers.get("date"):
        yield _drift("the Hub", desk.now() - parsedate_to_datetime(date).timestamp())


def _drift(other: str, seconds: float) -> Check:
    state: State = "ok" if abs(seconds) <= DRIFT else "warning" if abs(seconds) <= MUCH_DRIFT else "error"
    how = "agrees with" if state == "ok" else f"is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
    return Check("clock", state, f"Our clock {how} that of {other}.", "" if state == "ok" else "Run an NTP client.")


def _mirrors(desk: Desk) -> Checks:
    folder = desk.mirror.root
    if trouble := trouble_with(folder):
        mend = f"Run `chmod 700 {folder}` as its owner, or name a folder of this account alone in STEWARD_MIRRORS."
        yield Check("mirrors", "error", trouble, mend)
    else:
        yield Check("mirrors", "ok", f"Clones lie in {folder}, which nobody else can write to.")


def _effects(desk: Desk) -> Checks:
    kinds = {mode: [kind for kind in Effect if desk.effects.mode(kind) is mode] for mode in reversed(Mode)}
    said = "; ".join(f"{mode}: {', '.join(named)}" for mode, named in kinds.items() if named)
    yield Check("effects", "ok", f"{said[0].upper()}{said[1:]}.")


def _adoption(desk: Desk, *, on: bool) -> Checks:
    file = desk.hub.find_file(desk.requests, RECORD)
    if file is None:
        yield _not_adopted(desk, on=on)
        return
    try:
        record = parse_record(file.data)
    except BadRecord as error:
        yield Check("adoption", "error", str(error), "Run `steward adopt --again`, or restore the file.")
        return
    commit = record.commit(desk.requests.id)
    try:
        known = bool(commit and desk.hub.commits(desk.requests, commit, limit=1))
    except NotFound:
        known = False
    if known:
        words = f"Adopted at {record.at} by {record.by.name}: {record.files:,} older requests are left in peace."
        yield Check("adoption", "ok", words)
    else:
        mend = "Run `steward adopt --again`: all that is there by then counts as old."
        yield Check("adoption", "error", "The commit of adoption is not in the history any more.", mend)


def _not_adopted(desk: Desk, *, on: bool) -> Check:
    """Without a record nothing is old. That is right for a new board, and for no other."""
    head = desk.mirror.fetch(desk.requests, depth=1)
    with desk.mirror.read(desk.requests) as view:
        older = sum(_ended_without_us(view, blob.oid) for blob in view.files(head) if is_request_path(blob.path))
    if not older:
        return Check("adoption", "ok", "There is nothing here from before Steward.")
    words = f"{older:,} requests ended without Steward, and the board was not adopted: all of them count as new."
    return Check("adoption", "error" if on else "warning", words, "Run `steward adopt` before effects are switched on.")


def _ended_without_us(view: View, oid: str | None) -> bool:
    data = view.blob(oid, max_bytes=MAX_BYTES) if oid is not None else None
    status = status_in(data)
    return data is not None and status in ENDS and b'"steward"' not in data


def _others(desk: Desk, *, on: bool) -> Checks:
    me, ours = desk.me(), dict[str, bool]()
    found: dict[str, list[FileChange]] = {}
    for change in changes(desk, since=desk.now() - QUIET):
        if not change.changes_status or change.author == me.name:
            continue
        if change.author not in ours:
            ours[change.author] = _is_front_end(desk, change.author)
        if not ours[change.author]:
            found.setdefault(change.author, []).append(change)
    for author, made in found.items():
        yield Check("other accounts", "error" if on else "warning", _told(author, made), OTHERS_MEND)
    if not found:
        yield Check("other accounts", "ok", "Nobody but the bot and the board's forms changed a status within a day.")


def _told(author: str, made: Sequence[FileChange]) -> str:
    last = made[0]
    when = f" at {iso(last.date.timestamp())}" if last.date is not None else ""
    words = f"{author} changed {len(made)} statuses within a day"
    return f"{words}, the last{when}: {last.path} {last.before} → {last.after}."


def _is_front_end(desk: Desk, name: str) -> bool:
    try:
        return desk.hub.user(name).id in desk.board.front_ends
    except NotFound:
        return False


def _results(desk: Desk) -> Checks:
    """Whether what was finished still has its results."""
    gone = missing_results(desk)
    if not gone:
        yield Check("results", "ok", "Every request that was finished here has its results.")
        return
    request, results = gone[0]
    words = f"The results of {len(gone):,} finished requests are gone from {desk.results.id}: {results} of {request}"
    mend = "Revert the commit that removed them; or, if they are to be gone, set their requests to CANCELLED."
    yield Check("results", "warning", f"{words}{' first' if len(gone) > 1 else ''}.", mend)
