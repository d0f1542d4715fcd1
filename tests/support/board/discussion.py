"""A discussion in the requests repo, its comments, and the bot's replies; and the maintainers' threads."""

from __future__ import annotations

from typing import Any

from huggingface_hub.community import DiscussionComment

from bot.threads.maintainers_list import TITLE
from steward.testing.board import REQUESTS, BoardDriver


class Discussion:
    """A new discussion of Ada's, or the existing one with this number."""

    def __init__(
        self, stand: BoardDriver, title: str = "A question", post: str = "Hello.", *, number: int | None = None
    ) -> None:
        self.stand = stand
        if number is None:
            number = int(stand.ada.create_discussion(REQUESTS, title, description=post, repo_type="dataset").num)
        self.number = number

    def say(self, text: str, api: Any = None) -> str:
        """Post a comment as Ada or as the owner of `api`, and sync the thread; return the comment's id."""
        comment = (api or self.stand.ada).comment_discussion(REQUESTS, self.number, comment=text, repo_type="dataset")
        self.look()
        return str(comment.id)

    def ask(self, text: str, api: Any = None) -> str:
        """Post a comment, and return the bot's last reply."""
        self.say(text, api)
        return self.replies()[-1]

    def look(self) -> None:
        """Advance the clock, and sync the thread."""
        self.stand.time += 120
        self.stand.context.mark(f"thread:dataset/{REQUESTS}:{self.number}")
        self.stand.work()

    def replies(self) -> list[str]:
        """Return the bot's comments."""
        thread = self.stand.ada.get_discussion_details(REQUESTS, self.number, repo_type="dataset")
        comments = [event for event in thread.events if isinstance(event, DiscussionComment)]
        return [comment.content for comment in comments if comment.author == "steward-bot"]


def open_thread(stand: BoardDriver, title: str, post: str) -> Discussion:
    """Open a thread as Ada, and sync it three times."""
    talk = Discussion(stand, title, post)
    for _ in range(3):
        talk.look()
    return talk


def digests(stand: BoardDriver) -> list[list[str]]:
    """Return the opening post and the comments of each of the maintainers' threads."""
    return [
        [event.content for event in thread.events if event.type == "comment"]
        for thread in stand.threads()
        if thread.title == TITLE
    ]
