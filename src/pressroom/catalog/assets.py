"""Assets: the record of each stored image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pressroom.catalog.tables import assets
from pressroom.database import at, now_ms

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, kw_only=True)
class Asset:
    """
    One stored image (spec row G6).

    Attributes:
        position: Place in the vendor's answer, from 0.
        expanded_prompt: What the vendor made of the prompt, only where it changed it.
        prompt_hash: Equal for requests that ask for the same picture in every field (spec row G11).
        resolution: The vendor's word for the size, `WxH`; `width` and `height` are the file's own.
        original_url: Where the vendor offered it; dead within the hour.
        stored_path: Key in the object store.
        cost_micros: Its share of the attempt's cost, millionths of a US dollar.
        created_at: Milliseconds since the epoch.
    """

    id: str
    job_id: str
    attempt_id: str
    position: int
    upstream: str
    project: str
    generation_id: str | None
    prompt: str = field(repr=False)
    expanded_prompt: str | None = field(repr=False)
    negative_prompt: str | None = field(repr=False)
    prompt_hash: str
    model: str
    style_type: str | None
    aspect_ratio: str | None
    seed: int | None
    resolution: str | None
    width: int
    height: int
    is_safe: bool
    original_url: str = field(repr=False)
    stored_path: str
    content_type: str
    size_bytes: int
    sha256: str
    cost_micros: int
    tags: list[str]
    metadata: dict[str, str]
    campaign: str | None = None
    product: str | None = None
    format: str | None = None
    reproduced_from: str | None = None
    fallback: bool = False
    created_at: int = 0

    def to_json(self) -> dict[str, Any]:
        """The record for people and programs: times as text, money in US dollars."""
        shown = dict(self.__dict__)
        shown["created_at"] = at(self.created_at).isoformat().replace("+00:00", "Z")
        shown["cost_usd"] = shown.pop("cost_micros") / 1_000_000
        return shown


_ADD = {
    dialect: insert(assets)
    .values(created_at=now_ms())
    .on_conflict_do_nothing(index_elements=["attempt_id", "position"])
    for dialect, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


async def add(connection: AsyncConnection, found: Sequence[Asset]) -> None:
    """Add records; one that is there already stays as it is, so that a repeated run adds nothing twice."""
    if not found:
        return
    statement = _ADD[connection.dialect.name]
    for asset in found:
        facts = dict(asset.__dict__)
        del facts["created_at"]
        await connection.execute(statement, facts)


async def get_one_or_none(connection: AsyncConnection, asset_id: str) -> Asset | None:
    """The asset with this id."""
    found = await connection.execute(sa.select(assets).where(assets.c.id == asset_id))
    row = found.mappings().one_or_none()
    return None if row is None else Asset(**row)


async def holds_any(connection: AsyncConnection) -> bool:
    """Whether the catalog has any asset at all."""
    return (await connection.execute(sa.select(assets.c.id).limit(1))).first() is not None


async def of_jobs(connection: AsyncConnection, job_ids: Collection[str]) -> dict[str, list[Asset]]:
    """The assets of these jobs, in the order of the vendor's answers."""
    found = await connection.execute(
        sa.select(assets).where(assets.c.job_id.in_(job_ids)).order_by(assets.c.attempt_id, assets.c.position)
    )
    grouped: dict[str, list[Asset]] = {job_id: [] for job_id in job_ids}
    for row in found.mappings():
        grouped[row["job_id"]].append(Asset(**row))
    return grouped
