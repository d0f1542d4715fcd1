"""The middleware that applies the rules of faults.py to calls."""

import asyncio
import json
import time
from dataclasses import replace
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.controls.faults import DRIPS, FaultRule, Faults


class FaultMiddleware:
    """Middleware: applies the fault rules to calls."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self.app = app
        self.faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self._rule_for(scope)
        if rule is None:
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})["fault"] = rule.route
        await getattr(self, "_" + rule.kind.replace("-", "_"))(rule, scope, receive, send)

    def _rule_for(self, scope: Scope) -> FaultRule | None:
        if scope["type"] != "http" or scope["path"].startswith("/_"):
            return None
        raw = scope.get("raw_path") or scope["path"].encode()
        return self.faults.take(scope["method"], unquote(raw.decode("latin-1")))

    async def _fail(self, rule: FaultRule, _scope: Scope, receive: Receive, send: Send) -> None:
        await _drain(receive)
        await _answer(rule, send)

    async def _fail_after(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, _discard)
        await _answer(rule, send)

    async def _delay(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(rule.seconds)
        await self.app(scope, receive, send)

    async def _hang(self, rule: FaultRule, _scope: Scope, receive: Receive, send: Send) -> None:
        await _drain(receive)
        await self._hold(rule, receive, send)

    async def _hang_after(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, _discard)
        await self._hold(rule, receive, send)

    async def _hold(self, rule: FaultRule, receive: Receive, send: Send) -> None:
        disconnect = asyncio.ensure_future(receive())  # the body has been read: the next message is the disconnect
        try:
            await self.faults.hold(rule.seconds, disconnect.done)
            if not disconnect.done():
                await _answer(replace(rule, status=504, error="Gateway Time-out"), send)
        finally:
            disconnect.cancel()

    async def _cut(self, _rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        start, whole = await self._answer_of(scope, receive)
        await send(_with_length(start, max(len(whole), 2)))
        await send({"type": "http.response.body", "body": whole[: len(whole) // 2], "more_body": True})
        # Returning before the promised length makes the server drop the connection.

    async def _short(self, _rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        start, whole = await self._answer_of(scope, receive)
        half = whole[: len(whole) // 2]
        await send(_with_length(start, len(half)))
        await send({"type": "http.response.body", "body": half})

    async def _drip(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        start, whole = await self._answer_of(scope, receive)
        await send(_with_length(start, len(whole)))
        piece = len(whole) // DRIPS + 1
        for at in range(0, len(whole), piece):
            await send({"type": "http.response.body", "body": whole[at : at + piece], "more_body": True})
            await asyncio.sleep(rule.seconds)
        await send({"type": "http.response.body", "body": b""})

    async def _stale(self, rule: FaultRule, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        asked = {name: value for name, value in scope["headers"] if name in (b"authorization", b"range")}
        call = (scope["raw_path"], scope["query_string"], tuple(asked.items()))
        now = time.monotonic()
        stored_at, answer = rule.answers.get(call, (now, None))
        if answer is None or 0 < rule.seconds <= now - stored_at:
            answer = await self._answer_of(scope, receive)
            rule.answers[call] = (now, answer)
        await send(answer[0])
        await send({"type": "http.response.body", "body": answer[1]})

    async def _answer_of(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """The start and the body of the true answer."""
        answer: list[Message] = []

        async def collect(message: Message) -> None:
            answer.append(message)

        await self.app(scope, receive, collect)
        start, *bodies = answer
        return start, b"".join(message.get("body", b"") for message in bodies)


def _with_length(start: Message, length: int) -> Message:
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    return {**start, "headers": [*headers, (b"content-length", str(length).encode())]}


async def _drain(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _discard(message: Message) -> None:
    """Drop a message of an answer that is not sent."""


async def _answer(rule: FaultRule, send: Send) -> None:
    own = {name.lower(): value for name, value in rule.headers.items()}
    body = rule.error.encode() if "content-type" in own else json.dumps({"error": rule.error}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **own}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": rule.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
