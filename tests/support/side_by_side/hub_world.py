"""The Hub of boards that run side by side: users, repos, webhooks and OAuth apps, and the models to submit."""

from __future__ import annotations

from collections.abc import Sequence

from huggingface_hub import CommitOperationAdd, HfApi

from localhub.testing import HubWorld, LocalHub
from steward.testing.board import BOT, FORM, WORKER
from tests.support.board.predictions import lines
from tests.support.side_by_side.kinds import (
    ADA,
    ANSWERS,
    ANSWERS_ORG,
    BOB,
    BROKEN,
    CHEN,
    GOOD,
    BoardKind,
    answer_rows,
)
from workers.models import tiny_model

BOT_NAME, FORM_NAME, WORKER_NAME, MIA = "steward-bot", "board-form", "gpu", "mia"
SECRET, APP_SECRET = "s3cret", "the-app's-secret"
REPOS = ("requests", "results", "logs", "flags", "contents")
CARD = """---
license: apache-2.0
pipeline_tag: text-generation
---
# {name}

A model of one layer, with random weights. It knows nothing, and has to guess. It shows how a leaderboard treats what is
submitted to it, from the first check to the last score, and to the discussion that follows.
"""


def world(ports: dict[str, int], kinds: Sequence[BoardKind]) -> HubWorld:
    """The world of all boards: their users, organisations, repos, webhooks and OAuth apps."""
    made = HubWorld().users({BOT_NAME: BOT, FORM_NAME: FORM, WORKER_NAME: WORKER})
    for name in (MIA, ADA, BOB, CHEN):
        made.user(name)
    made.org(ANSWERS_ORG, {BOT_NAME: "read", MIA: "admin"})
    made.repo("dataset", ANSWERS, {"answers.jsonl": lines(answer_rows()).decode()}, private=True)
    for kind in kinds:
        made.org(kind.name, {MIA: "admin", BOT_NAME: "write", FORM_NAME: "write"})
        made.org(f"{kind.name}-details", {MIA: "admin", WORKER_NAME: "write", BOT_NAME: "read"})
        made.datasets(*(kind.repo(name) for name in REPOS))
        made.repo("space", kind.repo("leaderboard"), sdk="static")
        watched = [("dataset", kind.repo(name)) for name in ("requests", "flags")]
        url = f"http://127.0.0.1:{ports[kind.name]}"
        made.webhook(BOT_NAME, f"{url}/webhooks/hub", *watched, ("space", kind.repo("leaderboard")), secret=SECRET)
        app = {"clientId": f"{kind.name}-app", "clientSecret": APP_SECRET, "name": kind.name}
        made.setdefault("oauthApps", []).append({**app, "redirects": [f"{url}/signin/callback"]})
    for repo, files in {kind.questions: kind.files for kind in kinds}.items():
        made.repo("dataset", repo, {name: data.decode() for name, data in files.items()})
    return made


def upload_models(hub: LocalHub) -> None:
    """Upload models that work, each with its own weights, and a model with NaN weights."""
    for number, name in enumerate((*GOOD, BROKEN)):
        api = HfApi(hub.url, token=f"hf_{name.partition('/')[0]}")
        weights = tiny_model.tensors()
        kind, shape, _ = weights["model.norm.weight"]
        data = tiny_model.floats(shape[0], 1_000 + number)
        weights["model.norm.weight"] = (kind, shape, data if name != BROKEN else b"\0\0\xc0\x7f" * shape[0])
        files = {
            **tiny_model.model(),
            "model.safetensors": tiny_model.safetensors(weights),
            "README.md": CARD.format(name=name).encode(),
        }
        api.create_repo(name)
        api.create_commit(name, [CommitOperationAdd(path, data) for path, data in files.items()], commit_message="Add")
