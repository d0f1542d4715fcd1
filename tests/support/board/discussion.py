"""A discussion in the requests repo, and what is said there."""

from __future__ import annotations

from typing import Any

from huggingface_hub.community import DiscussionComment

from tests.support.board.board_driver import REQUESTS, BoardDriver


class Discussion:
    """A discussion that Ada opened, or the one of this number."""

    def __init__(
        self, stand: BoardDriver, title: str = "A question", post: str = "Hello.", *, number: int | None = None
    ) -> None:
        self.stand = stand
        if number is None:
            number = int(stand.ada.create_discussion(REQUESTS, title, description=post, repo_type="dataset").num)
        self.number = number

    def say(self, text: str, api: Any = None) -> str:
        """Ada, or somebody else, writes a comment, and the bot looks at the thread; the comment's id."""
        said = (api or self.stand.ada).comment_discussion(REQUESTS, self.number, comment=text, repo_type="dataset")
        self.look()
        return str(said.id)

    def ask(self, text: str, api: Any = None) -> str:
        """`say`, and what the bot answered last."""
        self.say(text, api)
        return self.replies()[-1]

    def look(self) -> None:
        """A while later the bot looks at the thread."""
        self.stand.time += 120
        self.stand.context.mark(f"thread:dataset/{REQUESTS}:{self.number}")
        self.stand.work()

    def replies(self) -> list[str]:
        """What the bot says there."""
        found = self.stand.ada.get_discussion_details(REQUESTS, self.number, repo_type="dataset")
        said = [event for event in found.events if isinstance(event, DiscussionComment)]
        return [event.content for event in said if event.author == "steward-bot"]
