"""Workers with the counters of their leases, and the lease on the maintenance loop."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Millis, metadata

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),
    sa.Column("beat_at", Millis, nullable=False),
    sa.Column("started_at", Millis, nullable=False),
    sa.Index("workers_by_state", "upstream", "state"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", Millis, nullable=False),
)
