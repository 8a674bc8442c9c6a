"""Where images live: the object store for good, the spool on the way there."""

from pressroom.storage.keys import CACHE_CONTROL, object_key
from pressroom.storage.options import Secret, StoreOptions
from pressroom.storage.spool import Spool
from pressroom.storage.store import ObjectStore, StoredObject

__all__ = [
    "CACHE_CONTROL",
    "ObjectStore",
    "Secret",
    "Spool",
    "StoreOptions",
    "StoredObject",
    "object_key",
]
