"""A token that the Hub does not accept says nothing about a repo, and a maintainer hears of it."""

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
    """Fails every call with `error`."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.session: RefusingHub = self

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        def fail(*_: object, **__: object) -> NoReturn:
            raise self.error

        return fail


class HashInMemory:
    """One hash of Redis."""

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
    """The sync fails and is retried; only a repo that denies access gives a lasting answer."""
    with pytest.raises(BadToken):
        ask(_context(EXPIRED))
    if ask is _answers:
        with pytest.raises(AnswersUnusable):
            ask(_context(NO_ACCESS))
    else:
        assert isinstance(ask(_context(NO_ACCESS)), str | list | UnreadableSamples)


def test_a_sign_in_that_the_hub_does_not_accept_is_refused() -> None:
    """The Hub answers 401 to a code that has expired: that visitor is refused, and the Hub is not away."""
    assert _failure(EXPIRED) == "refused"


def test_a_refused_token_for_models_pages_is_on_the_maintainers_list_until_it_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The syncs of all models' pages come again in an hour, the first of which tries the token."""
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
    """A Hub that is away leaves it as it is, and without a notice the Hub is not asked."""
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
    """Retries of the command's thread cannot mend the first; the second stops the whole board until it is mended."""
    context = _context(EXPIRED)
    with pytest.raises(ModelsTokenRefused), refusal_noted(context, cast(Any, RefusingHub(EXPIRED))):
        raise EXPIRED
    good = cast(Any, SimpleNamespace(whoami=lambda: "scores"))
    with pytest.raises(BadToken), refusal_noted(context, good):
        raise EXPIRED


def test_the_doctor_says_which_token_to_replace() -> None:
    """The check of the token for models' pages names its setting."""
    (check,) = models_token(_context(EXPIRED, models_hub=RefusingHub(EXPIRED)))
    assert (check.state, "STEWARD_MODEL_PR_TOKEN" in check.mend) == ("error", True)
