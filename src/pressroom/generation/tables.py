"""Jobs: where requests wait for their turn and what became of them."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Json, Millis, metadata

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # begins with its creation time, so it sorts by age
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("request", Json, nullable=False),
    sa.Column("call", Json, nullable=False),
    sa.Column("request_hash", sa.Text, nullable=False),
    sa.Column("tags", Json, nullable=False),
    sa.Column("metadata", Json, nullable=False),
    sa.Column("continuing", sa.Boolean, nullable=False),
    sa.Column("dispatches", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("backoffs", sa.Integer, nullable=False),
    sa.Column("eligible_at", Millis, nullable=False),
    sa.Column("filtered_count", sa.Integer, nullable=False),
    sa.Column("missing", Json, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("dispatched_at", Millis),
    sa.Column("ended_at", Millis),
    # What the dispatcher reads: waiting jobs of one upstream by age, flat at any number of them.
    sa.Index(
        "jobs_waiting",
        "upstream",
        "continuing",
        "id",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index("jobs_by_state", "upstream", "state", "id"),
)
