"""Sends calls to a Hub, up to a budget; refuses writes to anything that the run did not make; waits for rate limits."""

from __future__ import annotations

import json as jsonlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

import httpx2

from localhub.contract.checks import Differs, NotTried, one_line
from localhub.contract.guard import WriteGuard

Sender = Literal["own", "other", "wrong", "anonymous"]
"""Whose token a call carries."""

MAX_BYTES = 8 << 20
_MAX_HOPS = 5
_TRIES = 3
_FROM_FIRST_HOP = ("x-repo-commit", "x-linked-etag", "x-linked-size")
_TOO_MANY = 429
_RATE_LIMIT = re.compile(r'"?(\w+)"?;\s*r=(\d+);\s*t=(\d+)')
_COMMIT_QUOTA = "repository commits"
_LONGEST_WAIT = 330.0
"""Seconds: a little more than one window of the Hub's rate limits."""
_WAIT_WITHOUT_A_TIME = 60.0
_WRONG_TOKEN = "hf_thisTokenOpensNothing"  # noqa: S105 (no account has it)


@dataclass(frozen=True)
class HubAnswer:
    """An answer of the Hub; header names are lower-case."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def call(self) -> str:
        """The method and the path."""
        return f"{self.method} {urlsplit(self.url).path}"

    def json(self) -> Any:
        """Return the body as JSON. Raises Differs if it is not valid JSON."""
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError):
            raise Differs(f"JSON from {self.call}", f"{self.status} {one_line(self.text)}") from None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def code(self) -> str:
        """The Hub's name for an error."""
        return self.headers.get("x-error-code", "")

    @property
    def error(self) -> str:
        """The Hub's message about an error, from the body or a header; empty if there is none."""
        try:
            fields = jsonlib.loads(self.body)
        except (ValueError, RecursionError):
            fields = {}
        message = fields.get("error") if isinstance(fields, dict) else None
        return str(message or self.headers.get("x-error-message", ""))

    def expect(self, *statuses: int) -> HubAnswer:
        """Return this answer. Raises Differs if its status is none of `statuses`."""
        if self.status not in statuses:
            expected = " or ".join(map(str, statuses))
            raise Differs(f"{expected} to {self.call}", self._summary())
        return self

    def expect_refusal(self) -> HubAnswer:
        """Return this answer. Raises Differs unless its status is a client error, of 400 to 499."""
        if not 400 <= self.status < 500:
            raise Differs(f"a refusal (4xx) of {self.call}", self._summary())
        return self

    def _summary(self) -> str:
        """The status and the error, but not the body of a success, which may contain data of the account."""
        return f"{self.status} {one_line(self.error or self.text) if self.status >= 400 else ''}".strip()


class CallBudget:
    """The numbers of calls that a run may make and has made; `set_up` counts those that create what facts need."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.set_up = 0
        self.in_set_up = False
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count a call. Raises NotTried if no call is left."""
        with self._lock:
            if self.used >= self.most:
                raise NotTried(f"all {self.most} calls of this run are used")
            self.used += 1
            self.set_up += self.in_set_up


