"""How a sign-in is bound to one browser, and to which pages it may redirect."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.incoming import form_in
from bot.web.signin.flow import Flow, begin, local, read, to_cookie
from redis_state.board.sessions import form_token


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("/", "/"),
        ("/requests?q=yi-34b;%20mixtral&page=2", "/requests?q=yi-34b;%20mixtral&page=2"),
        ("/maintain/parked#x", "/maintain/parked#x"),
        ("", "/"),
        ("requests", "/"),
        ("https://evil.example", "/"),
        ("//evil.example/x", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/x\\..\\y", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/\r\nset-cookie: a=b", "/"),
        (" //evil.example", "/"),
        ("/ümlaut", "/"),
        ("/signin?next=/", "/"),
        ("/signin/callback?code=x", "/"),
        ("/" + "x" * 2_000, "/"),
    ],
)
def test_a_sign_in_leads_to_a_page_of_ours(target: str, leads: str) -> None:
    """After the sign-in, the browser is redirected to a path of this server, or to the start page."""
    assert local(target) == leads


@given(st.text(max_size=40))
def test_no_text_leads_to_another_host(target: str) -> None:
    """Any target becomes a path that no browser takes for an address of another host."""
    address = local(target)
    assert address.startswith("/")
    assert not address.startswith(("//", "/\\"))
    assert address.isascii()
    assert address.isprintable()


def test_all_values_of_a_sign_in_are_derived_from_the_browsers_secret() -> None:
    """State, nonce and verifier are derived from one secret; they differ from each other and between secrets."""
    first, other = begin("/flags"), begin("/flags")
    assert read(to_cookie(first)) == first
    secrets = {first.secret, first.state, first.nonce, first.verifier, other.state, other.nonce, other.verifier}
    assert len(secrets) == 7
    assert all(len(value) == 43 for value in secrets)
    digest = hashlib.sha256(first.verifier.encode()).digest()
    assert first.challenge == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert first.is_answered_by(first.state)
    for state in ("", other.state, first.nonce, first.state + "x", "ü"):
        assert not first.is_answered_by(state)


@pytest.mark.parametrize(
    "cookie", ["", ".", "short.Lw", "x" * 43 + ".ü", "x" * 43 + ".%", "x" * 43 + "." + "A" * 9_000]
)
def test_what_is_no_cookie_of_ours_is_none(cookie: str) -> None:
    """A malformed cookie is ignored without an error."""
    assert read(cookie) is None


def test_a_cookie_that_was_changed_leads_to_a_page_of_ours() -> None:
    """The target in a cookie is checked again when it is read, so that a changed cookie redirects to the start page."""
    assert read(to_cookie(Flow("x" * 43, "//evil.example"))) == Flow("x" * 43, "/")


def test_a_form_token_does_not_tell_the_session() -> None:
    """A form token differs for each session and does not contain the session's secret."""
    assert form_token("a" * 43) != form_token("b" * 43)
    assert "a" * 43 not in form_token("a" * 43)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"csrf=a&key=request%3Ax+y", {"csrf": "a", "key": "request:x y"}),
        (b"csrf=a&csrf=b", {"csrf": "a"}),
        (b"", {}),
        (b"\xff=\xff", {}),
        (b"&".join(b"a=1" for _ in range(30)), {}),
    ],
)
def test_forms_are_read_in_bounds(body: bytes, fields: dict[str, str]) -> None:
    """A form gives the first value of each field; a malformed or too long one gives none."""
    assert form_in(body) == fields


def test_links_to_sign_in_leave_a_frame() -> None:
    """Links to sign in open a new tab if the page is in the Hub's frame, where browsers send no cookies."""
    templates = [file for file in (resources.files("bot.web") / "templates").iterdir() if file.name.endswith(".html")]
    links = [
        (file.name, link)
        for file in templates
        for link in re.findall(r'<a [^>]*href="/signin.*?</a>', file.read_text("utf-8"))
        if file.name != "signin_failed.html"  # no site may show that one in a frame
    ]
    assert len(links) > 5
    leaves = '"{% if framed %} target="_blank" rel="noopener"{% endif %}>'
    assert [name for name, link in links if leaves not in link] == []
