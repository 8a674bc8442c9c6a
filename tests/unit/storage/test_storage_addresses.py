"""Storage addresses and options: what is accepted, what is refused, and that nothing secret is repeated."""

from __future__ import annotations

import base64
import json
import os
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from pressroom.errors import InvalidSettings, StorageDenied
from pressroom.storage import ObjectStore, StoreOptions

HOUR = timedelta(hours=1)
ACCOUNT_KEY = base64.b64encode(b"an example key of thirty-two byt").decode()


def opened(url, home, **options):
    return ObjectStore.open(url, options=StoreOptions(**options), home=home)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:", "images"),
        ("file:pictures", "pictures"),
        ("file:a/b%20c", "a/b c"),
        ("file://{home}/abs", "abs"),
    ],
)
def test_a_local_folder_is_found_and_created(tmp_path, url, folder):
    """Bare, relative to home, with escapes, and absolute."""
    store = opened(url.format(home=tmp_path), tmp_path)

    assert store.location() == str(tmp_path / folder)
    assert (tmp_path / folder).is_dir()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://pictures", "s3://pictures/k.png"),
        ("s3://pictures/live/2026/", "s3://pictures/live/2026/k.png"),
        ("memory:", "memory:k.png"),
    ],
)
def test_a_location_reads_like_the_address(tmp_path, url, shown):
    """People see where an object is, without credentials."""
    assert opened(url, tmp_path).location("k.png") == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pictures",
        "/srv/pictures",
        "ftp://host/x",
        "http://host/x",
        "s3:bucket",
        "s3://",
        "s3:///prefix",
        "s3://b/../other",
        "s3://b//x",
        "s3://bucket:9000/x",
        "s3://id:hush-hush@bucket/x",
        "s3://bucket/x?secret=hush-hush",
        "s3://bucket/x\n",
        "gs://bucket/#x",
        "az://-/x",
        "memory://bucket",
        "file://host/share",
        "file:////double",
        "file:%00",
    ],
)
def test_a_bad_address_is_refused_with_the_forms_and_not_repeated(tmp_path, url):
    """An address may hold a password by mistake, so the message never quotes it."""
    with pytest.raises(InvalidSettings, match="storage address") as caught:
        opened(url, tmp_path)

    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"access_key_id": SecretStr("hush-hush")}, "together"),
        ({"max_retries": -1}, "max_retries"),
        ({"connect_timeout_s": 0}, "connect_timeout_s"),
        ({"endpoint": "http://storage.example.com"}, "plain http"),
        ({"endpoint": "http://user:hush-hush@127.0.0.1"}, "no user"),
        ({"endpoint": "https://"}, "https://host"),
        ({"endpoint": "https://host:port"}, "not a web address"),
        ({"cdn_base_url": "img.example.com"}, "https://host"),
        ({"cdn_base_url": "https://img.example.com/?k=hush-hush"}, "query"),
    ],
)
def test_options_that_cannot_work_are_refused_by_name(options, says):
    """Before a store is opened, and without repeating a value."""
    with pytest.raises(InvalidSettings, match=says) as caught:
        StoreOptions(**options)

    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"])
def test_plain_http_is_taken_to_loopback(endpoint):
    """A stand-in on the same machine needs no certificate."""
    assert StoreOptions(endpoint=endpoint).endpoint == endpoint


def test_plain_http_elsewhere_needs_a_yes():
    """It shows credentials to the network, so somebody has to have asked for it."""
    assert StoreOptions(endpoint="http://storage.example.com", allow_http=True).allow_http


def test_secrets_stay_out_of_every_text(tmp_path):
    """Neither options nor store show them, also when the secret type itself would."""

    class Loud:
        def get_secret_value(self):
            return "hush-hush"

        def __repr__(self):
            return "hush-hush"

    options = StoreOptions(access_key_id=Loud(), secret_access_key=Loud(), session_token=Loud())
    store = ObjectStore.open("s3://pictures", options=options, home=tmp_path)

    assert "hush-hush" not in repr(options) + str(options) + repr(store) + str(store)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("gs://pictures", {"service_account_key": SecretStr('{"hush-hush": hush-hush')}),
        ("gs://pictures", {"service_account_key": SecretStr('"hush-hush"')}),
        ("az://pictures", {"account_name": "example", "account_key": SecretStr("hush-hush!!")}),
        ("az://pictures", {}),
    ],
)
def test_unreadable_credentials_are_a_setting_to_mend(tmp_path, monkeypatch, url, options):
    """Found on opening; neither the message nor its cause holds the credential."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(InvalidSettings, match="check account and credentials") as caught:
        opened(url, tmp_path, **options)

    assert caught.value.__cause__ is None
    assert "hush-hush" not in str(caught.value)


async def test_azure_signs_with_the_account_key(tmp_path):
    """Without traffic, for the container and prefix of the address."""
    store = opened("az://pictures/live", tmp_path, account_name="example", account_key=SecretStr(ACCOUNT_KEY))

    address = await store.address("a.png", life=HOUR)

    assert address.startswith("https://example.blob.core.windows.net/pictures/live/a.png?")
    assert "sig=" in address
    assert ACCOUNT_KEY not in address


async def test_azure_with_a_sas_token_cannot_sign_and_says_what_to_do(tmp_path):
    """The provider signs only with the account's key."""
    store = opened(
        "az://pictures", tmp_path, account_name="example", sas_token=SecretStr("sv=1&sig=hush-hush")
    )

    with pytest.raises(StorageDenied, match="account_key or a cdn_base_url") as caught:
        await store.address("a.png", life=HOUR)
    assert "hush-hush" not in str(caught.value)


async def test_gcs_signs_with_the_service_account(tmp_path):
    """Without traffic, with a key made here."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": "example@example.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "gcs_base_url": "https://storage.googleapis.com",
    }
    store = opened("gs://pictures/live", tmp_path, service_account_key=SecretStr(json.dumps(account)))

    address = await store.address("a.png", life=HOUR)

    assert address.startswith("https://storage.googleapis.com/pictures/live/a.png?")
    assert "X-Goog-Signature=" in address
    assert "X-Goog-Expires=3600" in address


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    """Said at opening, before anything is bought."""
    (tmp_path / "assets").write_text("")

    with pytest.raises(StorageDenied, match="file where a folder is needed"):
        opened("file:assets/below", tmp_path)


def test_a_folder_without_permission_is_refused(tmp_path):
    """Only where permissions bind this user."""
    if os.geteuid() == 0:
        pytest.skip("root may write into a folder without permission bits; see the read-only disk test")
    (tmp_path / "locked").mkdir(mode=0o500)

    with pytest.raises(StorageDenied, match="permission"):
        opened("file:locked/assets", tmp_path)
