"""Which errors the messages of failed git fetches become."""

from __future__ import annotations

import pytest

from hub.errors import BadToken, Denied, HubError, RateLimited, RepoNotFound, Transient, Unreachable
from hub.git import git_refusal

MESSAGES = [
    ("unexpected http status code: 429", RateLimited),
    ("unexpected http status code: 404", RepoNotFound),
    ("unexpected http status code: 403", Denied),
    ("unexpected http status code: 401", BadToken),
    ("too many redirects or authentication replays", BadToken),
    ("remote authentication required but no callback set", BadToken),
    ("unexpected http status code: 502", Transient),
    ("failed to resolve address for hub: Name or service not known", Unreachable),
    ("early EOF", Transient),
]


@pytest.mark.parametrize(("message", "kind"), MESSAGES)
def test_a_message_of_git_becomes_the_error_that_callers_handle(message: str, kind: type[HubError]) -> None:
    """Each message of git becomes an error of its own class; a refused token is not mistaken for missing access."""
    error = git_refusal("board/requests", message)
    assert type(error) is kind
    assert message in str(error)
