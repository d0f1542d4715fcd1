"""The stream from child to worker: each message arrives, and nothing else is accepted."""

from __future__ import annotations

import json
import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.common.run_plan import RunProgress
from workers.sandbox.stream import (
    BURST_BYTES,
    BYTES_PER_SECOND,
    MAX_LINE_BYTES,
    FailedMessage,
    FinishedMessage,
    ForgedMessage,
    ProgressMessage,
    StartedMessage,
    StreamBroken,
    StreamFlooded,
    StreamReader,
    StreamWriter,
)

STARTED = b'{"kind":"started"}\n'
FINISHED = b'{"kind":"finished"}\n'
counts = st.integers(0, 1_000_000_000)
moves = st.builds(ProgressMessage, phase=st.from_regex(r"[a-z][a-z-]{0,31}", fullmatch=True), done=counts, total=counts)
failures = st.builds(
    FailedMessage, type=st.text(max_size=200), text=st.text(max_size=4_000), trace=st.text(max_size=4_000)
)


def lines(*messages: StartedMessage | ProgressMessage | FinishedMessage | FailedMessage) -> bytes:
    """Messages as a child sends them."""
    return b"".join(message.model_dump_json().encode() + b"\n" for message in messages)


@given(st.lists(moves, max_size=20), st.one_of(st.just(FinishedMessage()), failures), st.integers(1, 500))
def test_what_is_sent_arrives_in_any_pieces(
    moved: list[ProgressMessage], last: FinishedMessage | FailedMessage, size: int
) -> None:
    """The same messages come out in the same order, however the pipe splits the bytes."""
    sent = [StartedMessage(), *moved, last]
    data, reader = lines(*sent), StreamReader()
    heard = [m for i in range(0, len(data), size) for m in reader.feed(data[i : i + size], now=0)]
    assert heard == sent


@given(st.binary(max_size=2_000))
def test_noise_is_refused_and_never_anything_else(noise: bytes) -> None:
    """Random bytes raise `StreamBroken` and no other error, unless they are valid messages."""
    reader = StreamReader()
    reader.feed(STARTED, now=0)
    try:
        heard = reader.feed(noise + b"\n", now=0)
    except StreamBroken:
        return
    kinds = [json.loads(line)["kind"] for line in noise.split(b"\n")]
    assert kinds == [message.kind for message in heard]


@pytest.mark.parametrize(
    "forged",
    [
        b'{"kind":"outcome","scores":{}}\n',
        b'{"kind":"progress","phase":"evaluate","done":1,"total":2,"more":3}\n',
        b'{"kind":"progress","phase":"evaluate","done":"1","total":2}\n',
        b'{"kind":"progress","phase":"evaluate","done":-1,"total":2}\n',
        b'{"kind":"progress","phase":"evaluate","done":1e400,"total":2}\n',
        b'{"kind":"progress","phase":"<b>","done":1,"total":2}\n',
        b'{"kind":"started"}\n',
        b"[]\n",
        b"\n",
    ],
)
def test_an_invalid_message_is_refused_as_forged(forged: bytes) -> None:
    """The worker refuses unknown kinds, extra or wrong fields, and a second start, without quoting the message."""
    reader = StreamReader()
    reader.feed(STARTED, now=0)
    with pytest.raises(ForgedMessage) as refused:
        reader.feed(forged, now=0)
    assert "<b>" not in str(refused.value) and "outcome" not in str(refused.value)


@pytest.mark.parametrize("early", [FINISHED, lines(ProgressMessage(phase="load", done=0, total=0))])
def test_nothing_comes_before_the_start(early: bytes) -> None:
    """Progress or an end before the start message is refused."""
    with pytest.raises(ForgedMessage):
        StreamReader().feed(early, now=0)


def test_nothing_comes_after_the_end() -> None:
    """A message after the end message is refused."""
    reader = StreamReader()
    reader.feed(STARTED + FINISHED, now=0)
    with pytest.raises(ForgedMessage):
        reader.feed(lines(FailedMessage(type="ValueError", text="after all")), now=0)


def test_a_failure_may_come_before_the_start() -> None:
    """A failure message is accepted without a start message before it."""
    failed = FailedMessage(type="OSError", text="no walls")
    assert StreamReader().feed(lines(failed), now=0) == [failed]


def test_a_line_without_end_is_a_flood() -> None:
    """A line beyond the maximal length is refused before its end arrives."""
    with pytest.raises(StreamFlooded):
        StreamReader().feed(b"x" * (MAX_LINE_BYTES + 1), now=0)


def test_the_allowance_fills_up_with_time() -> None:
    """After a burst only so many bytes per second are allowed; the allowance refills with time."""
    line = lines(ProgressMessage(phase="evaluate", done=1, total=3))
    reader = StreamReader()
    reader.feed(STARTED, now=0)
    for _ in range((BURST_BYTES - len(STARTED)) // len(line)):
        reader.feed(line, now=0)
    reader.feed(line * (BYTES_PER_SECOND * 10 // len(line)), now=10)
    with pytest.raises(StreamFlooded):
        reader.feed(line * 100, now=10)


def test_the_writer_thins_progress_out() -> None:
    """A change of phase and the last step are sent at once, the steps between only every half second."""
    reader, writer = os.pipe()
    now = 0.0
    stream = StreamWriter(writer, every=0.5, clock=lambda: now)
    stream.send(StartedMessage())
    for step in range(1, 101):
        now += 0.01
        stream.report(RunProgress("evaluate", step, 100))
    stream.report(RunProgress("score"))
    os.close(writer)
    heard = StreamReader().feed(os.read(reader, 65536), now=0)
    os.close(reader)
    steps = [m.progress for m in heard if isinstance(m, ProgressMessage)]
    assert steps == [
        RunProgress("evaluate", 1, 100),
        RunProgress("evaluate", 51, 100),
        RunProgress("evaluate", 100, 100),
        RunProgress("score"),
    ]


@given(st.text(max_size=6_000), st.text(max_size=20_000))
def test_whatever_an_exception_says_can_be_sent(text: str, trace: str) -> None:
    """Long texts, control characters and lone surrogates are cut and cleaned until the reader accepts them."""
    with tempfile.TemporaryFile() as file:
        StreamWriter(file.fileno()).failed(ValueError(text), trace)
        file.seek(0)
        (failed,) = StreamReader().feed(file.read(), now=0)
    assert isinstance(failed, FailedMessage) and failed.type == "ValueError"
