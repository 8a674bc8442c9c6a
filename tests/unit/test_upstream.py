"""One vendor is one upstream however its address is written, and two are two."""

from __future__ import annotations

import pytest

from pressroom.app import EMULATOR
from pressroom.app.vendor import Vendor
from pressroom.settings import Settings


def upstream(address):
    return Vendor(Settings.load(ideogram_base_url=address, ideogram_api_key="any")).upstream


@pytest.mark.parametrize(
    "address", ["https://api.ideogram.ai", "https://API.ideogram.ai", "https://api.ideogram.ai:443"]
)
def test_one_vendor_has_one_name(address):
    """Else its limit would be counted twice, and jobs of the other spelling would never run."""
    assert upstream(address) == "api.ideogram.ai"


def test_other_ports_and_paths_are_others():
    """A gateway's test path must not buy at its production path."""
    addresses = [
        "https://gw.example/prod",
        "https://gw.example/test",
        "https://gw.example:8443",
        "http://127.0.0.1:8787",
    ]

    assert [upstream(address) for address in addresses] == [
        "gw.example/prod",
        "gw.example/test",
        "gw.example:8443",
        "127.0.0.1:8787",
    ]


def test_nothing_set_is_the_emulator():
    """Whatever port it listens on."""
    assert Vendor(Settings.load()).upstream == EMULATOR
