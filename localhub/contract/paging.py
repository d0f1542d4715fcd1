"""Following the pages of a list by `Link` headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localhub.contract.checks import check
from localhub.contract.client import HubAnswer
from localhub.contract.workspace import Workspace

_NEXT = re.compile(r'<([^>]+)>[^<]*;\s*rel="?next\b')


def next_page(answer: HubAnswer) -> str:
    """The whole address with rel="next" in the `Link` header; empty on the last page."""
    match = _NEXT.search(answer.headers.get("link", ""))
    return match[1] if match is not None else ""


def pages(ws: Workspace, first: HubAnswer, *, most: int) -> Iterator[Any]:
    """Yield the items of at most `most` pages. Raises Differs if more follow, or an address is not on this Hub."""
    answer = first
    for count in range(1, most + 1):
        yield from answer.json()
        following = next_page(answer)
        if not following:
            return
        on_this_hub = following.startswith(f"{ws.client.endpoint}/")
        check("Link", on_this_hub, expected=f"{ws.client.endpoint}/…", got=following)
        check("pages", count < most, expected=f"at most {most}", got="more")
        answer = ws.client.get(following).expect(200)
