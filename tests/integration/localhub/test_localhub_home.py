"""The home page of a Hub that is still empty."""

from __future__ import annotations

from pathlib import Path

import httpx2

from localhub.testing import HubWorld, LocalHub


def test_organisations_without_repos_are_listed(tmp_path: Path) -> None:
    """The home page links an organisation that has no repo yet, and the organisation has a page."""
    with LocalHub(tmp_path, HubWorld().user("maya").org("our-board", {"maya": "admin"})) as hub:
        home = httpx2.get(hub.url, headers={"accept": "text/html"}, timeout=60)
        assert (home.status_code, 'href="/our-board"' in home.text) == (200, True)
        assert httpx2.get(f"{hub.url}/our-board", headers={"accept": "text/html"}, timeout=60).status_code == 200
