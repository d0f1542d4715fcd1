"""Decides from facts which problems keep the bot's Space from being made, or which steps make it. Pure: no calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from hub.spaces import SpaceVolume
from leaderboard.boards import Board
from leaderboard.reasons import Problem, names
from steward.bot_space.facts import SetupFacts, SpaceFacts
from steward.bot_space.texts import PROBLEMS
from steward.bot_space.wanted import FREE_HARDWARE, QUEUE_FOLDER, WEBHOOK_SECRET, WantedSpace, is_space_id

StepKind = Literal["create", "variable", "secret", "hardware", "bucket", "volume", "files"]
SHORTEST_SLEEP, NEVER = 60, -1


@dataclass(frozen=True)
class SpaceStep:
    """One write to the Hub. `value` of a secret is never shown; `paths` are files."""

    kind: StepKind
    key: str = ""
    value: str = field(default="", repr=False)
    paths: tuple[str, ...] = ()


def suite_file_problems(path: str) -> Iterator[Problem]:
    """Yield why the board's own suite file cannot be copied into the image, whose Dockerfile names its path."""
    if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
        yield PROBLEMS["suite-file"].problem(path=path)
    if re.fullmatch(r"[\w./-]+", path) is None:
        yield PROBLEMS["suite-name"].problem(path=path)


def option_problems(board: Board, wanted: WantedSpace) -> Iterator[Problem]:
    """Yield what is wrong with the options and the board file, before the Hub is asked."""
    repos = board.repos
    if not is_space_id(wanted.id):
        yield PROBLEMS["space-name"].problem(name=wanted.id)
    elif repos.community_type == "space" and repos.community.lower() == wanted.id.lower():
        yield PROBLEMS["space-clash"].problem(name=wanted.id)
    if wanted.storage and not is_space_id(wanted.storage):
        yield PROBLEMS["storage"].problem(storage=wanted.storage)
    if wanted.sleep is not None and wanted.sleep < SHORTEST_SLEEP and wanted.sleep != NEVER:
        yield PROBLEMS["sleep-value"].problem(sleep=wanted.sleep)
    elif wanted.sleep is not None and wanted.hardware in ("", FREE_HARDWARE):
        yield PROBLEMS["sleep"].problem(hardware=FREE_HARDWARE)
    secret = wanted.secrets.get(WEBHOOK_SECRET, "")
    if not (secret.isascii() and secret.isprintable()):
        yield PROBLEMS["webhook-secret"].problem()
    roles = {
        "requests": repos.requests,
        "results": repos.results,
        "logs": repos.logs,
        "the private logs": repos.private_logs,
    }
    roles |= {name: repo for name, repo in (("flags", repos.flags), ("contents", repos.contents)) if repo}
    roles |= {"community": repos.community} if repos.community_type == "dataset" else {}
    for repo in dict.fromkeys(roles.values()):
        if len(same := [role for role, name in roles.items() if name.lower() == repo.lower()]) > 1 and _clash(same):
            yield PROBLEMS["repo-twice"].problem(repo=repo, roles=" and ".join(same))


def _clash(roles: list[str]) -> bool:
    """Whether one repo may not have these roles; only the requests or the results repo may also be the community's."""
    return not (len(roles) == 2 and roles[1] == "community" and roles[0] in ("requests", "results"))


def find_space_problems(facts: SetupFacts, board: Board, wanted: WantedSpace, *, generated: bool) -> Iterator[Problem]:
    """Yield what keeps the Space from being made. `generated`: the webhook secret is made in this run."""
    yield from _space_problems(facts, board, wanted, generated=generated)
    yield from _machine_problems(facts, wanted)
    for repo in facts.unwritable:
        yield PROBLEMS["repo-write"].problem(kind=repo.kind, repo=repo.id, account=facts.account)
    if facts.public_private_logs:
        yield PROBLEMS["logs-public"].problem(repo=board.repos.private_logs)
    for url in facts.other_servers:
        yield PROBLEMS["other-server"].problem(account=facts.account, repo=board.repos.requests, url=url)


