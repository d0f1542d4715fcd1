"""Every page of the board that `seeded_large_board` fills, by a short name, mostly that of its template."""

from __future__ import annotations

from urllib.parse import quote

from bot.web import site
from tests.support.browser.seeded_large_board import LONG, path_of

RUNNING, FAILED = "north-lab/OLMo-2-7B-SFT-v2", LONG.replace("Llama", "Broken")
PAGES = {
    **{page.template.replace("_", "-"): page.path for page in site.PAGES if page.template and "{" not in page.path},
    "check": "/check",
    "submit": "/submit",
    "mine": "/mine",
    "queue-later": "/queue?after=25",
    "leaderboard-search": "/?q=Hub+License:+apache-2.0;+Average:+%3E%3D+30&sort=IFEval",
    "requests-nothing": "/requests?q=Qwen3-8B-Instrukt",
    "requests-misread": "/requests?q=Licens:+mit",
    "requests-failed": "/requests?state=failed",
    "request-running": f"/requests/{path_of(RUNNING)}",
    "request-failed": f"/requests/{path_of(FAILED)}",
    "request-waiting": f"/requests/{path_of(LONG.replace('Llama', 'Waiting'))}",
    "request-held": f"/requests/{path_of('bob/ash-9b')}",
    "model": f"/models/{quote(LONG)}",
    "missing": "/models/nobody/nothing",
    "nowhere": "/nowhere",
}
LIKE_ANOTHER = {"queue-later", "requests", "leaderboard-search"}
"""Pages that differ from another one in their rows only: pictures show them, axe-core does not check them."""
