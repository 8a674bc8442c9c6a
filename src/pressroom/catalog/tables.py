"""Assets: one row for each stored image (spec row G6)."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Json, Micros, Millis, metadata

assets = sa.Table(
    "assets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("attempt_id", sa.Text, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("generation_id", sa.Text),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("expanded_prompt", sa.Text),
    sa.Column("negative_prompt", sa.Text),
    sa.Column("prompt_hash", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("style_type", sa.Text),
    sa.Column("aspect_ratio", sa.Text),
    sa.Column("seed", sa.BigInteger),
    sa.Column("resolution", sa.Text),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("is_safe", sa.Boolean, nullable=False),
    sa.Column("original_url", sa.Text, nullable=False),
    sa.Column("stored_path", sa.Text, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("cost_micros", Micros, nullable=False),
    sa.Column("tags", Json, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("campaign", sa.Text),
    sa.Column("product", sa.Text),
    sa.Column("format", sa.Text),
    sa.Column("reproduced_from", sa.Text),
    sa.Column("fallback", sa.Boolean, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.UniqueConstraint("attempt_id", "position", name="assets_once"),
    sa.Index("assets_of_job", "job_id"),
)
