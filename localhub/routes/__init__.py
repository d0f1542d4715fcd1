"""The surface: one module for each part of the Hub's API, one router in each.

Order matters where one address fits several routes: the pages come last, for they answer to any `/{ns}/{name}`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

_MODULES = ("whoami", "refs", "commit", "lfs", "content", "repo_lifecycle", "gate", "threads", "webhooks", "admin", "repo_info", "resolve", "git_http", "pages")
API_ROUTERS = [import_module(f"localhub.routes.{name}").router for name in _MODULES if find_spec(f"localhub.routes.{name}")]
