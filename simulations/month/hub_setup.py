"""The initial Hub of the month (accounts, repos, models and webhooks) and the board file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

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


def world(script: Script, webhook_url: str) -> dict[str, Any]:
    """Return the world file with which localhub starts."""
    people = [*map(name_of, range(script.scale.people)), *MAINTAINERS]
    accounts = {"bot": BOT, "form": FORM, "gpu": WORKER, "eyes": EYES, **{name: token_of(name) for name in people}}
    questions = {name: content.decode() for name, content in dataset_files().items()}
    watched = [{"type": "dataset", "name": name} for name in (REQUESTS, RESULTS, FLAGS)]
    hook = {"owner": "bot", "url": webhook_url, "secret": SECRET, "domains": ["repo", "discussion"]}
    return {
        "users": [{"name": n, "tokens": [{"token": token, "role": "write"}]} for n, token in accounts.items()],
        "orgs": [
            {"name": "month", "members": {"bot": "write", "form": "write", **dict.fromkeys(MAINTAINERS, "admin")}},
            {"name": DETAILS, "members": {"gpu": "write", "bot": "read"}},
            {"name": "steward-suites", "members": {}},
        ],
        "repos": [
            *({"type": "dataset", "id": name} for name in (REQUESTS, RESULTS, LOGS, FLAGS, CONTENTS)),
            {"type": "space", "id": SPACE, "sdk": "static"},
            {"type": "dataset", "id": "steward-suites/starter", "files": questions},
            *(_model(one) for one in script.submissions if KINDS[one.kind].files is not None),
        ],
        "webhooks": [{**hook, "watched": [*watched, {"type": "space", "name": SPACE}]}],
        "limits": "hub",
    }


def _model(one: Submission) -> dict[str, Any]:
    kind = KINDS[one.kind]
    # The Hub stores weights in LFS with their sha256, which identifies copies.
    files = {
        name: {"lfs": _encoded(content)} if name.endswith((".safetensors", ".bin")) else _encoded(content)
        for name, content in files_of(kind, one.number).items()
    }
    gated = {"gated": "manual"} if kind.gated else {}
    return {"type": "model", "id": one.model, "private": kind.private, "files": files, **gated}


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
