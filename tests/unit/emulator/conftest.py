from __future__ import annotations

import httpx2
import pytest
from tests.support.emulator import emulator_thread


@pytest.fixture(scope="module")
def shared_emulator(tmp_path_factory):
    with emulator_thread(tmp_path_factory.mktemp("emulator") / "books.sqlite", time_scale=0) as running:
        yield running


@pytest.fixture
def emulator(shared_emulator):
    """An emulator without latency and with empty books, in a thread."""
    shared_emulator.control.reset()
    return shared_emulator


@pytest.fixture
def vendor(emulator):
    """An HTTP client of that emulator, with a key."""
    with httpx2.Client(base_url=emulator.base_url, headers={"Api-Key": "key-1"}, trust_env=False) as client:
        yield client
