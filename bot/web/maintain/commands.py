"""`/act`: the buttons by which signed-in people give the commands of threads, and the page with the answer.

A button is a form; its command is stored for a sync, which reads the person's roles again, runs the verb as in a thread
and records the decision. The address of the answer can be reloaded, and a form that is sent twice has one effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from bot.core.commands.grammar import Command, Word
from bot.core.commands.model import Verb
from bot.core.commands.registry import BadArguments, bind
from bot.core.relative_times import in_words
from bot.read_models.models import ErrorResponse
from bot.threads.limits import MAX_COMMANDS, seconds_to_wait
from bot.threads.page_commands import BUTTONS, command_line
from bot.web.answers import PRIVATE, CannotAnswer
from bot.web.asking import SyncAsker
from bot.web.frame import Frame
from bot.web.incoming import body_of, form_in
from bot.web.signin.flow import local
from bot.web.visitors import FORM_TOKEN, Visitor, Visitors
from redis_state.board.messages import PageCommand, PageCommandResult
from redis_state.dirty import SyncPriority

ACT = "/act"
_ID = re.compile(r"[0-9a-f]{24}")


class CommandPages:
    """The pages of one board that take the commands of buttons, and show the answers."""

    def __init__(self, visitors: Visitors, frame: Frame) -> None:
        self.visitors, self.frame, self.context = visitors, frame, visitors.context
        self.asker = SyncAsker(self.context, PageCommand, PageCommandResult, SyncPriority.PERSON)

    async def post(self, request: Request) -> Response:
        """Send a button's command to a sync, wait for it briefly, and redirect to the page with the answer."""
        fields = form_in(await body_of(request))
        back, typed = local(fields.get("back", "/")[:1_000]), fields.get("reason", "")[:500]
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            return await self._page(request, status=401, why="signed-out", back_to=back, typed=typed)
        try:
            visitor.expect(fields.get(FORM_TOKEN))
        except CannotAnswer as error:
            return await self._page(request, status=403, why=error.problem.message, back_to=back, typed=typed)
        verb = BUTTONS.find(fields.get("verb", ""))
        arguments = _arguments(verb, fields) if verb is not None else BadArguments("There is no such button.")
        if verb is None or isinstance(arguments, BadArguments):
            why = arguments.why if isinstance(arguments, BadArguments) else ""
            return await self._page(request, status=422, why=why, back_to=back, typed=typed)
        command = self._command(visitor, verb, arguments, fields, back)
        try:
            await self.asker.ask(command, lambda is_new: self._refuse_too_many(command, is_new))
        except CannotAnswer as error:
            return await self._page(request, status=error.status, why=error.problem.message, back_to=back, typed=typed)
        return RedirectResponse(f"{ACT}?id={command.message_id}", 303, PRIVATE)

    async def answer(self, request: Request) -> Response:
        """The page with the answer to a command that the visitor gave."""
        visitor, name = await run_in_threadpool(self.visitors.of, request), request.query_params.get("id", "")
        if visitor is None:
            return await self._page(request, status=401, why="signed-out", back_to=local(f"{ACT}?id={name[:64]}"))
        stored = await run_in_threadpool(self._find, name) if _ID.fullmatch(name) else None
        if stored is None or stored[0].person_id != visitor.person.id:
            return await self._page(request, status=404, why="There is no such command of yours, or not any more.")
        command, result = stored
        return await self._page(request, command=command_line(command), result=result, back_to=local(command.back))

    def _find(self, name: str) -> tuple[PageCommand, PageCommandResult | None] | None:
        command = self.asker.mailbox.find(name)
        return (command, self.asker.mailbox.read(name)) if command is not None else None

    def _command(
        self, visitor: Visitor, verb: Verb, arguments: Mapping[str, str], fields: Mapping[str, str], back: str
    ) -> PageCommand:
        return PageCommand(
            person_id=visitor.person.id,
            person_name=visitor.name,
            verb=verb.name,
            arguments=dict(arguments),
            thread=fields.get("thread", "")[:500],
            back=back,
            key=fields.get("key", "")[:100],
            at=self.context.now(),
        )

    def _refuse_too_many(self, command: PageCommand, is_new: bool) -> None:
        if is_new and (wait := seconds_to_wait(self.context, command.person, f"page:{command.message_id}")):
            message = f"You gave more than {MAX_COMMANDS} commands within an hour. Give it again in {in_words(wait)}."
            raise CannotAnswer(429, ErrorResponse(code="too-many", message=message))

    async def _page(self, request: Request, *, status: int = 200, **values: Any) -> Response:
        shown = {"why": "", "command": "", "result": None, "back_to": "/", "typed": "", **values}
        return await run_in_threadpool(lambda: self.frame.page(request, "act", status=status, alone=True, **shown))


def command_routes(visitors: Visitors, frame: Frame) -> APIRouter:
    """The routes of the buttons."""
    routes, pages = APIRouter(include_in_schema=False), CommandPages(visitors, frame)
    routes.add_api_route(ACT, pages.post, methods=["POST"])
    routes.add_api_route(ACT, pages.answer, methods=["GET"])
    return routes


def _arguments(verb: Verb, fields: Mapping[str, str]) -> Mapping[str, str] | BadArguments:
    """The arguments of `verb` in a form, or why they do not fit."""
    given = {param.name: fields.get(param.name, "").strip() for param in verb.params}
    words = tuple(Word(value, key=name, quoted=True) for name, value in given.items() if value)
    return bind(verb, Command(verb.name, words, ""))
