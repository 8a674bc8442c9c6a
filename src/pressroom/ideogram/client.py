"""The typed client of Ideogram's API."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from pressroom.egress import Resolver, resolve
from pressroom.errors import (
    InvalidRequest,
    InvalidSettings,
    NotSent,
    RequestRefused,
)
from pressroom.ideogram.answers import (
    Acknowledgement,
    Generation,
    Image,
    Images,
    PriceQuote,
    parse_accepted,
    parse_generation,
    parse_quote,
)
from pressroom.ideogram.downloads import LIMIT_BYTES, Download, Downloader
from pressroom.ideogram.endpoint import BASE_URL, Timeouts, validate_base_url, validate_key
from pressroom.ideogram.exchange import Clock, Exchange, utc_now
from pressroom.ideogram.failures import ADVICE, Answered, Cost, answer_error, holds_error
from pressroom.ideogram.probe import Probe, probe_with
from pressroom.ideogram.reading import json_object
from pressroom.ideogram.reports import Reports
from pressroom.ideogram.request import ImageRequest, Wire
from pressroom.ideogram.routes import route
from pressroom.ideogram.tables import operation_named
from pressroom.ideogram.waiting import Sleep, Waiting, until_done
from pressroom.ideogram.wire import Outgoing, encode, poll_target, report_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path
    from types import TracebackType

    from pressroom.ideogram.call import Call
    from pressroom.ideogram.operations import JSON, Operation

MAX_CONNECTIONS: Final = 64
"""Connections to the API, and again as many for downloads: the account's 10 in flight, their polls and room to spare."""
CONNECT_RETRIES: Final = 2
"""How often `generate` repeats a request of which nothing was sent."""
NO_ADMINISTRATOR: Final = (
    "the vendor tells about an account only to a key whose owner administers its organization; use such a key, or look "
    "in the vendor's dashboard"
)

Parsed = TypeVar("Parsed")


