"""The demo's submissions: through the leaderboard's form, and through an outsider's pull request."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.request_paths import RequestPath
from steward.demo.models import CORRUPTED, GOOD, REMOTE_CODE, UNKNOWN
from steward.demo.world import FRONT_END, MAINTAINER, REQUESTS, World


@dataclass(frozen=True)
class DemoSubmission:
    """One submission of the demo, with its submitter, its way in and its expected end."""

    model: str
    sender: str
    by_pull_request: bool
    status: str
    cause: str | None

    @property
    def path(self) -> str:
        """The path of its request file."""
        org, name = self.model.split("/")
        return str(RequestPath(org, name, private=False, precision="float32", weight_type="Original"))


SUBMISSIONS = (
    DemoSubmission(GOOD, "ada", by_pull_request=False, status="FINISHED", cause=None),
    DemoSubmission(REMOTE_CODE, "bob", by_pull_request=False, status="FAILED", cause="several-reasons"),
    DemoSubmission(UNKNOWN, "chen", by_pull_request=True, status="FAILED", cause="unknown-architecture"),
    DemoSubmission(CORRUPTED, "bob", by_pull_request=False, status="FAILED", cause="weights-not-finite"),
)


def request_file(submission: DemoSubmission, revision: str) -> bytes:
    """Return the request file as the leaderboard's form writes it."""
    fields = {
        "model": submission.model,
        "base_model": "",
        "revision": revision,
        "precision": "float32",
        "params": 0.135,
        "architectures": "?",
        "weight_type": "Original",
        "status": "PENDING",
        "submitted_time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "model_type": "💬 : 💬 chat models (RLHF, DPO, IFT, ...)",
        "job_id": -1,
        "job_start_time": None,
        "use_chat_template": False,
        "sender": submission.sender,
    }
    return json.dumps(fields).encode()


def submit(endpoint: str, world: World, submission: DemoSubmission, revision: str) -> None:
    """Submit the model through the form or through a pull request."""
    add = CommitOperationAdd(submission.path, request_file(submission, revision))
    if submission.by_pull_request:
        outsider = HfApi(endpoint=endpoint, token=world.tokens[submission.sender])
        pull = outsider.create_commit(
            REQUESTS, [add], commit_message=f"Add {submission.model}", repo_type="dataset", create_pr=True
        )
        number = int(pull.pr_num or 0)
        maintainer = HfApi(endpoint=endpoint, token=world.tokens[MAINTAINER])
        if maintainer.get_discussion_details(REQUESTS, number, repo_type="dataset").status == "draft":
            maintainer.change_discussion_status(REQUESTS, number, "open", repo_type="dataset")
        maintainer.merge_pull_request(REQUESTS, number, repo_type="dataset")
        return
    form = HfApi(endpoint=endpoint, token=world.tokens[FRONT_END])
    message = f"Add {submission.model} to eval queue"
    form.create_commit(REQUESTS, [add], commit_message=message, repo_type="dataset")
