"""The people of the simulated month: forms that Redis lost, and requests for scores on models' own pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from redis_state.board.entry import IndexEntry
from simulations.month.event_loop import Flow
from simulations.month.page_visitors import SIGNED_IN, PageVisitors, SentForm
from simulations.month.user_actions import People

pytestmark = pytest.mark.long("a part of a simulation, which is no part of Steward")
ANSWERS = ("Done.",)


@dataclass
class WebServer:
    """A web server that signs visitors in, takes forms, and can lose its sessions and forms."""

    session: int = 1
    forms: list[str] = field(default_factory=list)
    answer: str = ""

    def lose_data(self) -> None:
        """Forget every session and form."""
        self.session += 1
        self.forms.clear()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer a request."""
        is_known = request.headers.get("cookie", "") == f"session={self.session}"
        if request.url.path == "/api/me":
            return httpx2.Response(200, json={"csrf": "token" if is_known else None})
        if not is_known:
            return httpx2.Response(200, text="Sign in")
        if request.method == "POST":
            self.forms.append(f"/act?id={self.session}")
            return httpx2.Response(303, headers={"location": self.forms[-1]})
        is_there = str(request.url).removeprefix("http://board") in self.forms
        return httpx2.Response(200 if is_there else 404, text=f"<form {SIGNED_IN}>{self.answer if is_there else ''}")


class SignedInVisitors(PageVisitors):
    """Visitors who sign in without the Hub."""

    def __init__(self, server: WebServer) -> None:
        super().__init__("http://board", lambda: 0.0)
        self.server = server

    def browser(self, person: str) -> httpx2.Client:
        """Return a browser with the session in which the person signed in."""
        if person not in self._browsers:
            cookies = {"session": str(self.server.session)}
            made = httpx2.Client(base_url=self.url, transport=httpx2.MockTransport(self.server), cookies=cookies)
            self._browsers[person] = 0.0, made
        return self._browsers[person][1]


def test_a_form_that_redis_lost_is_sent_again_after_a_new_sign_in() -> None:
    """If the server loses sessions and forms, the user signs in, sends the form again and reads the answer."""
    server = WebServer()
    form = SentForm(SignedInVisitors(server), "ada", "/act", {"verb": "hold"})
    assert form.is_sent()
    assert not form.is_answered(ANSWERS)
    assert len(server.forms) == 1
    server.lose_data()
    server.answer = "Done."
    assert any(form.is_answered(ANSWERS) for _ in range(5))
    assert len(server.forms) == 1


def test_a_person_whose_session_ended_signs_in_again_before_the_next_form() -> None:
    """A user whose session has ended signs in again before the next form is sent."""
    server = WebServer()
    visitors = SignedInVisitors(server)
    assert SentForm(visitors, "ada", "/act", {}).is_sent()
    server.lose_data()
    form = SentForm(visitors, "ada", "/act", {})
    assert any(form.is_sent() for _ in range(2))


def test_pages_say_who_is_signed_in(project: Path) -> None:
    """The base template contains the text by which the simulation recognises that a user is signed in."""
    assert SIGNED_IN in (project / "bot" / "web" / "templates" / "base.html").read_text("utf-8")


class AskingOwners(People):
    """Owners who ask the bot for scores on their models' pages; the bot answers each, and opens no pull request."""

    def __init__(self, *, is_present: bool) -> None:
        self.context = cast(Any, SimpleNamespace(suite=1))
        self.used, self.asked_for_pages, self.is_present = set(), set(), is_present

    def free(self, *states: str) -> list[IndexEntry]:
        """Return the only request."""
        return [IndexEntry(path="ada/one_eval_request_False_float32_Original.json", model="ada/one")]

    def has_present_scores(self, entry: IndexEntry) -> bool:
        """Return whether the model has scores of the current suite, as the test chose."""
        return self.is_present

    def press(self, person: str, verb: str, **fields: str) -> Flow:
        """Press the button."""
        yield lambda: True

    def discuss(self, person: str, title: str, words: str, *, repo: str = "") -> int:
        """Open the only discussion."""
        return 1

    def answered(self, repo: str, number: int) -> bool:
        """Whether the bot answered."""
        return True

    def page_pulls(self, model: str, *statuses: str) -> list[int]:
        """Return no pull requests."""
        return []


def ends(flow: Iterator[Any]) -> bool:
    """Whether the flow ends; the first wait that does not succeed at once stops it."""
    return all(step() for step in flow)


@pytest.mark.parametrize("seed", range(6))
def test_owners_wait_only_for_scores_of_the_present_suite(seed: int) -> None:
    """An owner waits for a pull request if the scores are of the current suite; else the bot's answer is enough."""
    assert ends(AskingOwners(is_present=False).publish_scores(seed))
    assert not ends(AskingOwners(is_present=True).publish_scores(seed))
    people = AskingOwners(is_present=True)
    flow = people.publish_scores(seed)
    next(flow)
    next(flow)
    people.context.suite = cast(Any, 2)
    assert ends(flow), "the suite changed after the owner asked"
