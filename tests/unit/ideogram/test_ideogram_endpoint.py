import pytest

from pressroom.errors import InvalidSettings
from pressroom.ideogram import BASE_URL, Ideogram, Timeouts, validate_base_url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.ideogram.ai/",
        "http://api.ideogram.ai",
        "http://192.168.1.4:8787",
        "http://localhost.example.org",
        "https://key@api.ideogram.ai",
        "https://api.ideogram.ai?x=1",
        "https://api.ideogram.ai?",
        "https://api.ideogram.ai#x",
        "https://api.ideogram.ai\n",
        "https://api.ideogram.ai:99999",
        "https://api.ideogram.ai:0",
        "https://[::1",
        "ftp://api.ideogram.ai",
        "api.ideogram.ai",
        "https://",
        "",
    ],
)
def test_a_base_url_that_is_not_exact_is_refused(url):
    """Nothing is corrected in silence: the message says what to change."""
    with pytest.raises(InvalidSettings, match=r"base URL|plain http"):
        validate_base_url(url)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        (BASE_URL, False),
        ("https://gateway.example.org/proxy/ideogram", False),
        ("http://127.0.0.1:8787", True),
        ("http://localhost:8787", True),
        ("http://[::1]:8787", True),
    ],
)
def test_plain_http_is_for_this_machine(url, loopback):
    """https anywhere, http to loopback only; a path is allowed."""
    assert (url, loopback) == (validate_base_url(url).base_url, validate_base_url(url).loopback)


@pytest.mark.parametrize(
    "key",
    [
        "",
        " sk-secret",
        "sk-secret\n",
        "sk-se cret",
        "sk-se\ncret",
        "sk-sécret",
        "sk-\x00secret",
        "\tsk-secret",
    ],
)
def test_a_key_that_cannot_be_a_header_is_refused_without_being_shown(key):
    """The message says what is wrong and where, and holds no part of the key."""
    with pytest.raises(InvalidSettings) as caught:
        Ideogram(key)
    assert "API key" in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_public_host_gets_at_least_a_minute():
    """A shorter limit gives up on bought pictures; on loopback it is allowed."""
    with pytest.raises(InvalidSettings, match="60 s"):
        Ideogram("k", timeouts=Timeouts(synchronous=59))
    assert "loopback" not in repr(
        Ideogram("k", base_url="http://127.0.0.1:1", timeouts=Timeouts(synchronous=1))
    )


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_limit_of_no_time_is_refused(seconds):
    """Every wait has a limit above zero."""
    with pytest.raises(InvalidSettings, match="connect"):
        Timeouts(connect=seconds)


def test_a_pool_without_connections_is_refused():
    """It could never send."""
    with pytest.raises(InvalidSettings, match="max_connections"):
        Ideogram("k", max_connections=0)
