"""Jobs: where requests wait for their turn and what became of them."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Json, Micros, Millis, metadata

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # begins with its creation time, so it sorts by age
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("priority", sa.Text, nullable=False),
    sa.Column("family", sa.Text, nullable=False),  # of operations that fail together; the breaker's unit
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
    sa.Column("resting", sa.Boolean, nullable=False),  # queued, and not to be looked at before `eligible_at`
    sa.Column("buy_before", Millis),
    sa.Column("budget", sa.Text),  # the budget that held it
    sa.Column("needs_micros", Micros),  # and what it must have room for
    sa.Column("fallback", sa.Text),
    sa.Column("placeholder_served", Millis),
    sa.Column("filtered_count", sa.Integer, nullable=False),
    sa.Column("missing", Json, nullable=False),
    sa.Column("created_at", Millis, nullable=False),
    sa.Column("dispatched_at", Millis),
    sa.Column("ended_at", Millis),
    # What the dispatcher reads: the oldest ready job of each flow, flat at any number of them.
    sa.Index(
        "jobs_ready",
        "upstream",
        "continuing",
        "project",
        "priority",
        "family",
        "id",
        sqlite_where=sa.text("state = 'queued' AND NOT resting"),
        postgresql_where=sa.text("state = 'queued' AND NOT resting"),
    ),
    sa.Index(
        "jobs_resting",
        "upstream",
        "eligible_at",
        sqlite_where=sa.text("state = 'queued' AND resting"),
        postgresql_where=sa.text("state = 'queued' AND resting"),
    ),
    sa.Index(
        "jobs_in_time",
        "upstream",
        "buy_before",
        sqlite_where=sa.text("buy_before IS NOT NULL AND ended_at IS NULL"),
        postgresql_where=sa.text("buy_before IS NOT NULL AND ended_at IS NULL"),
    ),
    # What waits for room under a budget, oldest first.
    sa.Index(
        "jobs_of_budget",
        "upstream",
        "budget",
        "state",
        "id",
        sqlite_where=sa.text("budget IS NOT NULL"),
        postgresql_where=sa.text("budget IS NOT NULL"),
    ),
    # Open jobs whose callers got a placeholder: what the backfill reads.
    sa.Index(
        "jobs_served",
        "upstream",
        "placeholder_served",
        sqlite_where=sa.text("placeholder_served IS NOT NULL AND ended_at IS NULL"),
        postgresql_where=sa.text("placeholder_served IS NOT NULL AND ended_at IS NULL"),
    ),
    sa.Index("jobs_by_state", "upstream", "state", "id"),
)
