"""The outbox: what people must be told, written in the transaction that made it true."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Json, Millis, metadata

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # `budget.near`, `credits.exhausted`, …
    sa.Column("severity", sa.Text, nullable=False),  # P1 to P4
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("facts", Json, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at", Millis, nullable=False),
    sa.Column("delivered_at", Millis),
    sa.Index(
        "notices_due",
        "next_at",
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    ),
)
