"""When many failures with one cause are an outbreak."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.outbreaks import MIN_MODELS, WINDOW_SECONDS, EndedAttempt, models_struck, suspicion

NOW = 1_000_000.0


def ended(models: str, cause: str, ago: float = 60.0) -> list[EndedAttempt]:
    """An attempt for each letter in `models`, a second after each other, that ended with `cause`."""
    return [
        EndedAttempt(f"attempt-{name}-{cause}", f"org/{name}", cause, NOW - ago + i) for i, name in enumerate(models)
    ]


@pytest.mark.parametrize(
    ("lately", "cause"),
    [
        (ended("abcd", "harness-error"), "harness-error"),
        (ended("abc", "harness-error"), None),
        (ended("aaaa", "harness-error"), None),
        (ended("abcd", "harness-error", ago=WINDOW_SECONDS + 60), None),
        (ended("abcd", "harness-error") + ended("ef", ""), "harness-error"),
        (ended("abcd", "harness-error") + ended("efghi", ""), None),
        (ended("abcd", "cancelled"), None),
        (ended("abcd", "") + ended("efgh", ""), None),
        (ended("abcd", "stalled") + ended("efghi", "harness-error"), "harness-error"),
    ],
    ids=[
        "four models", "three are few", "one model often", "long ago", "two went well", "most went well",
        "people cancel", "all is well", "the larger of two",
    ],
)  # fmt: skip
def test_an_outbreak_is_one_cause_that_strikes_many_models_at_once(
    lately: list[EndedAttempt], cause: str | None
) -> None:
    """An outbreak is one cause that fails at least four models, and half of the models that ended, within an hour."""
    outbreak = suspicion(lately, now=NOW)
    assert (outbreak.cause if outbreak else None) == cause


def test_failures_before_a_successful_canary_no_longer_count() -> None:
    """Failures before the canary succeeded no longer count for that cause; four later ones are a new outbreak."""
    first, more = ended("abcd", "stalled"), ended("efgh", "stalled", ago=10)
    assert suspicion(first, now=NOW, cleared={"stalled": NOW - 20}) is None
    outbreak = suspicion(first + more, now=NOW, cleared={"stalled": NOW - 20})
    assert outbreak is not None
    assert outbreak.models == ("org/e", "org/f", "org/g", "org/h")


def test_the_reason_names_cause_and_models_in_one_sentence_or_two() -> None:
    """The reason names the cause, the models, the fault and the next step."""
    reason = models_struck(ended("abcdefg", "harness-error"), "harness-error", now=NOW).reason("KeyError: 'solution'")
    assert reason.startswith("7 models failed with harness-error within an hour (org/a, org/b, org/c, org/d, org/e, …)")
    assert "KeyError: 'solution'" in reason
    assert "The fault is ours" in reason


attempts = st.builds(
    EndedAttempt,
    attempt=st.text(min_size=1, max_size=4),
    model=st.sampled_from("abcdefgh"),
    cause=st.sampled_from(["", "stalled", "harness-error", "cancelled"]),
    at=st.floats(NOW - 2 * WINDOW_SECONDS, NOW + 10),
)


@given(st.lists(attempts, max_size=40))
def test_whatever_is_suspected_has_struck_enough_models(lately: list[EndedAttempt]) -> None:
    """In any history of attempts, a suspected cause has failed enough different models, and is no cancellation."""
    outbreak = suspicion(lately, now=NOW)
    if outbreak is not None:
        assert len(set(outbreak.models)) == len(outbreak.models) >= MIN_MODELS
        assert outbreak.cause not in ("", "cancelled")
