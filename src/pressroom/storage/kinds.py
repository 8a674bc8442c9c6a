"""What the stores differ in, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from obstore import exceptions
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from pressroom.errors import InvalidSettings, StorageDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pressroom.storage.options import Secret, StoreOptions
    from pressroom.storage.places import Place

Handle: TypeAlias = AzureStore | GCSStore | LocalStore | MemoryStore | S3Store

WEEK = timedelta(days=7)
"""Longest life of a signed address on S3 and GCS. Source: both providers' signature version 4 documents. Azure states
no limit for account keys; it gets the same, so that moving between stores changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """
    One kind of store.

    Attributes:
        build: Makes obstore's handle, without any traffic.
        keeps_attributes: Content type, cache rule and metadata are stored with the object. Where not, only the
            catalog has them.
        signing: The classes of handle that can sign an address; empty where there is nothing to sign.
    """

    build: Callable[[Place, StoreOptions], Handle]
    keeps_attributes: bool
    signing: tuple[type[AzureStore | GCSStore | S3Store], ...] = ()


def open_handle(place: Place, options: StoreOptions) -> Handle:
    """
    Make obstore's handle for a place.

    Raises:
        InvalidSettings: Credentials or options that the library cannot even parse.
        StorageDenied: The local folder is not there.
    """
    if place.folder is not None and not place.folder.is_dir():
        raise StorageDenied(
            f"storage {place.shown()}: the folder is gone; mount its disk, or create it if it shall begin empty"
        )
    try:
        return KINDS[place.scheme].build(place, options)
    except (exceptions.BaseError, ValueError) as error:
        # the cause is cut off: a parser's text can quote the credential it could not parse
        raise InvalidSettings(
            f"storage {place.shown()}: its settings cannot be used ({type(error).__name__}); "
            "check account and credentials, see docs/storage.md"
        ) from None


def _local(place: Place, _: StoreOptions) -> Handle:
    return LocalStore(place.folder)


def _memory(_: Place, __: StoreOptions) -> Handle:
    return MemoryStore()


def _s3(place: Place, options: StoreOptions) -> Handle:
    # The second endpoint name is the one that wins inside obstore; left out, AWS_ENDPOINT_URL_S3 would override ours.
    config = _given(
        endpoint=options.endpoint,
        aws_endpoint_url_s3=options.endpoint,
        region=options.region,
        access_key_id=options.access_key_id,
        secret_access_key=options.secret_access_key,
        session_token=options.session_token,
        disable_bulk_delete=True,  # one DELETE per object works on every S3-compatible store
    )
    return S3Store(place.bucket, prefix=place.prefix or None, config=config, **_transport(options))


def _gcs(place: Place, options: StoreOptions) -> Handle:
    config = _given(base_url=options.endpoint, service_account_key=options.service_account_key)
    return GCSStore(place.bucket, prefix=place.prefix or None, config=config, **_transport(options))


def _azure(place: Place, options: StoreOptions) -> Handle:
    config = _given(
        endpoint=options.endpoint,
        account_name=options.account_name,
        account_key=options.account_key,
        sas_key=options.sas_token,
    )
    return AzureStore(place.bucket, prefix=place.prefix or None, config=config, **_transport(options))


def _given(**values: str | bool | Secret | None) -> Any:
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: str | bool | Secret) -> str | bool:
    return value if isinstance(value, str | bool) else value.get_secret_value()


def _transport(options: StoreOptions) -> dict[str, Any]:
    return {
        "client_options": {
            # endpoint and cdn_base_url were checked; this also rules over AWS_ALLOW_HTTP and endpoints of the environment
            "allow_http": options.allow_http or (options.endpoint or "").startswith("http:"),
            "connect_timeout": timedelta(seconds=options.connect_timeout_s),
            "read_timeout": timedelta(seconds=options.read_timeout_s),
            "timeout": timedelta(seconds=options.request_timeout_s),
        },
        "retry_config": {
            "max_retries": options.max_retries,
            "retry_timeout": timedelta(seconds=options.retry_timeout_s),
        },
    }


KINDS: Mapping[str, Kind] = {
    "file": Kind(build=_local, keeps_attributes=False),
    "memory": Kind(build=_memory, keeps_attributes=True),
    "s3": Kind(build=_s3, keeps_attributes=True, signing=(S3Store,)),
    "gs": Kind(build=_gcs, keeps_attributes=True, signing=(GCSStore,)),
    "az": Kind(build=_azure, keeps_attributes=True, signing=(AzureStore,)),
}
"""By scheme of the storage address."""
