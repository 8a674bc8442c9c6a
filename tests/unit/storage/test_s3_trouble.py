"""S3 that is away, full, slow or refuses us: each its own error, with what to do and without a secret."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from pressroom.errors import StorageDenied, StorageFull, StorageUnavailable
from pressroom.storage import ObjectStore, StoreOptions

KEY = "2026/01/31/5-a.png"
SECRETS = ("example-id", "hush-hush")


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def checks_credentials(endpoint):
    """From here on the server wants real credentials, as it does not by default."""

    def after(actions):
        url = f"{endpoint}/moto-api/reset-auth"
        httpx2.post(url, content=actions, headers={"content-type": "text/plain"}).raise_for_status()

    after("0")
    yield
    after("inf")


@pytest.fixture
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
async def answering():
    """Starts a server that reads a request and gives one fixed answer, or none and keeps the line open."""
    servers, hold = [], asyncio.Event()

    async def start(answer):
        async def talk(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                await hold.wait()
            else:
                writer.write(answer)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    hold.set()
    for server in servers:
        server.close()
        await server.wait_closed()


def opened(endpoint, home, *, bucket="pictures", **options):
    known = {"access_key_id": SecretStr(SECRETS[0]), "secret_access_key": SecretStr(SECRETS[1])}
    chosen = {"endpoint": endpoint, "region": "us-east-1", "max_retries": 1, **known, **options}
    return ObjectStore.open(f"s3://{bucket}", options=StoreOptions(**chosen), home=home)


async def fails(store, picture, error, says):
    """Check and put fail alike."""
    for call in (store.check(), store.put(KEY, picture, content_type="image/png", metadata={})):
        with pytest.raises(error, match=says) as caught:
            await call
        assert type(caught.value) is error
        assert not any(secret in f"{caught.value} {caught.value!r}" for secret in SECRETS)


async def test_a_missing_bucket_is_to_be_created(endpoint, tmp_path, picture):
    """Not an object that was not found."""
    await fails(opened(endpoint, tmp_path, bucket="nowhere"), picture, StorageDenied, "create it first")


async def test_a_missing_bucket_fails_reading_too(endpoint, tmp_path):
    """The server's code tells it apart from a missing object."""
    with pytest.raises(StorageDenied, match="create it first"):
        await anext(opened(endpoint, tmp_path, bucket="nowhere").read(KEY))


async def test_a_dead_server_may_come_back(free_port, tmp_path, picture):
    """Nobody listens."""
    await fails(
        opened(f"http://127.0.0.1:{free_port}", tmp_path), picture, StorageUnavailable, "does not answer"
    )


async def test_a_silent_server_is_given_up(answering, tmp_path, picture):
    """It takes the connection and says nothing."""
    store = opened(await answering(None), tmp_path, read_timeout_s=0.2, request_timeout_s=0.2)

    await fails(store, picture, StorageUnavailable, "does not answer")


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (b"", StorageUnavailable, "does not answer"),
        (b"HTTP/1.1 503 Slow Down\r\ncontent-length: 0\r\n\r\n", StorageUnavailable, "overloaded"),
        (b"HTTP/1.1 507 Full\r\ncontent-length: 0\r\n\r\n", StorageFull, "free some space"),
        (b"HTTP/1.1 301 Elsewhere\r\ncontent-length: 0\r\n\r\n", StorageDenied, "set the region"),
        (b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", StorageDenied, "check the credentials"),
    ],
    ids=["reset", "503", "507", "301", "401"],
)
async def test_each_answer_has_its_meaning(answering, tmp_path, picture, answer, error, says):
    """As a server on the wire gives it."""
    await fails(opened(await answering(answer), tmp_path), picture, error, says)


@pytest.mark.usefixtures("checks_credentials")
async def test_wrong_credentials_are_said_and_never_shown(endpoint, tmp_path, picture):
    """The server refuses the key id; neither it nor the secret appears."""
    await fails(opened(endpoint, tmp_path), picture, StorageDenied, "check the credentials")


async def test_no_credentials_anywhere_are_said(endpoint, tmp_path, picture, monkeypatch, free_port):
    """Settings, environment and the machine's own identity service have none."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port}")
    store = opened(endpoint, tmp_path, access_key_id=None, secret_access_key=None)

    await fails(store, picture, StorageDenied, "no credentials were found")


async def test_credentials_are_found_in_the_providers_environment(endpoint, tmp_path, picture, monkeypatch):
    """Settings name none, the usual variables do."""
    httpx2.put(f"{endpoint}/pictures").raise_for_status()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "example-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-hush")
    store = opened(endpoint, tmp_path, access_key_id=None, secret_access_key=None)

    await store.check()
    await store.put("from-environment.png", picture, content_type="image/png", metadata={})


@pytest.mark.parametrize("name", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
async def test_no_endpoint_of_the_environment_wins_over_the_setting(
    endpoint, tmp_path, monkeypatch, name, free_port
):
    """Pictures never go to a host that the settings do not name."""
    httpx2.put(f"{endpoint}/pictures").raise_for_status()
    monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")

    await opened(endpoint, tmp_path).check()


async def test_the_environment_cannot_allow_plain_http(tmp_path, picture, monkeypatch, free_port):
    """Only the setting can."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")

    await fails(opened(None, tmp_path), picture, StorageDenied, "plain http")
