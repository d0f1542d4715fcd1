"""The demo's people, organisations, repos and board file."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import yaml

from workers.starter import dataset_files

ORG, DETAILS_ORG = "open-board", "open-board-details"
BOT, FRONT_END, WORKER, MAINTAINER = "steward-bot", "board-front-end", "gpu-worker", "maya"
APP = "the-open-board"
"""The OAuth app with which people sign in to the board's pages."""
PEOPLE = {
    BOT: "Steward",
    FRONT_END: "The submit form",
    WORKER: "An evaluation worker",
    MAINTAINER: "Maya, a maintainer",
    "ada": "Ada",
    "bob": "Bob",
    "chen": "Chen",
}

REQUESTS, RESULTS, LOGS = f"{ORG}/requests", f"{ORG}/results", f"{ORG}/logs"
CONTENTS, FLAGS = f"{ORG}/contents", f"{ORG}/flags"
SUITES_ORG, QUESTIONS, SPACE = "steward-suites", "steward-suites/starter", f"{ORG}/leaderboard"

CARDS = {
    REQUESTS: "# Requests\n\nEach file is one submission with its status.\n",
    RESULTS: "# Results\n\nThe scores of every evaluation, in one folder per model.\n",
    LOGS: "# Logs\n\nThe log and the outcome of every attempt.\n",
    CONTENTS: "# Contents\n\nThe whole leaderboard as one table with one row per evaluation.\n",
    FLAGS: "# Flags\n\nFlagged models, with reasons and decisions.\n",
}


@dataclass
class World:
    """Tokens and secrets, generated for each demo. The pages are at `web_url`."""

    web_url: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    app_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    tokens: dict[str, str] = field(default_factory=lambda: {name: f"hf_{secrets.token_hex(17)}" for name in PEOPLE})

    def as_world(self) -> dict[str, object]:
        """Return the world file with which localhub starts."""
        users = [
            {"name": name, "fullname": fullname, "tokens": [{"token": self.tokens[name], "role": "write"}]}
            for name, fullname in PEOPLE.items()
        ]
        # The worker is a member of the details organisation only: its token can write nowhere else.
        orgs = [
            {
                "name": ORG,
                "fullname": "The Open Board",
                "members": {MAINTAINER: "admin", BOT: "write", FRONT_END: "write"},
            },
            {"name": SUITES_ORG, "fullname": "Suites for Steward", "members": {MAINTAINER: "admin"}},
            {
                "name": DETAILS_ORG,
                "fullname": "The Open Board's details",
                "members": {MAINTAINER: "admin", WORKER: "write", BOT: "read"},
            },
        ]
        repos = [
            *({"type": "dataset", "id": repo, "files": {"README.md": card}} for repo, card in CARDS.items()),
            {"type": "dataset", "id": QUESTIONS, "files": {n: c.decode() for n, c in dataset_files().items()}},
            {"type": "space", "id": SPACE, "sdk": "static", "files": {"README.md": "# The Open Board\n"}},
        ]
        hook = {
            "owner": BOT,
            "url": f"{self.web_url}/webhooks/hub",
            "secret": self.secret,
            "watched": [
                {"type": "dataset", "name": REQUESTS},
                {"type": "dataset", "name": FLAGS},
                {"type": "space", "name": SPACE},
            ],
            "domains": ["repo", "discussion"],
        }
        app = {"clientId": APP, "clientSecret": self.app_secret, "name": "The Open Board", "redirects": [self.web_url]}
        return {"users": users, "orgs": orgs, "repos": repos, "webhooks": [hook], "oauthApps": [app]}

    def board_file(self, suite: str, *, front_end_id: str, maintainer_id: str) -> str:
        """Return the board file as an operator would write it."""
        board = {
            "name": "open-board",
            "title": "The Open Board",
            "repos": {
                "requests": REQUESTS,
                "results": RESULTS,
                "logs": LOGS,
                "flags": FLAGS,
                "contents": CONTENTS,
                "community": SPACE,
                "community_type": "space",
                "details_namespace": DETAILS_ORG,
            },
            "suite": suite,
            "front_ends": [front_end_id],
            "maintainers": [maintainer_id],
            "threads": "always",
            "effects": "on",
        }
        return yaml.safe_dump(board, sort_keys=False)
