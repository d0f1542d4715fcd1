"""The initial Hub of the month (accounts, repos, models and webhooks) and the board file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from localhub.testing import HubWorld
from simulations.month.models import KINDS, files_of
from simulations.month.processes import BOT, EYES, FORM, SECRET, WORKER
from simulations.month.schedule import Script, Submission, name_of
from workers.starter import dataset_files

REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS = (
    f"month/{name}" for name in ("requests", "results", "logs", "flags", "contents")
)
SPACE, DETAILS = "month/leaderboard", "month-details"
MAINTAINERS = ("mia", "max")


def token_of(person: str) -> str:
    """Return the token of a person."""
    return f"hf_{person}"


def world(script: Script, webhook_url: str) -> HubWorld:
    """Return the world with which localhub starts."""
    people = [*map(name_of, range(script.scale.people)), *MAINTAINERS]
    accounts = {"bot": BOT, "form": FORM, "gpu": WORKER, "eyes": EYES, **{name: token_of(name) for name in people}}
    watched = [("dataset", name) for name in (REQUESTS, RESULTS, FLAGS)]
    made = (
        HubWorld(limits="hub")
        .users(accounts)
        .org("month", {"bot": "write", "form": "write", **dict.fromkeys(MAINTAINERS, "admin")})
        .org(DETAILS, {"gpu": "write", "bot": "read"})
        .org("steward-suites")
        .datasets(REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS)
        .repo("space", SPACE, sdk="static")
        .repo("dataset", "steward-suites/starter", {name: data.decode() for name, data in dataset_files().items()})
        .webhook("bot", webhook_url, *watched, ("space", SPACE), secret=SECRET)
    )
    for submission in script.submissions:
        _add_model(made, submission)
    return made


def _add_model(world: HubWorld, submission: Submission) -> None:
    kind = KINDS[submission.kind]
    if kind.files is None:
        return
    # The Hub stores weights in LFS with their sha256, which identifies copies.
    files = {
        name: {"lfs": _encoded(content)} if name.endswith((".safetensors", ".bin")) else _encoded(content)
        for name, content in files_of(kind, submission.number).items()
    }
    gated = {"gated": "manual"} if kind.gated else {}
    world.repo("model", submission.model, files, private=kind.private, **gated)


def _encoded(content: bytes) -> Any:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def board(ids: Mapping[str, str], *, suite: str = "starter") -> dict[str, Any]:
    """Return the board file; `ids` holds the Hub's ids of the accounts."""
    return {
        "name": "month",
        "title": "A month in the life",
        "suite": suite,
        "effects": "on",
        "pull_requests": "merge",
        "front_ends": [ids["form"]],
        "maintainers": [ids[name] for name in MAINTAINERS],
        "admission": {"do_not_submit": ["person-000/never"]},
        "repos": {
            "requests": REQUESTS,
            "results": RESULTS,
            "logs": LOGS,
            "flags": FLAGS,
            "contents": CONTENTS,
            "community": SPACE,
            "details_namespace": DETAILS,
        },
    }
