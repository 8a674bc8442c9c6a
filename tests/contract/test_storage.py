"""What every object store promises, held against a local folder, S3 over HTTP and memory."""

from __future__ import annotations

import os
from datetime import timedelta
from uuid import uuid4

import httpx2
import obstore
import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from pressroom.errors import InvalidInput, NotFound, StorageError
from pressroom.storage import CACHE_CONTROL, ObjectStore, StoreOptions

KEY = "2026/01/31/5-20260131T120000000Z-a1.png"
SMALL = os.urandom(70_000)
LARGE = os.urandom(9 * 1024 * 1024)
META = {"seed": "5", "source": "ideogram"}


@pytest.fixture(scope="module")
def s3_endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "s3", "memory"])
def kind(request):
    return request.param


@pytest.fixture
def open_store(kind, tmp_path, request):
    """Opens the store of this round, each test with a place of its own, options on top of what it needs."""

    def local(**options):
        return ObjectStore.open("file:", options=StoreOptions(**options), home=tmp_path)

    def memory(**options):
        return ObjectStore.open("memory:", options=StoreOptions(**options), home=tmp_path)

    def s3(**options):
        endpoint = request.getfixturevalue("s3_endpoint")
        bucket = f"b{uuid4().hex}"
        httpx2.put(f"{endpoint}/{bucket}").raise_for_status()
        needed = StoreOptions(
            endpoint=endpoint,
            region="us-east-1",
            access_key_id=SecretStr("example-id"),
            secret_access_key=SecretStr("example-secret"),
            **options,
        )
        return ObjectStore.open(f"s3://{bucket}/pictures/live", options=needed, home=tmp_path)

    return {"local": local, "s3": s3, "memory": memory}[kind]


@pytest.fixture
def store(open_store):
    return open_store()


def file_of(folder, content):
    path = folder / "picture"
    path.write_bytes(content)
    return path


async def content(store, key, **span):
    return b"".join([chunk async for chunk in store.read(key, **span)])


@pytest.mark.parametrize("picture", [SMALL, LARGE, b""], ids=["small", "large", "empty"])
async def test_what_was_put_is_read_back_and_known_by_its_size(store, tmp_path, picture):
    """Small objects go out in one request, large ones in parts; both come back byte for byte."""
    await store.put(KEY, file_of(tmp_path, picture), content_type="image/png", metadata=META)

    assert picture == await content(store, KEY)
    assert len(picture) == (await store.head(KEY)).size_bytes


@pytest.mark.parametrize("picture", [SMALL, LARGE], ids=["small", "large"])
async def test_a_repeated_run_succeeds_and_another_picture_is_refused(store, tmp_path, picture):
    """The same bytes again are success; other bytes of the same or another length leave the object as it was."""
    await store.put(KEY, file_of(tmp_path, picture), content_type="image/png", metadata=META)
    await store.put(KEY, file_of(tmp_path, picture), content_type="image/png", metadata=META)

    for other in (picture[:-1] + bytes([picture[-1] ^ 1]), picture + b"x", picture[:-1]):
        with pytest.raises(StorageError, match="other content"):
            await store.put(KEY, file_of(tmp_path, other), content_type="image/png", metadata=META)
    assert picture == await content(store, KEY)


async def test_type_cache_rule_and_metadata_are_kept_where_the_store_keeps_any(store, kind, tmp_path):
    """S3 and memory keep them with the object, a local folder keeps none and does not fail over them."""
    await store.put(KEY, file_of(tmp_path, SMALL), content_type="image/png", metadata=META)

    found = await store.head(KEY)

    expected = (None, None, {}) if kind == "local" else ("image/png", CACHE_CONTROL, META)
    assert expected == (found.content_type, found.cache_control, dict(found.metadata))


