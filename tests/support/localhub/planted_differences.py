"""Differences to plant in the answers of a Hub, each with the facts of the contract that find it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.support.localhub.altered_hub import Alteration, replaced, sent, with_fields, without

A_REPO = "GET /api/datasets/*"


@dataclass(frozen=True)
class Difference:
    """One planted difference, and the ids of the facts that find it."""

    name: str
    planted: Alteration
    found_by: tuple[str, ...]


def with_shown_secret(body: bytes) -> bytes:
    """Return the body of a Space's secret with its value as its description."""
    fields = json.loads(body)
    return json.dumps({**fields, "description": fields["value"]}).encode()


def with_shown_secrets(body: bytes) -> bytes:
    """Return the body of a Job with its secrets as variables."""
    fields = json.loads(body)
    return json.dumps({**fields, "environment": fields["environment"] | fields["secrets"]}).encode()


NO_MARKER = sent(rb"<!--.*?-->", b"")
DIFFERENCES = (
    Difference("members have no role", Alteration("GET */members", body=without("role")), ("accounts.members",)),
    Difference(
        "an unknown token is 403", Alteration("GET /api/whoami-v2", of=401, status=403), ("accounts.wrong-token",)
    ),
    Difference("users have another id", Alteration("GET */overview", body=with_fields(_id="1")), ("accounts.user",)),
    Difference(
        "errors have no code",
        Alteration(A_REPO, of=404, headers={"X-Error-Code": None}),
        ("refusals.no-revision", "refusals.no-folder", "refusals.no-repo"),
    ),
    Difference(
        "a missing file does not say of which commit",
        Alteration("GET /datasets/*", of=404, headers={"X-Repo-Commit": None}),
        ("refusals.no-file",),
    ),
    Difference(
        "a missing thread has another text",
        Alteration("GET */discussions/*", body=with_fields(error="No.")),
        ("refusals.no-thread",),
    ),
    Difference(
        "a repo that exists is 400", Alteration("POST /api/repos/create", of=409, status=400), ("repos.create-again",)
    ),
    Difference(
        "former names do not lead on",
        Alteration("* /*datasets/*-old*", of=307, status=404),
        ("repos.rename", "repos.rename-files", "repos.post-to-former-name"),
    ),
    Difference("gates are not reported", Alteration(A_REPO, body=without("gated")), ("repos.gate",)),
    Difference("listings have no pages", Alteration("GET */tree/*", headers={"Link": None}), ("reading.tree-pages",)),
    Difference(
        "pages are on another host",
        Alteration("GET */tree/*", headers={"Link": '<https://hub.invalid/x>; rel="next"'}),
        ("reading.tree-pages",),
    ),
    Difference(
        "history begins with the oldest", Alteration("GET */commits/*", body=lambda it: it[::-1]), ("reading.history",)
    ),
    Difference(
        "refs are old",
        Alteration("GET */refs", body=replaced(r'"[0-9a-f]{40}"', f'"{"1" * 40}"')),
        ("reading.fresh-refs", "reading.info"),
    ),
    Difference("a removed branch is 400", Alteration("DELETE */branch/*", of=404, status=400), ("reading.branches",)),
    Difference(
        "the ETag is no blob id",
        Alteration("HEAD */resolve/*", headers={"ETag": '"1"', "X-Linked-Etag": None}),
        ("files.headers",),
    ),
    Difference("ranges are ignored", Alteration("GET */resolve/*", of=206, status=200), ("files.byte-range",)),
    Difference("nothing is 304", Alteration("GET */resolve/*", of=304, status=200), ("files.not-modified",)),
    Difference(
        "all files are regular",
        Alteration("POST */preupload/*", body=replaced('"lfs"', '"regular"')),
        ("files.upload-mode",),
    ),
    Difference(
        "the parent of a commit is ignored",
        Alteration("POST */commit/*", request=sent(rb'"parentCommit": "\w+"', b'"x": 1')),
        ("commits.stale-parent", "commits.unknown-parent", "commits.one-per-parent"),
    ),
    Difference(
        "a stale parent is 400",
        Alteration("POST */commit/*", of=412, status=400),
        ("commits.stale-parent", "commits.unknown-parent"),
    ),
    Difference(
        "descriptions of commits get lost",
        Alteration("POST */commit/*", request=sent(rb'"description": "[^"]*"', b'"description": ""')),
        ("commits.message",),
    ),
    Difference("git needs no password", Alteration("GET */info/refs", of=401, status=500), ("git.refused",)),
    Difference(
        "HTML comments are removed",
        Alteration("POST */discussions*", request=NO_MARKER),
        ("threads.marker-in-first-post", "threads.marker-in-comment", "threads.marker-after-edit"),
    ),
    Difference(
        "HTML comments are removed by edits",
        Alteration("POST */edit", request=NO_MARKER),
        ("threads.marker-after-edit",),
    ),
    Difference("authors have no id", Alteration("GET */discussions/*", body=without("_id")), ("threads.author-id",)),
    Difference("a comment is 200", Alteration("POST */comment", of=201, status=200), ("threads.marker-in-comment",)),
    Difference(
        "the list does not filter",
        Alteration("GET */discussions", body=with_fields(discussions=[])),
        ("threads.listed", "threads.list-filters"),
    ),
    Difference(
        "a pull request by a commit is a draft",
        Alteration("GET */discussions/*", body=lambda it: it | ({"status": "draft"} if it["status"] == "open" else {})),
        ("pulls.by-commit-is-open",),
    ),
    Difference(
        "refused merges are 200",
        Alteration("POST */merge", of=409, status=200),
        ("pulls.draft-stays", "pulls.merge-of-draft"),
    ),
    Difference(
        "refused merges are 400",
        Alteration("POST */merge", of=409, status=400),
        ("pulls.merge-of-draft", "pulls.merge-of-conflict"),
    ),
    Difference(
        "conflicts are not shown",
        Alteration("GET */discussions/*", body=without("filesWithConflicts")),
        ("pulls.conflict-shown",),
    ),
    Difference(
        "merges have another title",
        Alteration("GET */commits/*", body=replaced(r" \(#\d+\)", "")),
        ("pulls.merge-title",),
    ),
    Difference(
        "outsiders open no pull requests",
        Alteration("POST */commit/*create_pr=1", of=200, status=403),
        ("access.outsider-pull",),
    ),
    Difference("a gate has no code", Alteration("GET */resolve/*", headers={"X-Error-Code": None}), ("access.gated",)),
    Difference(
        "parameters are not counted",
        Alteration("GET /api/models/*", body=without("safetensors")),
        ("models.parameters",),
    ),
    Difference(
        "scores do not name their pull request",
        Alteration("GET /api/models/*", body=without("pullRequest")),
        ("models.scores-in-pull",),
    ),
    Difference(
        "new webhooks are disabled",
        Alteration("POST /api/settings/webhooks", body=replaced('"disabled": false', '"disabled": true')),
        ("webhooks.create",),
    ),
    Difference(
        "a webhook may watch nothing",
        Alteration("POST /api/settings/webhooks/*", of=400, status=200),
        ("webhooks.update-of-url-alone",),
    ),
    Difference(
        "limits are not reported", Alteration("GET */refs", headers={"RateLimit": None}), ("limits.headers-of-calls",)
    ),
    Difference(
        "the issuer is another host",
        Alteration("GET /.well-known/*", body=with_fields(issuer="https://hub.invalid")),
        ("signin.metadata",),
    ),
    Difference(
        "secrets of Spaces are shown",
        Alteration("POST /api/spaces/*/secrets", request=with_shown_secret),
        ("spaces.secret",),
    ),
    Difference(
        "removed secrets stay",
        Alteration("GET /api/spaces/*/secrets", body=with_fields(CONTRACT_OLD={})),
        ("spaces.secret-removed",),
    ),
    Difference(
        "variables keep their first value",
        Alteration("GET /api/spaces/*/variables", body=replaced('"second"', '"first"')),
        ("spaces.variable",),
    ),
    Difference(
        "the runtime names no requested hardware",
        Alteration("GET /api/spaces/*/runtime", body=without("requested", "current")),
        ("spaces.hardware",),
    ),
    Difference(
        "any hardware is accepted",
        Alteration("POST /api/spaces/*/hardware", of=400, status=200),
        ("spaces.unknown-hardware",),
    ),
    Difference("a restart is refused", Alteration("POST /api/spaces/*/restart", status=400), ("spaces.restart",)),
    Difference(
        "volumes are mounted at main",
        Alteration("PUT /api/spaces/*/volumes", request=sent(rb'"revision": "[0-9a-f]+"', b'"revision": "main"')),
        ("spaces.volumes",),
    ),
    Difference(
        "volumes are not looked for",
        Alteration("PUT /api/spaces/*/volumes", of=400, status=200),
        ("spaces.static-has-no-machine", "spaces.unknown-volume"),
    ),
    Difference(
        "a Job has no labels",
        Alteration("* /api/jobs/ada*", body=without("labels")),
        ("jobs.start", "jobs.labels-replaced"),
    ),
    Difference("labels do not find Jobs", Alteration("GET /api/jobs/ada?label=*", body=lambda _: []), ("jobs.listed",)),
    Difference(
        "ended Jobs are not listed",
        Alteration("GET /api/jobs/ada?*stage=ERROR", body=lambda _: []),
        ("jobs.listed-by-stage",),
    ),
    Difference(
        "the list begins with the oldest Job",
        Alteration("GET /api/jobs/ada", body=lambda it: it[::-1]),
        ("jobs.newest-first",),
    ),
    Difference(
        "Jobs show their secrets", Alteration("POST /api/jobs/ada", request=with_shown_secrets), ("jobs.secret",)
    ),
    Difference(
        "a Job that fails has ended well",
        Alteration("GET /api/jobs/ada/*", body=replaced('"ERROR"', '"COMPLETED"')),
        ("jobs.failed",),
    ),
    Difference(
        "Jobs do not say when they began",
        Alteration("GET /api/jobs/ada/*", body=without("startedAt")),
        ("jobs.completed",),
    ),
    Difference(
        "a cancelled Job has failed",
        Alteration("GET /api/jobs/ada/*", body=replaced('"CANCELED"', '"ERROR"')),
        ("jobs.cancel",),
    ),
    Difference(
        "an ended Job cannot be cancelled",
        Alteration("POST /api/jobs/ada/*/cancel", status=409),
        ("jobs.cancel-of-ended", "jobs.cancel"),
    ),
    Difference(
        "Jobs have no prices", Alteration("GET /api/jobs/hardware", body=without("unitCostMicroUSD")), ("jobs.flavors",)
    ),
    Difference("a missing Job is 400", Alteration("GET /api/jobs/ada/*", of=404, status=400), ("jobs.unknown",)),
    Difference(
        "the secret does not reach the Job",
        Alteration("POST /api/jobs/ada", request=sent(rb'"CONTRACT_SECRET"', b'"OTHER_SECRET"')),
        ("jobs.logs", "jobs.secret-names"),
    ),
    Difference(
        "any label is accepted", Alteration("PUT /api/jobs/ada/*/labels", of=400, status=200), ("jobs.wrong-label",)
    ),
)