def _space_problems(facts: SetupFacts, board: Board, wanted: WantedSpace, *, generated: bool) -> Iterator[Problem]:
    space, owner = facts.space, wanted.id.partition("/")[0]
    if not space.exists:
        if not facts.has_owner:
            yield PROBLEMS["space-no-owner"].problem(owner=owner)
        elif not facts.may_create:
            yield PROBLEMS["space-owner"].problem(account=facts.account, owner=owner)
        return
    if space.sdk != "docker":
        yield PROBLEMS["space-sdk"].problem(name=wanted.id, sdk=space.sdk or "none")
    if not space.writable:
        yield PROBLEMS["space-foreign"].problem(name=wanted.id)
        return
    if space.foreign:
        yield PROBLEMS["space-files"].problem(name=wanted.id, files=names(space.foreign))
    if space.board and space.board.lower() != board.repos.requests.lower():
        yield PROBLEMS["space-board"].problem(name=wanted.id, other=space.board)
    if generated and not wanted.new_secret and WEBHOOK_SECRET in space.secrets:
        yield PROBLEMS["space-secret"].problem(name=wanted.id)
    for key in sorted(space.variables.keys() & wanted.secrets.keys()):
        yield PROBLEMS["space-both"].problem(name=wanted.id, key=key)
    for key in sorted(space.secrets & wanted.variables.keys()):
        yield PROBLEMS["space-variable"].problem(name=wanted.id, key=key)


def _machine_problems(facts: SetupFacts, wanted: WantedSpace) -> Iterator[Problem]:
    owner = wanted.id.partition("/")[0]
    if wanted.hardware and wanted.hardware not in facts.hardware:
        known = ", ".join(sorted(facts.hardware))
        yield PROBLEMS["hardware"].problem(hardware=wanted.hardware, known=known)
    elif wanted.hardware not in ("", FREE_HARDWARE, facts.space.machine.hardware) and not facts.can_pay:
        yield PROBLEMS["hardware-pay"].problem(hardware=wanted.hardware, owner=owner)
    if not wanted.storage or _is_stored(facts.space, wanted):
        return
    if not facts.may_create_bucket:
        yield PROBLEMS["storage-owner"].problem(account=facts.account, bucket=wanted.storage)
    elif facts.bucket_is_public:
        yield PROBLEMS["storage-public"].problem(bucket=wanted.storage)
    for volume in facts.space.machine.volumes:
        if volume.path.rstrip("/") == QUEUE_FOLDER:
            words = {"name": wanted.id, "kind": volume.kind, "source": volume.source, "path": volume.path}
            yield PROBLEMS["storage-taken"].problem(**words)


def _is_stored(space: SpaceFacts, wanted: WantedSpace) -> bool:
    """Whether the queue server's data outlives a restart already: in the bucket, or in storage from before buckets."""
    return bool(space.machine.storage) or SpaceVolume.bucket(wanted.storage, QUEUE_FOLDER) in space.machine.volumes


def decide_steps(facts: SetupFacts, wanted: WantedSpace) -> list[SpaceStep]:
    """Return the steps that turn the Space into `wanted`, reversible ones first; none if the Space is that already.

    A secret that exists stays, because the Hub does not show its value, unless the operator asks for a new one.
    """
    space = facts.space
    steps = [] if space.exists else [SpaceStep("create")]
    steps += [SpaceStep("secret", key, value) for key, value in wanted.secrets.items() if key not in space.secrets]
    steps += [
        SpaceStep("variable", key, value)
        for key, value in wanted.variables.items()
        if space.variables.get(key) != value
    ]
    machine = space.machine
    sleeps = wanted.sleep is not None and wanted.sleep != machine.sleep
    if wanted.hardware and (wanted.hardware != (machine.hardware or FREE_HARDWARE) or sleeps):
        steps.append(SpaceStep("hardware", value=wanted.hardware))
    if wanted.storage and not _is_stored(space, wanted):
        steps += [] if facts.bucket_exists else [SpaceStep("bucket", value=wanted.storage)]
        steps.append(SpaceStep("volume", value=wanted.storage))
    if space.stale:
        steps.append(SpaceStep("files", paths=tuple(sorted(space.stale))))
    if wanted.new_secret:
        steps += [SpaceStep("secret", key, value) for key, value in wanted.secrets.items() if key in space.secrets]
    return steps
