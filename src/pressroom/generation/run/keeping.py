"""Whether images could be kept: what every purchase waits for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pressroom.errors import StorageError

if TYPE_CHECKING:
    from pressroom.database import Database
    from pressroom.storage import ObjectStore, Spool

IMAGE_ROOM_BYTES = 8 * 1024 * 1024
"""Bytes of spool to have free for each image before it is bought; a 2048x2048 PNG is 4 to 8 MB."""

LOOK_AGAIN_S = 5.0
"""Seconds before a store that refused us is asked again."""


class Keeping:
    """
    The places that images and their records go to.

    A store that is merely away stops nothing: the spool holds what is bought meanwhile. One that refuses us does, since
    only a person can mend that.
    """

    def __init__(self, *, database: Database, store: ObjectStore, spool: Spool) -> None:
        self._database = database
        self._store = store
        self._spool = spool
        self._trouble: StorageError | None = None
        self._look_at = 0.0

    def refused(self, error: StorageError) -> None:
        """Remember that the store refused us."""
        self._trouble = error
        self._look_at = time.monotonic() + LOOK_AGAIN_S

    async def check(self, images: int) -> None:
        """
        See that so many images more could be kept.

        Raises:
            StorageError: The spool lacks room, or the store refuses us.
            DatabaseError: The database lacks room.
        """
        self._spool.check_room(IMAGE_ROOM_BYTES * images)
        self._database.check_room()
        if self._trouble is None:
            return
        if time.monotonic() < self._look_at:
            raise self._trouble
        await self.check_store()

    async def check_store(self) -> None:
        """
        Try the store for real.

        Raises:
            StorageError: It cannot be used.
        """
        try:
            await self._store.check()
        except StorageError as error:
            self.refused(error)
            raise
        self._trouble = None
