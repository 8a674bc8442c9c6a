import asyncio
import hashlib
import struct
import zlib

import pytest

from pressroom.errors import DownloadExpired, DownloadRejected, NotSent, StorageError, Unavailable
from pressroom.ideogram import Ideogram, Timeouts, examine
from pressroom.ideogram.pictures import recognise

SHORT = Timeouts(connect=0.5, pool=0.5, download=0.5, download_read=0.3)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=3, height=2) -> bytes:
    rows = zlib.compress(b"".join(b"\0" + b"\x40" * width for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x02\x00\x03\x01\x01\x11\x00\xff\xda\x00\x02xx\xff\xd9"
WEBP = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0\x02\0\0\x01\0\0"
GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"\0\0\0;"
_META = b"ispe" + b"\0\0\0\0" + struct.pack(">II", 3, 2)
AVIF = struct.pack(">I", 16) + b"ftypavif\0\0\0\0" + struct.pack(">I", 8 + len(_META)) + b"meta" + _META
KINDS = {
    "png": (png(), "image/png"),
    "jpg": (JPEG, "image/jpeg"),
    "webp": (WEBP, "image/webp"),
    "gif": (GIF, "image/gif"),
    "avif": (AVIF, "image/avif"),
}


@pytest.fixture
async def client(vendor, key):
    async with Ideogram(key, base_url=vendor.base_url, timeouts=SHORT) as opened:
        yield opened


@pytest.mark.parametrize("extension", KINDS)
async def test_a_picture_comes_home_byte_for_byte_without_the_key(vendor, client, tmp_path, extension):
    """The file holds what was sent; type and size are read from the bytes, not from what the server declares."""
    content, content_type = KINDS[extension]
    vendor.answer(200, content, {"Content-Type": "text/plain"})
    got = await client.download(f"{vendor.base_url}/p.png?exp=1&sig=x", tmp_path / "p")
    assert content == (tmp_path / "p").read_bytes()
    assert (content_type, extension, 3, 2) == (got.content_type, got.extension, got.width, got.height)
    assert (len(content), hashlib.sha256(content).hexdigest()) == (got.size_bytes, got.sha256)
    assert "api-key" not in vendor.received[0].headers
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize("extension", KINDS)
def test_every_cut_of_a_picture_is_noticed(extension):
    """No prefix of a file passes for the file."""
    content, _ = KINDS[extension]
    for length in range(len(content)):
        with pytest.raises(ValueError, match=r"cut short|damaged|no picture|no pixels"):
            recognise(content[:length])


def test_a_flipped_bit_in_a_png_is_noticed():
    """The checksums of all chunks are verified."""
    content = bytearray(png())
    content[-20] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        recognise(bytes(content))


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_dead_address_is_told_apart(vendor, client, tmp_path, status):
    """The caller can poll for a fresh one."""
    vendor.answer(status, b"gone")
    with pytest.raises(DownloadExpired) as caught:
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "p")
    assert status == caught.value.status


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_passing_trouble_is_unavailable(vendor, client, tmp_path, status):
    """The caller can fetch again, after the wait that was asked for."""
    vendor.answer(status, b"", {"Retry-After": "3"})
    with pytest.raises(Unavailable) as caught:
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "p")
    assert caught.value.retry_after == 3.0


REJECTED = {
    "a web page": lambda v: v.answer(200, b"<html>expired</html>", {"Content-Type": "image/png"}),
    "nothing": lambda v: v.answer(200, b""),
    "no content": lambda v: v.answer(204),
    "a picture cut by the sender": lambda v: v.answer(200, png()[:-4]),
    "fewer bytes than declared": lambda v: v.answer(200, png(), declared=10_000),
    "declared too large": lambda v: v.answer(200, b"", declared=101_000),
    "too large": lambda v: v.hang_up(first=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101_000),
    "encoded": lambda v: v.answer(200, png(), {"Content-Encoding": "gzip"}),
    "an answer for nobody": lambda v: v.answer(401, b""),
}


@pytest.mark.parametrize("case", REJECTED)
async def test_what_is_not_the_picture_leaves_no_file(vendor, client, tmp_path, case):
    """Rejected, and neither the file nor a part of it stays; what was there before is untouched."""
    (tmp_path / "p").write_bytes(b"before")
    REJECTED[case](vendor)
    with pytest.raises(DownloadRejected, match="larger" if "too large" in case else "."):
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "p", limit_bytes=100_000)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"p": b"before"}


