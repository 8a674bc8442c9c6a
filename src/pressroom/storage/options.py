"""Settings of an object store, passed in as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from pressroom.errors import InvalidSettings


class Secret(Protocol):
    """Anything that masks itself in text and gives its value when asked, such as pydantic's `SecretStr`."""

    def get_secret_value(self) -> str:
        """Return the value in the clear."""
        ...


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """
    Everything about a store that its address does not say. `docs/storage.md` says which store uses what.

    A credential left None is looked for by obstore in the provider's own environment (`AWS_*`, `GOOGLE_*`,
    `AZURE_STORAGE_*`) and then at the machine's own identity service.

    Attributes:
        endpoint: Base address of an S3-compatible service, a GCS or an Azure stand-in; None for the provider's own.
            Wins over every endpoint named in the environment.
        region: S3 region; R2 wants `auto`. None leaves it to `AWS_REGION`, then `us-east-1`.
        access_key_id: S3. Given with `secret_access_key` or not at all.
        secret_access_key: S3.
        session_token: S3, with temporary credentials only.
        service_account_key: GCS, the JSON text of a service account.
        account_name: Azure storage account.
        account_key: Azure, base64.
        sas_token: Azure. Such a token cannot sign addresses.
        cdn_base_url: Where a CDN serves the keys of this store; None to sign addresses instead.
        allow_http: Plain http to hosts other than loopback, which shows credentials and images to the network.
        max_retries: Repeats of one request after 5xx or a connection failure. 2 notices a dead server in about
            0.3 s; the library's own 10 takes 4.1 s.
        retry_timeout_s: Seconds from the first try after which no repeat starts.
        connect_timeout_s: Seconds to reach the server.
        read_timeout_s: Seconds without a byte before a connection counts as stalled.
        request_timeout_s: Seconds for one whole request, its body included.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key_id: Secret | None = field(default=None, repr=False)
    secret_access_key: Secret | None = field(default=None, repr=False)
    session_token: Secret | None = field(default=None, repr=False)
    service_account_key: Secret | None = field(default=None, repr=False)
    account_name: str | None = None
    account_key: Secret | None = field(default=None, repr=False)
    sas_token: Secret | None = field(default=None, repr=False)
    cdn_base_url: str | None = None
    allow_http: bool = False
    max_retries: int = 2
    retry_timeout_s: float = 60.0
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    request_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        """Refuse what could not work, without repeating a value that may hold a secret."""
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise InvalidSettings("storage: give access_key_id and secret_access_key together, or neither")
        if self.max_retries < 0:
            raise InvalidSettings("storage: max_retries must be 0 or more")
        for name in ("retry_timeout_s", "connect_timeout_s", "read_timeout_s", "request_timeout_s"):
            if getattr(self, name) <= 0:
                raise InvalidSettings(f"storage: {name} must be more than 0 seconds")
        for name in ("endpoint", "cdn_base_url"):
            url = getattr(self, name)
            if url is not None:
                check_http_url(name, url, allow_http=self.allow_http)


def check_http_url(name: str, url: str, *, allow_http: bool) -> None:
    """
    Accept an https address, or an http one to loopback.

    Args:
        name: The setting's name, for the message.
        url: The address; never shown in the message, since it might hold a password.
        allow_http: Accept http to any host.

    Raises:
        InvalidSettings: Not such an address, or one with a user, a query or a fragment.
    """
    parts = _split(name, url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidSettings(f"storage: {name} must be an address like https://host")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings(f"storage: {name} must have no user, password, query or fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        raise InvalidSettings(
            f"storage: {name} is plain http to another machine; use https, or set allow_http"
        )


def is_loopback(host: str) -> bool:
    """Whether `host` is `localhost` or a loopback address; other names are not resolved."""
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name, not an address
        return host == "localhost"


def _split(name: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed on first use
    except ValueError:
        # the parser's message quotes the address
        raise InvalidSettings(f"storage: {name} is not a web address") from None
    return parts
