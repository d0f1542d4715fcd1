"""Error responses of the Hub, and the exceptions that they become."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import errors
from hub.answers import error_for, rate_limit, retry_wait
from hub.session import HubResponse

API = "/api/datasets/board/requests/tree/main"


def refusal(
    status: int, *, code: str = "", text: str = "", path: str = API, with_token: bool = True, **headers: str
) -> errors.HubError:
    """The exception for a response with this status, `X-Error-Code` and JSON error."""
    all_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if code:
        all_headers["x-error-code"] = code
    body = json.dumps({"error": text}).encode()
    return error_for(status, all_headers, body, call=f"GET {path}", path=path, with_token=with_token)


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (404, "RepoNotFound", "Repository not found", errors.RepoNotFound),
        (404, "", "Repository not found", errors.RepoNotFound),
        (404, "RevisionNotFound", "Invalid rev id: nope", errors.RevisionNotFound),
        (404, "EntryNotFound", "Entry not found", errors.EntryNotFound),
        (404, "", "No discussion found matching num #7", errors.ThreadNotFound),
        (404, "", "Sorry, we can't find the page you are looking for.", errors.NotFound),
        (401, "", "Invalid credentials in Authorization header", errors.BadToken),
        (401, "", "Invalid username or password.", errors.BadToken),
        (401, "GatedRepo", "Access to model x is restricted.", errors.Gated),
        (403, "GatedRepo", "Access to model x is restricted.", errors.Gated),
        (403, "", "Access to this resource is disabled.", errors.Disabled),
        (403, "", "Forbidden: you must be in the organisation", errors.Denied),
        (403, "", "", errors.Garbled),
        (402, "", "Payment required: your private storage is used up", errors.Denied),
        (451, "", "Unavailable for legal reasons", errors.Disabled),
        (409, "", "Another commit operation is in progress for this repository. Please try again later.", errors.Busy),
        (409, "", "You already created this dataset repo", errors.Conflict),
        (412, "", "The branch was updated since you opened this page.", errors.StaleParent),
        (413, "", "too many parameters", errors.TooLarge),
        (400, "", "✖ Invalid option", errors.BadRequest),
        (422, "", "Unprocessable", errors.BadRequest),
        (501, "", "", errors.BadRequest),
        (408, "", "", errors.Transient),
        (500, "", "Internal Error - We're working hard to fix this as soon as possible!", errors.Transient),
        (504, "", "", errors.Transient),
    ],
)
def test_each_error_response_has_one_exception_class(
    status: int, code: str, text: str, kind: type[errors.HubError]
) -> None:
    """The code, status and text of an error response decide its exception class, and the Hub's message is kept."""
    error = refusal(status, code=code, text=text)
    assert type(error) is kind
    assert error.status == status
    assert text in str(error)


def test_a_401_without_a_token_hides_a_repo_that_may_not_exist() -> None:
    """A 401 without a token counts as a missing repo, as the Hub hides these, except for `whoami`."""
    assert type(refusal(401, text="Invalid username or password.", with_token=False)) is errors.RepoNotFound
    assert type(refusal(401, path="/api/whoami-v2", with_token=False)) is errors.BadToken


def test_the_request_id_is_kept_for_the_log() -> None:
    """The exception keeps the Hub's request id."""
    assert refusal(500, x_request_id="Root=1-2").request_id == "Root=1-2"


@pytest.mark.parametrize(
    ("headers", "text", "seconds", "what"),
    [
        ({"ratelimit": '"api";r=0;t=55'}, "", 56.0, "api"),
        ({"ratelimit": '"resolvers";r=0;t=7', "retry-after": "300"}, "", 8.0, "resolvers"),
        ({"ratelimit": '"api";r=949;t=12', "retry-after": "30"}, "", 30.0, "api"),
        ({"retry-after": "Tue, 24 Nov 2026 12:01:30 GMT", "date": "Tue, 24 Nov 2026 12:00:00 GMT"}, "", 90.0, "api"),
        ({"retry-after": "soon"}, "", 60.0, "api"),
        ({"retry-after": "\u00b2"}, "", 60.0, "api"),
        ({"retry-after": "soon", "date": "now"}, "", 60.0, "api"),
        (
            {"ratelimit": '"api";r=949;t=12'},
            "You have exceeded the rate limit for repository commits (128 per hour). You can retry this action in "
            "about 1 hour.",
            3600.0,
            "commits",
        ),
        ({}, "You have exceeded the rate limit for repository commits. Retry in 25 minutes.", 1500.0, "commits"),
        ({}, "maximum time in concurrency queue reached", 5.0, "concurrency"),
        ({}, "", 60.0, "api"),
    ],
)
def test_a_429_says_how_long_to_stay_away_and_from_what(
    headers: dict[str, str], text: str, seconds: float, what: str
) -> None:
    """The wait and the quota come from the headers, the text or a default; only the text names the commit quota."""
    assert retry_wait(headers, text) == (seconds, what)


def test_a_rate_limit_is_an_error_with_its_waiting_time() -> None:
    """The exception for a 429 has the seconds to wait and the name of the quota."""
    error = refusal(429, ratelimit='"api";r=0;t=9')
    assert isinstance(error, errors.RateLimited)
    assert (error.seconds, error.what) == (10.0, "api")


def test_good_answers_tell_what_is_left_of_a_quota() -> None:
    """The `RateLimit` headers of a successful response are parsed."""
    limit = rate_limit({"RateLimit": '"api";r=750;t=120', "RateLimit-Policy": '"fixed window";"api";q=1000;w=300'})
    assert limit is not None
    assert (limit.resource, limit.remaining, limit.resets_in, limit.quota) == ("api", 750, 120.0, 1000)
    assert rate_limit({}) is None


@given(
    status=st.integers(300, 599),
    headers=st.dictionaries(
        st.sampled_from(["x-error-code", "x-error-message", "ratelimit", "retry-after", "date"]), st.text(max_size=40)
    ),
    body=st.binary(max_size=60) | st.from_type(dict[str, int]).map(lambda it: json.dumps(it).encode()),
    path=st.text(max_size=30),
    with_token=st.booleans(),
)
def test_any_error_response_becomes_a_hub_error(
    status: int, headers: dict[str, str], body: bytes, path: str, with_token: bool
) -> None:
    """Any error response becomes a `HubError` with a short message."""
    error = error_for(status, headers, body, call="GET /", path=path, with_token=with_token)
    assert isinstance(error, errors.HubError)
    assert len(str(error)) < 700


def test_a_page_of_a_proxy_is_not_shown_to_people() -> None:
    """An HTML page of a proxy does not appear in the message of the exception."""
    error = error_for(502, {}, b"<html>Bad gateway</html>", call="GET /x", path="/x", with_token=False)
    assert "<html>" not in str(error)


def test_an_answer_that_is_nested_without_end_is_too_large() -> None:
    """Deeply nested JSON raises `TooLarge` in a successful response, and is ignored in an error response."""
    deep = b"[" * 100_000
    with pytest.raises(errors.TooLarge):
        HubResponse(200, {}, deep).json()
    error = error_for(502, {}, deep, call="GET /x", path="/x", with_token=False)
    assert isinstance(error, errors.Transient)
