from __future__ import annotations

import ast
import asyncio
import signal
from dataclasses import fields
from pathlib import Path

import httpx2
import pytest
from tests.unit.emulator.raw import post

import pressroom.emulator
from pressroom.emulator import FAULTS, BooksVersionError, EmulatorOptions, create_app, run_embedded
from pressroom.emulator.books import Books
from pressroom.emulator.control import _HANDLERS
from pressroom.emulator.generating import OPERATIONS
from pressroom.emulator.settings import SETTING_RULES

PATH = "/v2/image/generate/ideogram-4"


@pytest.mark.parametrize(
    ("peer", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("10.0.0.7", 403), ("8.8.8.8", 403), ("somebody", 403)],
)
async def test_the_control_path_answers_this_machine_only(tmp_path, peer, status):
    """The imitated operations answer everybody; the control path refuses a peer that is not loopback."""
    app = create_app(EmulatorOptions(tmp_path / "books.sqlite", time_scale=0))
    transport = httpx2.ASGITransport(app, client=(peer, 1))
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=transport, base_url="http://emulator", headers={"Api-Key": "k"}
        ) as client,
    ):
        assert (await client.get("/_emulator/totals")).status_code == status
        assert (await client.post("/_emulator/reset")).status_code == status
        assert (await client.post(PATH, json={"prompt": "a"})).status_code == 200


def test_the_ledger_holds_no_key_and_tells_prompts_only_when_asked(emulator, vendor):
    """A prompt is known by its SHA-256, a key by its fingerprint."""
    vendor.post(PATH, json={"prompt": "a secret plan"})
    plain = vendor.get("/_emulator/ledger").text
    assert "secret plan" not in plain
    assert "key-1" not in plain
    (entry,) = emulator.control.ledger(prompts=True)
    assert entry.prompt == "a secret plan"


def test_the_ledger_can_be_read_page_by_page(emulator, vendor):
    """`after` and `limit` walk through it without drawing pictures."""
    for _ in range(5):
        vendor.post(PATH, json={"prompt": "a", "async": True})
    everything = [entry.id for entry in emulator.control.ledger(pictures=False)]
    first = vendor.get("/_emulator/ledger?pictures=false&limit=2").json()["generations"]
    rest = vendor.get(f"/_emulator/ledger?pictures=false&after={first[-1]['seq']}").json()["generations"]
    assert [entry["id"] for entry in first + rest] == everything
    assert "sha256" not in first[0]


def test_refused_posts_are_counted_by_operation_and_outcome(emulator, vendor):
    """Everything that was received shows, whatever became of it."""
    vendor.post(PATH, json={"prompt": "a"})
    vendor.post(PATH, json={})
    vendor.post(PATH, params={"dry_run": "true"}, json={"prompt": "a"})
    vendor.post("/edit")
    emulator.control.fault("422", first=1)
    vendor.post(PATH, json={"prompt": "a"})
    totals = emulator.control.totals()
    assert totals.posts_received == 5
    assert totals.posts == {
        "v2.generate.ideogram-4": {"accepted": 1, "400": 1, "fault:422": 1},
        "v2.quote.ideogram-4": {"quote": 1},
        "other": {"501": 1},
    }


def test_a_reset_forgets_everything_and_uses_no_id_again(emulator, vendor):
    """Ledger, counts, marks, faults and settings are as new; ids go on."""
    emulator.control.settings(inflight_limit=3)
    first = vendor.post(PATH, json={"prompt": "a", "async": True}).json()["generation_id"]
    emulator.control.fault("503")
    emulator.control.reset()
    totals = emulator.control.totals()
    assert (totals.generations, totals.posts_received, totals.in_flight.high_water) == (0, 0, 0)
    assert (totals.in_flight.limit, emulator.control.faults()) == (10, [])
    assert vendor.get(f"/v2/generations/{first}").status_code == 404
    assert vendor.post(PATH, json={"prompt": "a", "async": True}).json()["generation_id"] != first


