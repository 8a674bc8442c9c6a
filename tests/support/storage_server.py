"""
An S3 server that can go away and come back.

    with storage_server() as server:
        server.make_bucket("pictures")
        server.go_away()      # connections are refused
        server.come_back()    # on the same port, with everything it held

The requests are answered by moto, whose state lives in this process and not in the socket that is closed. All servers
of a process share it, so a test takes a bucket of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING

import httpx2
import obstore
from moto.server import DomainDispatcherApplication, create_backend_app
from obstore.store import S3Store
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.serving import BaseWSGIServer


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Nothing: a line for each request would bury the test's own output."""


class StorageServer:
    """One S3 server on a port of its own."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._port = 0
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def listens(self) -> bool:
        """Whether it is there."""
        return self._server is not None

    def come_back(self) -> None:
        """Listen, on the port it had before."""
        self._server = make_server("127.0.0.1", self._port, self._app, threaded=True, request_handler=_Silent)
        self._port = self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="storage")
        self._thread.start()

    def go_away(self) -> None:
        """Stop listening; connections are refused from now on."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        httpx2.put(f"{self.endpoint}/{name}", trust_env=False).raise_for_status()

    def options(self) -> dict[str, str]:
        """What pressroom's storage settings must say to use it."""
        return {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": "example-id",
            "secret_access_key": "example-secret",
        }

    def objects(self, bucket: str, prefix: str) -> dict[str, str]:
        """Every object below a prefix with the hash of its bytes; keys without the prefix."""
        store = S3Store(bucket, prefix=prefix, config=self.options(), client_options={"allow_http": True})
        keys = [found["path"] for batch in obstore.list(store) for found in batch]
        return {key: hashlib.sha256(obstore.get(store, key).bytes()).hexdigest() for key in keys}


@contextlib.contextmanager
def storage_server() -> Iterator[StorageServer]:
    """A server that listens until the context ends."""
    server = StorageServer()
    server.come_back()
    try:
        yield server
    finally:
        server.go_away()
