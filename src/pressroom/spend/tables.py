"""Attempts: one row for each POST that may cost money, from its reservation to its settlement."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Json, Micros, Millis, metadata

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, nullable=False),
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("slot", sa.Integer),
    sa.Column("owner", sa.Text),
    sa.Column("key_fingerprint", sa.Text),
    sa.Column("generation_id", sa.Text),
    sa.Column("reserved_micros", Micros, nullable=False),
    sa.Column("price_source", sa.Text, nullable=False),
    sa.Column("cost_micros", Micros),
    sa.Column("answer", Json),
    sa.Column("error", Json),
    sa.Column("spool", sa.Text),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("sending_at", Millis),
    sa.Column("ended_at", Millis),
    sa.Index("attempts_of_job", "job_id"),
    # A job has at most one attempt that is not settled as unsold or written off.
    sa.Index(
        "attempts_open",
        "job_id",
        unique=True,
        sqlite_where=sa.text("state NOT IN ('unsold', 'written_off')"),
        postgresql_where=sa.text("state NOT IN ('unsold', 'written_off')"),
    ),
    # The limit itself: no two attempts share a place.
    sa.Index(
        "attempts_slot",
        "upstream",
        "slot",
        unique=True,
        sqlite_where=sa.text("slot IS NOT NULL"),
        postgresql_where=sa.text("slot IS NOT NULL"),
    ),
)
