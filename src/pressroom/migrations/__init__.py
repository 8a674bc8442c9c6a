"""The schema's steps. Each step stands alone: it imports nothing of pressroom, so it stays what it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlalchemy as sa

HEAD = "0002"
"""The newest step; a test compares it with the files."""


def current(connection: sa.Connection) -> str | None:
    """The step this database is at; None for an empty one. Read without Alembic, which takes a quarter of a second to load."""
    import sqlalchemy as sa

    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    step: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return step


def upgrade(connection: sa.Connection) -> None:
    """Apply the steps that are missing, in the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
