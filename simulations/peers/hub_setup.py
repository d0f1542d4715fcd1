"""The Hub that all peers share: a board for each, the same models, and a form that submits to all boards."""

from __future__ import annotations

import json
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from simulations.peers.environment import EPOCH, Lab, Life
from simulations.peers.scenario import Scenario, Submission

FORM = "hf_form"
REPOS = ("requests", "results", "logs")
DOMAINS = ["repo", "discussion"]
CONFIG = json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})


def world(scenario: Scenario, boards: list[str], tokens: dict[str, str], webhook: str) -> dict[str, Any]:
    """Return a world with the accounts (name → token), the boards' repos, the models, and Steward's webhook."""
    owners = sorted({model.partition("/")[0] for model in scenario.models})
    files = {"README.md": "# A model\n", "config.json": CONFIG, "model.safetensors": "x"}
    members = {"form": "write", **dict.fromkeys(tokens, "write")}
    watched = [{"type": "dataset", "name": "steward/requests"}, {"type": "space", "name": "steward/space"}]
    return {
        "users": [
            *({"name": name, "tokens": [{"token": token, "role": "write"}]} for name, token in tokens.items()),
            {"name": "form", "tokens": [{"token": FORM, "role": "write"}]},
        ],
        "orgs": [
            *({"name": name, "members": members} for board in boards for name in (board, f"{board}-details")),
            *({"name": owner} for owner in owners),
        ],
        "repos": [
            *({"type": "dataset", "id": f"{board}/{name}"} for board in boards for name in REPOS),
            *({"type": "space", "id": f"{board}/space", "sdk": "static"} for board in boards),
            *({"type": "model", "id": model, "files": files} for model in scenario.models),
        ],
        "webhooks": [{"owner": "steward", "url": webhook, "secret": "s3cret", "watched": watched, "domains": DOMAINS}],
    }


def people(lab: Lab, boards: list[str]) -> Life:
    """Submit all requests through a form that retries until the Hub accepts them."""
    form = HfApi(lab.hub.url, token=FORM)
    for submission in lab.scenario.submissions:
        yield max(0.0, EPOCH + submission.at - lab.now)
        while lab.is_away:
            yield 60.0
        for board in boards:
            form.create_commit(
                f"{board}/requests",
                [CommitOperationAdd(submission.path, request(submission, lab.iso()))],
                commit_message=f"Add {submission.model} to eval queue",
                repo_type="dataset",
            )


def request(submission: Submission, at: str) -> bytes:
    """Return a request file with exactly the fields that the template's own form writes."""
    fields = {
        "model": submission.model,
        "base_model": "",
        "revision": "main",
        "private": False,
        "precision": submission.precision,
        "weight_type": "Original",
        "status": "PENDING",
        "submitted_time": at,
        "model_type": "pretrained",
        "likes": 0,
        "params": 0.1,
        "license": "apache-2.0",
    }
    return json.dumps(fields).encode()
