"""Where the database is, and the folder of everything that is kept on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from pressroom.errors import DatabaseUnusable, InvalidSettings

if TYPE_CHECKING:
    from pathlib import Path

    from pressroom.settings import Settings


@dataclass(frozen=True, kw_only=True)
class DatabaseAddress:
    """Where the database is: `sqlite` with a path, or `postgresql` with a server."""

    url: sa.URL

    @classmethod
    def parse(cls, settings: Settings) -> DatabaseAddress:
        """
        Read `PRESSROOM_DATABASE_URL`, or take the file in `PRESSROOM_HOME`.

        Raises:
            InvalidSettings: Not an address we can use.
        """
        if settings.database_url is None:
            return cls(
                url=sa.URL.create("sqlite", database=str((settings.home / "pressroom.sqlite").absolute()))
            )
        hint = "PRESSROOM_DATABASE_URL: use sqlite:////absolute/path or postgresql://user:password@host:5432/name"
        try:
            url = sa.make_url(settings.database_url.get_secret_value())
        except (SQLAlchemyError, ValueError):  # the latter: a port that is no number
            raise InvalidSettings(f"{hint}; what is set is not an address") from None
        kind = url.drivername.partition("+")[0]
        if kind == "sqlite" and url.database and url.database != ":memory:":
            return cls(url=url.set(drivername="sqlite"))
        if kind in {"postgres", "postgresql"} and url.database:
            return cls(url=url.set(drivername="postgresql"))
        raise InvalidSettings(f"{hint}; {kind!r} without a file or a database name is not possible")

    @property
    def is_sqlite(self) -> bool:
        """True for one file on this machine."""
        return self.url.drivername == "sqlite"

    def __str__(self) -> str:
        """The address without its password, and without the options behind it, which may hold one too."""
        return self.url.set(query={}).render_as_string(hide_password=True)


def prepare_home(home: Path) -> None:
    """
    Make the folder that the local database and everything else of this machine is kept in.

    Raises:
        DatabaseUnusable: It cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnusable(
            f"PRESSROOM_HOME {home} cannot be made ({error.strerror}); name a folder that can be written"
        ) from error
