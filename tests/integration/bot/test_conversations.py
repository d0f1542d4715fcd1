"""Conversations from beginning to end, and the transcript of them all in `docs/conversations.md`.

STEWARD_REWRITE=1 python -m pytest tests/integration/bot/test_conversations.py   writes the file anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from bot.probe import Probe
from bot.threads.maintainers_list import TITLE, waiting_threads
from localhub.testing import LocalHub
from steward.valkey import Valkey
from tests.support.board.board_driver import REQUESTS, BoardDriver, world
from tests.support.board.transcripts import BROKEN, LOST, Transcripts, TranscriptThread, chapter, normalised, town

HEAD = """# Conversations

What people write on a board, and what Steward answers. Each of these is played by a test, on a Hub of our own; ids,
commits and times are made alike. Ada and Bob submit models, Mia is a maintainer, and `steward-bot` is Steward. Comments
are shown as they stand at the end: a reply says that something is being done, and is edited when it is done.

Written by `STEWARD_REWRITE=1 python -m pytest tests/integration/bot/test_conversations.py`.

"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[Transcripts]:
    """One board for all conversations."""
    with redis.Redis.from_url(valkey.url) as connection:
        connection.flushall()
        with LocalHub(tmp_path_factory.mktemp("hub"), town(world())) as hub:
            stand = BoardDriver(hub, connection, probe)
            ids = {name: stand.context.hub.user(name).id for name in ("mia", "form")}
            changes = {"maintainers": (ids["mia"],), "front_ends": (ids["form"],), "attempts": 1}
            stand.context.board = stand.context.board.model_copy(update=changes)
            stand.settle()
            yield Transcripts(stand)
            stand.context.hub.close()


Told = tuple[str, str, list[TranscriptThread]]
"""The title of a conversation, how it came about, and its threads."""


def our_failure(place: Transcripts) -> Told:
    """A report of a failure that was ours is answered, the model evaluated again, the end told, the thread closed."""
    path = place.submit("ada/aurora-1b", model_type="pretrained")
    place.run(path, LOST)
    talk = place.open(
        "ada", "My evaluation failed", f"Hi! This one failed over night: {place.link(path)}\n\nCan you look?"
    )
    assert "a problem on our side" in talk.told()[0]
    place.run(path)
    talk.look()
    assert "has finished" in talk.told()[1]
    assert talk.events()[-1].new_status == "closed"
    return "A failure that was ours", "A GPU broke while Ada's model was evaluated. She links the request file.", [talk]


def their_failure(place: Transcripts) -> Told:
    """A failure of the model is told with the log's lines and what to change; a mended commit is evaluated."""
    path = place.submit("ada/borealis")
    place.run(path, BROKEN)
    talk = place.open("ada", "borealis failed", "Why did ada/borealis fail?")
    assert "a problem with the submission" in talk.told()[0]
    assert "values that are not finite" in talk.told()[0]
    place.people["ada"].upload_file(path_or_fileobj=b"y", path_in_repo="model.safetensors", repo_id="ada/borealis")
    talk.say("ada", "Oh, the wrong checkpoint. I uploaded the right one.\n\n/resubmit ada/borealis")
    assert "waits for an evaluation" in talk.told()[1]
    place.run(path)
    talk.look()
    assert "has finished" in talk.told()[2]
    scene = "Ada's checkpoint holds values that are no numbers. She names the model, without a link."
    return "A failure that was the model's", scene, [talk]


def two_reporters(place: Transcripts) -> Told:
    """Two people report the same failure: it is evaluated once more, and both hear of the end."""
    path = place.submit("bob/basalt")
    place.run(path, LOST)
    first = place.open("bob", "basalt failed", place.link(path))
    second = place.open("ada", "Evaluation of basalt failed?", f"I was waiting for {place.link(path)}, what happened?")
    assert "I will post the outcome here" in second.told()[0]
    place.run(path)
    for talk in (first, second):
        talk.look()
        assert "has finished" in talk.told()[-1]
    return (
        "Two people report the same failure",
        "Bob's model failed by our fault; Ada waits for it, too.",
        [first, second],
    )


def wrong_link(place: Transcripts) -> Told:
    """A link to no request is told from a failure, and names like it are suggested."""
    link = place.link("ada/aurora-2b_eval_request_False_float32_Original.json")
    talk = place.open("ada", "Failed", f"Please relaunch {link}")
    assert "`ada/aurora-1b`" in talk.told()[0]
    return "A link that leads nowhere", "The name in the link is misspelt.", [talk]


def stranger_approves(place: Transcripts) -> Told:
    """A stranger's approval is refused with who may; a maintainer's merges what was checked."""
    talk, head = place.propose("bob", "bob/granite", "Add bob/granite")
    talk.say("bob", f"/approve {head[:8]}")
    assert "Only a maintainer" in talk.told()[-1]
    talk.say("mia", f"/approve {head[:8]}")
    talk.look()
    assert any("exactly as I checked it" in one for one in talk.told())
    return "Who may approve", "Bob submits his model by a pull request, and approves it himself.", [talk]


def maintainer_pauses(place: Transcripts) -> Told:
    """A pause stops the queue with its reason, which `/why` tells; resumed, the model has its turn again."""
    path = place.submit("bob/slate")
    talk = place.open(
        "mia", "Moving the cluster", "The machines are moved tonight.\n\n/pause board the machines are moved tonight"
    )
    talk.say("bob", "/why bob/slate")
    assert "the machines are moved tonight" in talk.told()[-1]
    talk.say("bob", "/resume board")
    talk.say("mia", "All is up again, thank you for waiting.\n\n/resume board")
    place.run(path)
    talk.look()
    return "A pause", "Mia is a maintainer. Bob's model waits for its turn.", [talk]