class ContractClient:
    """Connections to the Hub at `endpoint`, shared by the facts of one run. `tokens` maps senders to tokens."""

    def __init__(
        self,
        endpoint: str,
        tokens: Mapping[Sender, str],
        guard: WriteGuard,
        budget: CallBudget,
        *,
        timeout: float = 60.0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.guard = guard
        self.budget = budget
        self._tokens = {"wrong": _WRONG_TOKEN, **tokens}
        self._note = note
        self._not_before = 0.0
        self._client = httpx2.Client(timeout=timeout, follow_redirects=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def has(self, sender: Sender) -> bool:
        """Whether there is a token of this sender."""
        return sender in self._tokens

    def token(self, sender: Sender) -> str:
        """The token of a sender, for git."""
        return self._tokens[sender]

    def get(self, path: str, **options: Any) -> HubAnswer:
        """`call` with GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> HubAnswer:
        """`call` with POST."""
        return self.call("POST", path, **options)

    def call(
        self,
        method: str,
        path: str,
        *,
        sender: Sender = "own",
        params: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        follow: bool = False,
        wait: bool = True,
        seconds: float | None = None,
    ) -> HubAnswer:
        """Send one call. `path` starts with `/`, or is an address that the Hub named.

        `follow`: reads follow redirects as a client does, and keep the first answer's headers about the file. `wait`:
        after a 429, wait as long as the Hub asks, and send the call again. `seconds`: stop reading the body after that
        time, and return the part that has arrived. Raises NotTried if the Hub cannot be reached.
        """
        self.guard.check(method, path, json)
        if json is not None:
            content = jsonlib.dumps(json).encode()
            headers = {"content-type": "application/json", **(headers or {})}
        for _ in range(_TRIES):
            answer = self._send(method, path, sender, params, content, headers or {}, seconds)
            if answer.status == _TOO_MANY and wait:
                self._await_limit(answer)
                continue
            return self._follow(answer, sender, headers or {}) if follow else answer
        raise NotTried(f"the Hub still answers 429 to {method} {urlsplit(path).path} after {_TRIES} calls")

    def _follow(self, answer: HubAnswer, sender: Sender, headers: Mapping[str, str]) -> HubAnswer:
        first: dict[str, str] = {}
        for _ in range(_MAX_HOPS):
            first = {name: answer.headers[name] for name in _FROM_FIRST_HOP if name in answer.headers} | first
            target = answer.headers.get("location")
            if answer.method not in ("GET", "HEAD") or not 301 <= answer.status <= 308 or target is None:
                return replace(answer, headers={**answer.headers, **first})
            answer = self._send(answer.method, urljoin(answer.url, target), sender, None, None, headers)
        raise Differs(f"an answer to {answer.call}", "redirects without end")

    def _send(
        self,
        method: str,
        path: str,
        sender: Sender,
        params: Mapping[str, str] | None,
        content: bytes | None,
        headers: Mapping[str, str],
        seconds: float | None = None,
    ) -> HubAnswer:
        url = path if "://" in path else self.endpoint + path
        self.budget.take()
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        sent = {"user-agent": "localhub-contract", **headers}
        if sender != "anonymous" and urlsplit(url).netloc == urlsplit(self.endpoint).netloc:
            sent["authorization"] = f"Bearer {self._tokens[sender]}"
        call = f"{method} {urlsplit(url).path}"
        try:
            with self._client.stream(method, url, params=params, content=content, headers=sent) as response:
                body = _bounded(response, call, seconds)
        except httpx2.HTTPError as error:
            raise NotTried(f"{call} got no answer: {type(error).__name__} {error}".strip()) from error
        lower = {name.lower(): value for name, value in response.headers.items()}
        answer = HubAnswer(method, url, response.status_code, lower, body)
        self._note_limit(answer)
        return answer

    def _note_limit(self, answer: HubAnswer) -> None:
        """Let the next call wait if the Hub says that none is left before the end of its window."""
        match = _RATE_LIMIT.search(answer.headers.get("ratelimit", ""))
        if match is not None and match[2] == "0" and answer.status != _TOO_MANY:
            seconds = min(float(match[3]) + 1, _LONGEST_WAIT)
            self._note(f"The Hub allows no more calls for now: waiting {seconds:.0f} s.")
            self._not_before = time.monotonic() + seconds

    def _await_limit(self, answer: HubAnswer) -> None:
        if _COMMIT_QUOTA in answer.error:
            raise NotTried(f"the Hub refuses more commits: {answer.error}")
        match = _RATE_LIMIT.search(answer.headers.get("ratelimit", ""))
        retry_after = answer.headers.get("retry-after", "")
        seconds = float(match[3]) + 1 if match and match[2] == "0" else _WAIT_WITHOUT_A_TIME
        if retry_after.isdigit():
            seconds = float(retry_after)
        if seconds > _LONGEST_WAIT:
            raise NotTried(f"the Hub asks to wait {seconds:.0f} s: {answer.error}")
        self._note(f"The Hub answers 429 to {answer.call}: waiting {seconds:.0f} s.")
        time.sleep(seconds)


def _bounded(response: httpx2.Response, call: str, seconds: float | None) -> bytes:
    body, began = bytearray(), time.monotonic()
    for chunk in response.iter_bytes():
        body += chunk
        if seconds is not None and time.monotonic() - began > seconds:
            break
        if len(body) > MAX_BYTES:
            raise Differs(f"at most {MAX_BYTES:,} bytes from {call}", "more")
    return bytes(body)