class Ideogram(Reports):
    """
    A client of Ideogram's API.

    Nothing here repeats a paid request of which a byte may have been sent. `repr` and errors hold neither key nor prompt.

    Args:
        api_key: The key. None allows `probe` and `download` only.
        base_url: The vendor's address by default; see `validate_base_url` for what is refused.
        timeouts: Time limits.
        max_connections: Size of the pool to the API and of the one for downloads.
        waiting: How `generate` polls.
        sleep: Waits between polls, `asyncio.sleep` by default.
        clock: The time, for dates in `Retry-After`.
        resolver: Looks up download hosts.

    Raises:
        InvalidSettings: The key, the address or a time limit cannot be used.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeouts: Timeouts | None = None,
        max_connections: int = MAX_CONNECTIONS,
        waiting: Waiting | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = utc_now,
        resolver: Resolver = resolve,
    ) -> None:
        self._key = None if api_key is None else validate_key(api_key)
        self._endpoint = validate_base_url(BASE_URL if base_url is None else base_url)
        self._timeouts = timeouts or Timeouts()
        self._timeouts.check_for(self._endpoint)
        if max_connections < 1:
            raise InvalidSettings(f"max_connections is {max_connections}; it has to be 1 or more")
        self._waiting, self._sleep, self._now_is = waiting or Waiting(), sleep, clock
        self._exchange = Exchange(max_connections, self._timeouts, clock)
        self._downloads = Exchange(max_connections, self._timeouts, clock)
        self._downloader = Downloader(
            self._downloads, self._endpoint.loopback, self._timeouts.download, clock, resolver
        )
        self._closed = False

    def __repr__(self) -> str:
        """The address and whether there is a key, never the key."""
        key = "no key" if self._key is None else "key ***"
        return f"Ideogram({self._endpoint.base_url}, {key})"

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; later requests raise `NotSent`."""
        self._closed = True
        await self._exchange.aclose()
        await self._downloads.aclose()

    @property
    def base_url(self) -> str:
        """Where requests go, without a trailing slash."""
        return self._endpoint.base_url

    async def send(
        self, call: Call, *, webhook_url: str | None = None, connect_retries: int = 0
    ) -> Images | Acknowledgement:
        """
        Send one paid request, exactly once.

        Being cancelled while it runs leaves its outcome unknown, as `OutcomeUnknown` does.

        Args:
            call: From `route()`.
            webhook_url: Where the vendor shall tell the end, where the operation takes it.
            connect_retries: Repeats after `NotSent`, 1 s apart, doubling.

        Returns:
            The pictures, or the id to poll; the vendor decides which.

        Raises:
            InvalidRequest: The operation takes no webhook, or not this one.
            NotSent: Nothing left this machine.
            Refused: Declined, nothing was bought (`RequestRefused`, `KeyRefused`, `CreditsExhausted`, …).
            OutcomeUnknown: It may have been accepted.
        """
        operation, outgoing = operation_named(call.operation), encode(call, webhook_url=webhook_url)
        limits = self._timeouts
        within_s = limits.asynchronous if call.asynchronous else limits.synchronous
        for retry in range(connect_retries + 1):
            try:
                answered = await self._ask(outgoing, Cost.PAID, within_s)
                return self._read(answered, Cost.PAID, parse_accepted, operation.key_refusals)
            except NotSent:
                if retry == connect_retries:
                    raise
                await self._sleep(2.0**retry)
        raise NotSent(ADVICE[NotSent])

    async def poll(self, generation_id: str, *, api: str) -> Generation:
        """
        Read an asynchronous generation; free.

        Args:
            generation_id: From the acknowledgement.
            api: `v1` or `v2`: `call.api`.

        Raises:
            GenerationNotFound: The vendor does not know it (yet).
            KeyRefused: The key is at fault.
            RateLimited: Polled too often; `retry_after` says how long to wait.
            NotSent, Unavailable: Poll again.
        """
        answered = await self._ask(poll_target(api, generation_id), Cost.POLL, self._timeouts.poll)
        return self._read(answered, Cost.POLL, parse_generation)

    async def quote(self, call: Call) -> PriceQuote:
        """
        Ask for the price of a call; free.

        Raises:
            InvalidRequest: The operation declares no quote: asking could run and bill it, so nothing is sent.
            Refused: The call would be refused.
            NotSent, Unavailable: Ask again.
        """
        operation = operation_named(call.operation)
        if not operation.dry_run:
            raise InvalidRequest("operation", call.operation, "it declares no price quote; see table_price()")
        answered = await self._ask(encode(call, dry_run=True), Cost.FREE, self._timeouts.poll)
        return self._read(answered, Cost.FREE, parse_quote, operation.key_refusals)

    async def download(self, url: str, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> Download:
        """
        Fetch one picture to a file, without the key; free.

        The file appears under its name only when it is whole, synced and a picture.

        Raises:
            DownloadExpired: The address is dead.
            DownloadRejected: What came is not the picture, or its host is not dialled.
            Unavailable: Fetch it again.
            StorageError: The file cannot be written (`StorageFull`, `StorageDenied`).
        """
        self._check_open()
        return await self._downloader.fetch(url, path, limit_bytes)

    async def probe(self) -> Probe:
        """Ask whether the vendor answers and takes the key, by reading a generation that does not exist; free."""
        headers = self._headers() if self._key is not None else dict(_HEADERS)
        return await probe_with(self._exchange, self._endpoint.base_url, headers, self._timeouts.poll)

    async def generate(self, prompt: str, *, wire: Wire = Wire.AUTO, **fields: object) -> list[Image]:
        """
        Make pictures and wait for them: route, send, poll.

        Args:
            prompt: What to show.
            wire: Which generation of the API to use.
            fields: Further fields of `ImageRequest`.

        Returns:
            The pictures, unsafe ones among them without an address.

        Raises:
            InvalidRequest: Before anything is sent.
            ContentRefused: The vendor's safety check said no.
            OutcomeUnknown: It may have been bought; when it was accepted the message names its id.
            VendorError: Everything else, as `send` and `poll` say.
        """
        call = route(ImageRequest.model_validate({"prompt": prompt, **fields}), wire)
        accepted = await self.send(call, connect_retries=CONNECT_RETRIES)
        if isinstance(accepted, Images):
            return list(accepted.images)
        poll = partial(self.poll, accepted.generation_id, api=call.api)
        return list((await until_done(poll, accepted.generation_id, self._waiting, self._sleep)).images)

    async def _report(
        self, operation: Operation, query: dict[str, JSON], parse: Callable[[Mapping[str, JSON]], Parsed]
    ) -> Parsed:
        answered = await self._ask(report_target(operation, query), Cost.FREE, self._timeouts.poll)
        try:
            return self._read(answered, Cost.FREE, parse)
        except RequestRefused as error:
            if error.status != 404:
                raise
            words = error.vendor_message
            raise RequestRefused(f"HTTP 404: {NO_ADMINISTRATOR}", status=404, vendor_message=words) from error

    def _now(self) -> datetime:
        return self._now_is()

    def _check_open(self) -> None:
        if self._closed:
            raise NotSent("the client is closed; nothing was sent")

    def _headers(self) -> dict[str, str]:
        if self._key is None:
            raise InvalidSettings("no API key was given; pass one to Ideogram()")
        return {**_HEADERS, "Api-Key": self._key}

    async def _ask(self, outgoing: Outgoing, cost: Cost, within_s: float) -> Answered:
        self._check_open()
        headers = self._headers()
        if outgoing.content_type is not None:
            headers["Content-Type"] = outgoing.content_type
        url = self._endpoint.base_url + outgoing.target
        return await self._exchange.ask(
            outgoing.method, url, headers, outgoing.content, cost=cost, within_s=within_s
        )

    def _read(
        self,
        answered: Answered,
        cost: Cost,
        parse: Callable[[Mapping[str, JSON]], Parsed],
        key_refusals: frozenset[int] = frozenset({401}),
    ) -> Parsed:
        secrets = () if self._key is None else (self._key,)
        failed = partial(answer_error, answered, cost, key_refusals=key_refusals, secrets=secrets)
        if not 200 <= answered.status < 300:
            raise failed()
        try:
            answer = json_object(answered.body)
            if not (cost is Cost.POLL and "status" in answer) and holds_error(answer):
                raise failed()
            return parse(answer)
        except ValueError as error:
            raise failed() from error


_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pressroom"}