@pytest.mark.parametrize(
    "settings",
    [
        {"inflight_limit": 0},
        {"url_life_s": -1},
        {"time_scale": "fast"},
        {"api_keys": "key"},
        {"colour": "red"},
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(emulator, vendor, settings):
    """The answer names the setting; a right one beside it is not applied either."""
    before = emulator.control.settings()
    answer = vendor.post("/_emulator/settings", json={"refresh_urls": False, **settings})
    assert answer.status_code == 400
    assert next(iter(settings)) in answer.json()["message"]
    assert emulator.control.settings() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"inflight_limit": 0},
        {"url_life_s": -1},
        {"time_scale": -1},
        {"poll_limit_per_s": 0},
        {"picture_cache": 0},
    ],
)
def test_wrong_options_are_refused(tmp_path, wrong):
    """An option out of range fails at once and is named."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EmulatorOptions(tmp_path / "books.sqlite", **wrong)


def test_options_hide_the_keys():
    """Printing the options shows no key."""
    assert "sesame" not in repr(EmulatorOptions(Path("books.sqlite"), api_keys=frozenset({"sesame"})))


def test_books_of_another_version_are_left_alone(tmp_path):
    """They are refused with a sentence."""
    path = tmp_path / "books.sqlite"
    books = Books(path)
    books.execute("UPDATE meta SET value = '0' WHERE name = 'schema'")
    books.close()
    with pytest.raises(BooksVersionError, match="another version"):
        Books(path)


async def test_an_embedded_emulator_takes_no_signal_handler_and_stops_with_its_context(tmp_path):
    """The host keeps its handlers, and a request that still waits is cut off when the context ends."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with run_embedded(EmulatorOptions(tmp_path / "books.sqlite", time_scale=1000)) as base_url:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        reader, writer = await asyncio.open_connection("127.0.0.1", int(base_url.rsplit(":", 1)[1]))
        writer.write(post(PATH, {"prompt": "a"}))
        async with httpx2.AsyncClient(base_url=base_url, trust_env=False) as client:
            while (await client.get("/_emulator/totals")).json()["pending"] == 0:
                pass
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", int(base_url.rsplit(":", 1)[1]))
    assert await reader.read() == b""
    writer.close()


async def test_a_port_that_is_taken_is_an_error(tmp_path):
    """It is told by the exception that binding raises."""
    async with run_embedded(EmulatorOptions(tmp_path / "one.sqlite")) as base_url:
        with pytest.raises(OSError, match="in use"):
            async with run_embedded(
                EmulatorOptions(tmp_path / "two.sqlite"), port=int(base_url.rsplit(":", 1)[1])
            ):
                pass


async def test_image_addresses_can_start_elsewhere(tmp_path):
    """A public base URL replaces the host that the request named."""
    options = EmulatorOptions(tmp_path / "books.sqlite", time_scale=0)
    app = create_app(options, public_base_url="https://images.example.com/")
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://emulator") as client,
    ):
        answer = await client.post(PATH, json={"prompt": "a"}, headers={"Api-Key": "k"})
    assert answer.json()["data"][0]["url"].startswith("https://images.example.com/api/images/ephemeral/")


def test_the_emulator_imports_nothing_else_of_pressroom():
    """A mistake in the client must not hide in it."""
    folder = Path(pressroom.emulator.__file__).parent
    imported = set()
    for module in folder.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
    ours = {name for name in imported if name.split(".")[0] == "pressroom"}
    assert len(ours) > 10
    assert {name for name in ours if not name.startswith("pressroom.emulator")} == set()


def test_the_page_of_the_emulator_lists_every_fault_setting_operation_and_control_path():
    """`docs/emulator.md` is complete: a new row without a line in it fails here."""
    page = (Path(pressroom.emulator.__file__).parents[3] / "docs" / "emulator.md").read_text()
    lines = page.splitlines()
    for fault in FAULTS.values():
        (line,) = [line for line in lines if line.startswith(f"| `{fault.name}` |")]
        assert f" {fault.what} " in line
        assert all(f"`{name}`" in line for name in fault.params)
    wanted = [*SETTING_RULES, *(row.name for row in OPERATIONS.values()), *(path for _, path, _ in _HANDLERS)]
    wanted += [field.name for field in fields(EmulatorOptions) if field.name != "_"]
    assert [name for name in wanted if name.replace("{rule_id:int}", "{rule_id}") not in page] == []
