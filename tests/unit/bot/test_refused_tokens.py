"""A token that the Hub refuses is not mistaken for missing access to a repo, and maintainers are notified."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from bot.evaluations.cross_check_reports import _restricted_commit
from bot.evaluations.samples import TablePlace, UnreadableSamples, _in_gated_repo, _TableReader
from bot.model_pages import pull_request
from bot.model_pages.refused_token import RETRY_SECONDS, ModelsTokenRefused, refusal_noted, refused_since
from bot.predictions.answers import AnswersUnusable, _read
from bot.probe.process import Probe
from bot.processes import sync_process
from bot.setup.doctor.rights import models_token
from bot.web.mailbox_syncs import _named
from bot.web.signin.routes import _failure
from hub.errors import BadToken, Gated, Unreachable
from hub.records import Repo

NOW = 1_800_000_000.0
EXPIRED, NO_ACCESS = BadToken("expired", status=401), Gated("no access", status=403)


class RefusingHub:
    """A fake Hub that raises `error` in every call."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.session: RefusingHub = self

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def fail(*_: object, **__: object) -> NoReturn:
            raise self.error

        return fail


class HashInMemory:
    """A fake Redis that holds one hash in memory."""

    def __init__(self) -> None:
        self.fields = dict[str, bytes]()

    def hsetnx(self, _: str, name: str, value: float) -> None:
        self.fields.setdefault(name, str(value).encode())

    def hset(self, _: str, name: str, value: float) -> None:
        self.fields[name] = str(value).encode()

    def hdel(self, _: str, *names: str) -> None:
        for name in names:
            self.fields.pop(name, None)

    def hget(self, _: str, name: str) -> bytes | None:
        return self.fields.get(name)


def _context(error: Exception, **more: object) -> Any:
    repos = SimpleNamespace(restricted_details=lambda _: "details/model-restricted")
    fields = {
        "hub": RefusingHub(error),
        "redis": HashInMemory(),
        "keys": SimpleNamespace(hub_state="hub-state"),
        "now": lambda: NOW,
        "board": SimpleNamespace(model_pages={"a": 1}, repos=repos),
        "suite": SimpleNamespace(restricted=True),
        "index": SimpleNamespace(head=lambda _: "head"),
        "requests": SimpleNamespace(id="board/requests"),
        "probe": Probe(),
    }
    return SimpleNamespace(**{**fields, **more})


def _answers(context: Any) -> object:
    source = SimpleNamespace(repo="org/answers", file="a.jsonl", revision="0" * 40)
    return _read(context, cast(Any, SimpleNamespace(answers=source)))


def _commit(context: Any) -> object:
    request = SimpleNamespace(path=SimpleNamespace(model="org/model"))
    return _restricted_commit(cast(Any, SimpleNamespace(context=context, request=request)))


def _gated_tables(context: Any) -> object:
    return _in_gated_repo(context, "org/model", [])


def _table(context: Any) -> object:
    place = TablePlace(Repo("dataset", "details/model"), "0" * 40, "table", 10)
    return _TableReader(context).read(cast(Any, None), "task", place)


def _names(context: Any) -> object:
    return _named(context, "org/model")


@pytest.mark.parametrize("ask", [_answers, _commit, _gated_tables, _table, _names])
def test_a_refused_token_is_not_taken_for_a_repo_without_access(ask: Callable[[Any], object]) -> None:
    """A refused token raises `BadToken`, so that the sync is retried; only denied access gives a lasting answer."""
    with pytest.raises(BadToken):
        ask(_context(EXPIRED))
    if ask is _answers:
        with pytest.raises(AnswersUnusable):
            ask(_context(NO_ACCESS))
    else:
        assert isinstance(ask(_context(NO_ACCESS)), str | list | UnreadableSamples)


def test_a_sign_in_that_the_hub_does_not_accept_is_refused() -> None:
    """A sign-in code that the Hub answers with 401 counts as refused, not as an outage of the Hub."""
    assert _failure(EXPIRED) == "refused"


def test_a_refused_token_for_models_pages_is_on_the_maintainers_list_until_it_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refused token for models' pages is noted, syncs of these pages wait an hour, and success clears the notice."""
    context = _context(EXPIRED, models_hub=RefusingHub(EXPIRED))
    monkeypatch.setattr(pull_request.consent, "consents", lambda *_: [])
    assert pull_request.sync_model_page(context, "org/model") == NOW + RETRY_SECONDS
    assert refused_since(context) == NOW
    monkeypatch.setattr(pull_request, "own_pulls", lambda *_: [])
    assert pull_request.sync_model_page(context, "org/other") == NOW + RETRY_SECONDS
    context.now = lambda: NOW + RETRY_SECONDS
    assert pull_request.sync_model_page(context, "org/model") is None
    assert refused_since(context) is None


def test_a_process_that_starts_with_a_new_token_clears_the_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its start, the sync process tests the token only if a notice exists, and clears it if the Hub accepts it."""
    good = SimpleNamespace(whoami=lambda: "scores")
    context = _context(EXPIRED, probe=SimpleNamespace(warm=lambda: None))
    settings = SimpleNamespace(log_level="INFO", log_json=False, models_token=lambda _: "")
    monkeypatch.setattr(sync_process, "configure_logs", lambda *_, **__: None)
    monkeypatch.setattr(sync_process, "build_platforms", lambda *_: None)
    monkeypatch.setattr(sync_process, "open_board_context", lambda _: context)

    def start(hub: object) -> float | None:
        context.models_hub = hub
        return refused_since(sync_process.open_sync_context(cast(Any, settings), None))

    with pytest.raises(ModelsTokenRefused), refusal_noted(context, cast(Any, RefusingHub(EXPIRED))):
        raise EXPIRED
    assert [start(hub) for hub in (RefusingHub(EXPIRED), RefusingHub(Unreachable("away")), None)] == [NOW] * 3
    assert start(good) is None
    assert start(RefusingHub(AssertionError("asked"))) is None


def test_a_command_fails_by_the_token_for_models_pages_and_waits_for_the_bots_own() -> None:
    """A refused token for models' pages ends a command, since retries cannot help; a refused bot token is retried."""
    context = _context(EXPIRED)
    with pytest.raises(ModelsTokenRefused), refusal_noted(context, cast(Any, RefusingHub(EXPIRED))):
        raise EXPIRED
    good = cast(Any, SimpleNamespace(whoami=lambda: "scores"))
    with pytest.raises(BadToken), refusal_noted(context, good):
        raise EXPIRED


def test_the_doctor_says_which_token_to_replace() -> None:
    """`steward doctor` names the setting of the refused token for models' pages."""
    (check,) = models_token(_context(EXPIRED, models_hub=RefusingHub(EXPIRED)))
    assert (check.state, "STEWARD_MODEL_PR_TOKEN" in check.mend) == ("error", True)
