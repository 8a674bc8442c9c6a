"""
One HTTP exchange over a connection pool, and the proof whether its first byte may have left.

The transport is used without httpx2's client on top: that one writes every address to the log, and ours carry
signatures and webhook tokens; it also follows the environment's proxies.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import httpx2

from pressroom.ideogram.failures import Answered, Cost, deadline_error, transport_error

if TYPE_CHECKING:
    from pressroom.errors import VendorError
    from pressroom.ideogram.endpoint import Timeouts

ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""Largest JSON answer that is read; eight pictures' worth of metadata is a few kilobytes."""
KEEPALIVE_S: Final = 3.0
"""Seconds that an idle connection is kept. Below the 5 s after which common servers close theirs: a request sent just
as the server hangs up is lost in the one way that cannot be told from a purchase."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


class AnswerTooLarge(Exception):
    """The answer exceeds `ANSWER_LIMIT_BYTES`; never leaves this module."""


class _Sending:
    """Whether the request's first byte may have left; the time to answer counts from there."""

    def __init__(self, within_s: float, timeouts: Timeouts) -> None:
        self.within_s = within_s
        self.before_s = timeouts.pool + 2 * timeouts.connect  # connecting and TLS have the limit each
        self.begun = False
        self.deadline: asyncio.Timeout | None = None

    async def trace(self, event: str, _info: dict[str, Any]) -> None:
        """Told by the transport before each of its steps (httpx2's `trace` extension)."""
        if event.endswith("send_request_headers.started"):
            self.begun = True
            assert self.deadline is not None
            self.deadline.reschedule(asyncio.get_running_loop().time() + self.within_s)


class Exchange:
    """Sends requests through one bounded pool. Follows no redirect, sends no cookie, reads no environment."""

    def __init__(
        self,
        max_connections: int,
        timeouts: Timeouts,
        clock: Clock = utc_now,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        limits = httpx2.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=KEEPALIVE_S,
        )
        self._transport = transport or httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)
        self._timeouts = timeouts
        self._clock = clock

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        *,
        cost: Cost,
        within_s: float,
    ) -> Answered:
        """
        Send one request and read its whole answer.

        Args:
            method: HTTP method.
            url: Full address.
            headers: All headers but host and length.
            content: The body.
            cost: What sending it again could cost; decides the error.
            within_s: Seconds from the first byte sent to the last one received; connecting has its own limits.

        Raises:
            NotSent: Nothing left this machine.
            OutcomeUnknown: The request is paid and may have been accepted.
            Unavailable: The request is free and failed.
        """
        sending = _Sending(within_s, self._timeouts)
        answered: Answered | None = None
        try:
            async with (
                asyncio.timeout(sending.before_s) as sending.deadline,
                self._opened(method, url, headers, content, sending) as response,
            ):
                answered = Answered(response.status_code, lowered(response.headers), b"", self._clock())
                return replace(answered, body=await _read(response))
        except Exception as error:  # any of them may follow a purchase, so each becomes one of ours
            if _is_refusal(answered):
                return answered
            raise _failure(error, cost, sending, answered) from error

    @contextlib.asynccontextmanager
    async def opened(
        self, url: httpx2.URL, headers: Mapping[str, str], *, server_name: str | None
    ) -> AsyncIterator[httpx2.Response]:
        """
        A GET whose body the caller streams; exceptions are httpx2's own.

        Args:
            url: What to dial.
            headers: All headers, host included.
            server_name: Name that the certificate has to carry, where the address dialled is a number.
        """
        extensions: dict[str, Any] = {"timeout": self._limits(self._timeouts.download_read)}
        if server_name is not None:
            extensions["sni_hostname"] = server_name
        request = httpx2.Request("GET", url, headers=headers, extensions=extensions)
        async with self._response(request) as response:
            yield response

    @contextlib.asynccontextmanager
    async def _opened(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, sending: _Sending
    ) -> AsyncIterator[httpx2.Response]:
        extensions = {"timeout": self._limits(sending.within_s), "trace": sending.trace}
        request = httpx2.Request(method, url, headers=headers, content=content or None, extensions=extensions)
        async with self._response(request) as response:
            yield response

    @contextlib.asynccontextmanager
    async def _response(self, request: httpx2.Request) -> AsyncIterator[httpx2.Response]:
        response = await self._transport.handle_async_request(request)
        response.request = request
        try:
            yield response
        finally:
            await response.aclose()

    def _limits(self, read_s: float) -> dict[str, float]:
        limits = self._timeouts
        return {"connect": limits.connect, "pool": limits.pool, "read": read_s, "write": read_s}


def lowered(headers: httpx2.Headers) -> dict[str, str]:
    """Headers by lower-case name; repeated ones joined by commas."""
    return {name.lower(): value for name, value in headers.items()}


async def _read(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > ANSWER_LIMIT_BYTES:
            raise AnswerTooLarge(f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes")
    return bytes(body)


def _is_refusal(answered: Answered | None) -> TypeGuard[Answered]:
    """A refusal whose body broke off is still a refusal: its status came whole."""
    return answered is not None and 400 <= answered.status < 500


def _failure(error: Exception, cost: Cost, sending: _Sending, answered: Answered | None) -> VendorError:
    if isinstance(error, TimeoutError):
        limit_s = sending.within_s if sending.begun else sending.before_s
        failure = deadline_error(cost, limit_s, may_have_left=sending.begun)
    else:
        failure = transport_error(error, cost, may_have_left=sending.begun)
    failure.status = None if answered is None else answered.status
    return failure