async def test_a_missing_object_has_no_head_cannot_be_read_and_is_deleted_with_success(store, tmp_path):
    """Deleting twice is success, so that retention can be repeated."""
    await store.put(KEY, file_of(tmp_path, SMALL), content_type="image/png", metadata=META)
    await store.delete(KEY)
    await store.delete(KEY)

    assert await store.head(KEY) is None
    with pytest.raises(NotFound):
        await content(store, KEY)


@pytest.mark.parametrize(
    "span",
    [{"start": 10}, {"end": 10}, {"start": 10, "end": 20}, {"start": 69_990, "end": 999_999}, {"start": 0}],
)
async def test_a_range_is_the_same_slice_as_in_python(store, tmp_path, span):
    """End is exclusive, and an end beyond the object means its end."""
    await store.put(KEY, file_of(tmp_path, SMALL), content_type="image/png", metadata=META)

    assert SMALL[span.get("start") : span.get("end")] == await content(store, KEY, **span)


@pytest.mark.parametrize(
    "span", [{"start": 70_001}, {"start": 5, "end": 5}, {"start": -1}, {"start": 90_000, "end": 90_001}]
)
async def test_a_range_that_holds_nothing_is_the_callers_mistake(store, tmp_path, span):
    """Empty, negative or behind the end."""
    await store.put(KEY, file_of(tmp_path, SMALL), content_type="image/png", metadata=META)

    with pytest.raises(InvalidInput):
        await content(store, KEY, **span)


async def test_check_passes_and_leaves_no_object(store):
    """A usable store answers the check, and its probe object is gone afterwards."""
    await store.check()

    assert await obstore.list(store._handle).collect_async() == []


@pytest.mark.parametrize(
    "key", ["../x", "/etc/x", "a//b", "a/.hidden", "a\\b", "", "a/../b", "a b", "a/", "é"]
)
async def test_a_key_that_could_leave_the_store_is_refused_by_every_method(store, tmp_path, key):
    """Before any of them touches the store."""
    path = file_of(tmp_path, SMALL)
    for call in (
        store.put(key, path, content_type="image/png", metadata={}),
        store.head(key),
        content(store, key),
        store.delete(key),
        store.address(key, life=timedelta(hours=1)),
    ):
        with pytest.raises(InvalidInput):
            await call


async def test_a_vanished_file_is_named_as_such(store, tmp_path):
    """Not as a missing bucket: what is gone is on our side."""
    with pytest.raises(StorageError, match="is gone; download it again"):
        await store.put(KEY, tmp_path / "nothing", content_type="image/png", metadata=META)


async def test_the_address_is_the_cdn_where_there_is_one(open_store):
    """Key behind base address, one slash between, whatever the store."""
    store = open_store(cdn_base_url="https://img.example.com/p/")

    assert f"https://img.example.com/p/{KEY}" == await store.address(KEY, life=timedelta(hours=1))


async def test_without_a_cdn_the_address_leads_to_the_object(store, kind, tmp_path):
    """A signed address that a plain client can fetch, or the file's absolute path; memory can only name it."""
    await store.put(KEY, file_of(tmp_path, SMALL), content_type="image/png", metadata=META)

    address = await store.address(KEY, life=timedelta(hours=1))

    if kind == "memory":
        assert f"memory:{KEY}" == address
    elif kind == "local":
        assert (tmp_path / "images" / KEY).read_bytes() == SMALL
        assert str(tmp_path / "images" / KEY) == address
    else:
        answer = httpx2.get(address)
        assert answer.content == SMALL
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"] == CACHE_CONTROL
        assert {name: answer.headers[f"x-amz-meta-{name}"] for name in META} == META


@pytest.mark.parametrize("life", [timedelta(), timedelta(seconds=-1), timedelta(days=7, seconds=1)])
async def test_an_address_lives_more_than_nothing_and_at_most_seven_days(store, life):
    """S3 and GCS answer 400 to longer ones, so every store refuses them."""
    with pytest.raises(InvalidInput, match="at most 7 days"):
        await store.address(KEY, life=life)