def appeal(place: Transcripts) -> Told:
    """A plea against a flag is answered with what helps, and waits for a maintainer."""
    talk = place.open(
        "bob", "basalt was wrongly flagged", "My model bob/basalt is no copy. It shares the tokenizer only."
    )
    assert len(talk.told()) == 1
    assert "wrongly flagged" in str(waiting_threads(place.stand.context))
    talk.say("mia", "Thank you, I will compare the weights today.")
    assert "wrongly flagged" not in str(waiting_threads(place.stand.context))
    return "A plea", "Bob's model was flagged as a copy.", [talk]


def standing_question(place: Transcripts) -> Told:
    """A question that comes again and again has its answer, with a word on how to reach a person."""
    talk = place.open("bob", "trust_remote_code?", "Hello, can I submit a model that needs trust_remote_code=True?")
    assert "This answer is automatic" in talk.told()[0]
    return "A question that many ask", "It is in the FAQ.", [talk]


def subscribing(place: Transcripts) -> Told:
    """Whoever subscribes in a request's thread is told there of its end."""
    path = place.submit("ada/corona")
    talk = place.thread_of(path)
    talk.say("bob", "/subscribe")
    place.run(path)
    talk.look()
    assert talk.told()[-1].splitlines()[1].startswith("@bob: ")
    return (
        "Waiting for a result",
        "Bob wants to know how Ada's model does, and writes in the thread of its request.",
        [talk],
    )


def newer_commit(place: Transcripts) -> Told:
    """A finished request is evaluated at a newer commit; its thread is opened for that, and closed again."""
    path = "ada/aurora-1b_eval_request_False_float32_Original.json"
    place.people["ada"].upload_file(path_or_fileobj=b"z", path_in_repo="model.safetensors", repo_id="ada/aurora-1b")
    talk = place.thread_of(path)
    talk.say("bob", "/resubmit")
    talk.say("ada", "Version 1.1 is out.\n\n/resubmit")
    place.run(path)
    talk.look()
    return (
        "A newer version",
        "Ada's model has a result already. She trained on, and writes in the thread of its request.",
        [talk],
    )


def several_with_a_typo(place: Transcripts) -> Told:
    """Several commands in one comment get one reply, in which a misspelt one gets a suggestion."""
    commands = "/status bob/basalt\n/serach basalt; Precision: float32\n/relaunch bob/basalt"
    text = f"Three things:\n\n{commands}\n\nThe last one again, please."
    talk = place.open("ada", "About basalt", "Good morning!")
    talk.say("ada", text)
    assert "Did you mean `/search`?" in talk.told()[0]
    talk.say("ada", "/search basalt; Precision: float32")
    return "Several commands at once, one misspelt", "Basalt is Bob's model, not Ada's.", [talk]


def for_a_person(place: Transcripts) -> Told:
    """What the bot does not understand it leaves to people: the thread is on the maintainers' list until one speaks."""
    talk = place.open(
        "bob", "An idea for the leaderboard", "How about a column with the energy that an evaluation took?"
    )
    assert talk.told() == []
    assert "An idea for the leaderboard" in str(waiting_threads(place.stand.context))
    place.stand.context.mark("digest")
    place.stand.tick()
    place.stand.work()
    (digest,) = [one for one in place.stand.threads() if one.title == TITLE]
    talk.say("mia", "I like it. Let us measure it first.")
    scene = (
        "Nothing that the bot could answer. It says nothing there, and the thread stands in the digest for maintainers."
    )
    return "Something for people", scene, [talk, TranscriptThread(place, digest.num)]


def from_a_thread(place: Transcripts) -> Told:
    """A model is checked, submitted and withdrawn without leaving the thread."""
    talk = place.open("ada", "Submitting from here", "Does this work?\n\n/check ada/pickled precision=float32")
    talk.say("ada", "/submit ada/aurora-chat precision=float32")
    talk.say("bob", "/cancel ada/aurora-chat")
    talk.say("ada", "/cancel ada/aurora-chat I found a mistake in the chat template")
    assert "can use" in talk.told()[2]
    return "Submitting from a thread", "Ada has one model with weights as pickles, and one as safetensors.", [talk]


STORIES: list[Callable[[Transcripts], Told]] = [
    our_failure,
    their_failure,
    two_reporters,
    wrong_link,
    stranger_approves,
    maintainer_pauses,
    appeal,
    standing_question,
    subscribing,
    newer_commit,
    several_with_a_typo,
    for_a_person,
    from_a_thread,
]


def test_the_conversations_are_those_of_the_docs(place: Transcripts, project: Path) -> None:
    """Each goes as it should, and reads as it is written in `docs/conversations.md`, letter by letter."""
    chapters = [chapter(number, *story(place)) for number, story in enumerate(STORIES, 1)]
    text = HEAD + normalised("\n".join(chapters), place.stand.hub.url).rstrip() + "\n"
    file = project / "docs" / "conversations.md"
    if os.environ.get("STEWARD_REWRITE"):
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8"), "read the conversations, then run again with STEWARD_REWRITE=1"
    assert f"@{REQUESTS}" not in text
