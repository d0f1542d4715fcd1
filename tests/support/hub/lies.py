"""Wrong answers of a Hub, or of a proxy between Steward and the Hub, as faults of localhub.

localhub sends them in place of its own answers, so no proxy has to run:

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
"""Name → fault. In order: an HTML page with status 200; a 404 for an existing file; an HTML page with status 404, not
from the Hub; endless redirects; a wrong Content-Length; a slow body; answers that are up to two seconds old."""
