"""The Hub that all peers share: a board for each, the same models, and a form that submits to all boards."""

from __future__ import annotations

import json

from huggingface_hub import CommitOperationAdd, HfApi

from localhub.testing import HubWorld
from simulations.peers.environment import EPOCH, Activity, Environment
from simulations.peers.scenario import Scenario, Submission

FORM = "hf_form"
REPOS = ("requests", "results", "logs")
CONFIG = json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})


def world(scenario: Scenario, boards: list[str], tokens: dict[str, str], webhook: str) -> HubWorld:
    """Return a world with the accounts (name → token), the boards' repos, the models, and Steward's webhook."""
    owners = sorted({model.partition("/")[0] for model in scenario.models})
    files = {"README.md": "# A model\n", "config.json": CONFIG, "model.safetensors": "x"}
    members = {"form": "write", **dict.fromkeys(tokens, "write")}
    watched = ("dataset", "steward/requests"), ("dataset", "steward/results"), ("space", "steward/space")
    made = HubWorld().users({**tokens, "form": FORM})
    for owner in owners:
        made.org(owner)
    for board in boards:
        made.org(board, members).org(f"{board}-details", members)
        made.datasets(*(f"{board}/{name}" for name in REPOS)).repo("space", f"{board}/space", sdk="static")
    for model in scenario.models:
        made.repo("model", model, files)
    return made.webhook("steward", webhook, *watched, secret="s3cret")


def people(environment: Environment, boards: list[str]) -> Activity:
    """Submit all requests through a form that retries until the Hub accepts them."""
    form = HfApi(environment.hub.url, token=FORM)
    for submission in environment.scenario.submissions:
        yield max(0.0, EPOCH + submission.at - environment.now)
        while environment.is_away:
            yield 60.0
        for board in boards:
            form.create_commit(
                f"{board}/requests",
                [CommitOperationAdd(submission.path, request(submission, environment.iso()))],
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
