"""Carries out the steps that make the bot's Space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hub.client import Hub
from hub.records import Repo, WriteFile
from hub.spaces import SpaceVolume
from steward.bot_space.deciding import SpaceStep
from steward.bot_space.texts import EXISTS, step_line
from steward.bot_space.wanted import QUEUE_FOLDER, WantedSpace


def space_lines(hub: Hub, wanted: WantedSpace, steps: Sequence[SpaceStep], *, apply: bool) -> Iterator[str]:
    """Carry out the steps, or list them for a dry run; yield a line for each. Raises HubError."""
    space = Repo("space", wanted.id)
    if not steps:
        yield EXISTS.format(space=wanted.id)
    for step in steps:
        if apply:
            _act(hub, space, wanted, step)
        shown = "" if step.kind == "secret" else step.value or ", ".join(step.paths)
        yield step_line(step.kind, apply=apply, space=wanted.id, key=step.key, value=shown)


def _act(hub: Hub, space: Repo, wanted: WantedSpace, step: SpaceStep) -> None:
    match step.kind:
        case "create":
            hub.create_repo(space, sdk="docker", exist_ok=False)
        case "variable":
            hub.set_space_variable(space, step.key, step.value)
        case "secret":
            hub.set_space_secret(space, step.key, step.value)
        case "hardware":
            hub.request_space_hardware(space, step.value, wanted.sleep)
        case "bucket":
            hub.create_bucket(step.value)
        case "volume":
            volume = SpaceVolume.bucket(step.value, QUEUE_FOLDER)
            hub.set_space_volumes(space, (*hub.space_machine(space).volumes, volume))
        case "files":
            files = [WriteFile(path, wanted.files[path]) for path in step.paths]
            texts = [file.path for file in files if not file.path.endswith(".whl")]
            hub.commit(space, files, "Run the board's bot", regular=texts)
