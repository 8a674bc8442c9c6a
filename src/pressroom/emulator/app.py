"""The emulator as an ASGI application."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route

from pressroom.emulator import account, answers, generating, reading
from pressroom.emulator.control import control_routes
from pressroom.emulator.core import IMAGE_PATH, Emulator
from pressroom.emulator.dating import Dated
from pressroom.emulator.unsupported import is_unsupported

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from pressroom.emulator.operations import Api
    from pressroom.emulator.options import EmulatorOptions


def _vendor_routes(emulator: Emulator) -> list[Route]:
    async def poll(request: Request) -> Response:
        api: Api = "v2" if request.url.path.startswith("/v2/") else "v1"
        return await reading.poll(emulator, request, api)

    async def report(request: Request) -> Response:
        return await account.report(emulator, request)

    async def download(request: Request) -> Response:
        return await reading.download(emulator, request)

    async def operation(request: Request) -> Response:
        path = request.scope["path"]
        row = generating.OPERATIONS.get(path)
        if row is not None and request.method == "POST":
            return await generating.generate(emulator, request, row)
        api: Api = "v2" if path.startswith("/v2/") else "v1"
        status, sentence = 405 if row is not None else 404, "There is no such operation"
        if is_unsupported(request.method, path):
            status, sentence = 501, "The vendor has this operation and the emulator does not imitate it"
        if request.method == "POST":
            emulator.books.count_post("other", str(status))
        return answers.refusal(api, status, sentence)

    every = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    return [
        Route("/v1/generations/{generation_id}", poll),
        Route("/v2/generations/{generation_id}", poll),
        *(Route(path, report) for path in account.REPORTS),
        Route(IMAGE_PATH + "{image}.png", download),
        Route("/{path:path}", operation, methods=every),
    ]


def create_app(options: EmulatorOptions, *, public_base_url: str | None = None) -> FastAPI:
    """
    The emulator as an application of its own.

    Served by anything but `run_embedded` and `serve`, it cannot play the faults that break a connection.

    Args:
        options: How it behaves.
        public_base_url: Start of the image addresses; None to use the host that each request named.

    Raises:
        sqlite3.Error: The books cannot be opened.
        BooksVersionError: The books have another schema.
    """
    emulator = Emulator(options, public_base_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            emulator.books.close()

    return FastAPI(
        title="Ideogram emulator",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        routes=[*control_routes(emulator), *_vendor_routes(emulator)],
        lifespan=lifespan,
        middleware=[Middleware(Dated, told=lambda: emulator.told_time(time.time()))],
    )