BEGUN = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + png()[:20]
STOPPED = {
    "silent": lambda v: v.stay_silent(),
    "silent in the picture": lambda v: v.stay_silent(BEGUN),
    "reset": lambda v: v.hang_up(reset=True),
    "reset in the picture": lambda v: v.hang_up(reset=True, first=BEGUN),
    "closed before an answer": lambda v: v.hang_up(),
    "not HTTP": lambda v: v.hang_up(first=b"hello\r\n\r\n"),
}


@pytest.mark.parametrize("case", STOPPED)
async def test_a_connection_that_stops_is_unavailable(vendor, client, tmp_path, case):
    """Silence, resets and closing before an answer can be tried again."""
    STOPPED[case](vendor)
    with pytest.raises(Unavailable):
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


async def test_a_slow_drip_ends_at_the_total_limit(vendor, client, tmp_path):
    """Bytes that keep trickling do not keep the download alive for ever."""

    async def drip(_reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.05)

    vendor.script.append(drip)
    with pytest.raises(Unavailable):
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "p")


async def test_a_missing_folder_is_a_storage_error(vendor, client, tmp_path):
    """The file cannot be written: not the vendor's fault."""
    vendor.answer(200, png())
    with pytest.raises(StorageError):
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "absent" / "p")


async def test_redirects_are_followed_a_few_times(vendor, client, tmp_path):
    """Three are, a fourth is not."""
    for _ in range(3):
        vendor.answer(302, b"", {"Location": "/next.png"})
    vendor.answer(200, png())
    await client.download(f"{vendor.base_url}/p.png", tmp_path / "p")
    for _ in range(4):
        vendor.answer(302, b"", {"Location": "/next.png"})
    with pytest.raises(DownloadRejected, match="redirects"):
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "q")


PUBLIC_CLIENT_REFUSES = [
    "https://localhost/p.png",
    "https://127.0.0.1/p.png",
    "https://[::1]/p.png",
    "https://[::ffff:127.0.0.1]/p.png",
    "https://169.254.169.254/latest",
    "https://10.0.0.1/p.png",
    "https://100.64.0.1/p.png",
    "https://mixed.example.org/p.png",
    "http://public.example.org/p.png",
    "https://user:pw@public.example.org/p.png",
    "file:///etc/passwd",
    "https:///p.png",
    "not an address",
    "",
]


@pytest.mark.parametrize("url", PUBLIC_CLIENT_REFUSES)
async def test_a_public_client_never_dials_a_private_host(key, tmp_path, url):
    """Names count by all of their addresses, and plain http is not spoken."""

    async def resolver(host, _port):
        known = {"mixed.example.org": ["93.184.216.34", "10.0.0.7"], "localhost": ["127.0.0.1"]}
        return known.get(host, ["93.184.216.34"])

    async with Ideogram(key, timeouts=Timeouts(connect=0.3), resolver=resolver) as client:
        with pytest.raises(DownloadRejected):
            await client.download(url, tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


async def test_a_name_without_address_can_be_tried_again(key, tmp_path):
    """DNS trouble passes."""

    async def resolver(_host, _port):
        raise OSError("no such name")

    async with Ideogram(key, resolver=resolver) as client:
        with pytest.raises(Unavailable):
            await client.download("https://public.example.org/p.png", tmp_path / "p")


async def test_a_picture_at_home_is_measured_like_one_that_comes(vendor, client, tmp_path):
    """What an earlier run fetched gets the same figures; what is no picture, or not there, does not pass."""
    vendor.answer(200, png())
    assert await client.download(f"{vendor.base_url}/p.png", tmp_path / "p") == await examine(tmp_path / "p")
    (tmp_path / "q").write_bytes(png()[:-1])
    with pytest.raises(DownloadRejected):
        await examine(tmp_path / "q")
    with pytest.raises(StorageError):
        await examine(tmp_path / "absent")


async def test_a_closed_client_downloads_nothing(vendor, client, tmp_path):
    """It says so."""
    await client.aclose()
    with pytest.raises(NotSent):
        await client.download(f"{vendor.base_url}/p.png", tmp_path / "p")
