"""Wrong answers that a proxy between Steward and the Hub might give, as faults of localhub.

localhub applies them to its own answers and sends what such a proxy would send, so there is no second process.

hub.state.faults.add("GET */resolve/*", **LIES["page"], times=3)
"""

from __future__ import annotations

from typing import Any

LIES: dict[str, dict[str, Any]] = {
    "page": {
        "kind": "fail",
        "status": 200,
        "error": "<!DOCTYPE html><title>One moment, please</title>",
        "headers": {"Content-Type": "text/html"},
    },
    "missing": {
        "kind": "fail",
        "status": 404,
        "error": "Entry not found",
        "headers": {"X-Error-Code": "EntryNotFound"},
    },
    "lost page": {
        "kind": "fail",
        "status": 404,
        "error": "<!DOCTYPE html><title>Not found</title>",
        "headers": {"Content-Type": "text/html"},
    },
    "circle": {"kind": "fail", "status": 302, "error": "Found", "headers": {"Location": "?again"}},
    "short": {"kind": "short"},
    "drip": {"kind": "drip", "seconds": 0.02},
    "stale": {"kind": "stale", "seconds": 2.0},
}
"""An HTML page with 200; a file that is there; a 404 that is not the Hub's; redirects in a circle; a wrong
Content-Length; a body that comes slowly; answers that are up to two seconds old."""
