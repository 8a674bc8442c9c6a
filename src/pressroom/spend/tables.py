"""Attempts: one row for each POST that may cost money, from its reservation to its settlement; and the budgets."""

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
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("slot", sa.Integer),
    sa.Column("owner", sa.Text),
    sa.Column("key_fingerprint", sa.Text),
    sa.Column("generation_id", sa.Text),
    sa.Column("reserved_micros", Micros, nullable=False),
    sa.Column("expected_micros", Micros, nullable=False),
    sa.Column("price_source", sa.Text, nullable=False),
    sa.Column("counters", Json, nullable=False),  # ids of the budget counters that its reservation stands on
    sa.Column("trial", sa.Boolean, nullable=False),  # sent to see whether the vendor sells again
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
    # What reports and signals read: a window of time.
    sa.Index("attempts_by_time", "upstream", "created_at"),
)

budgets = sa.Table(
    "budgets",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # `{upstream}|{scope}|{subject}`
    sa.Column("upstream", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),  # day, project, campaign, key, total, backfill
    sa.Column("subject", sa.Text, nullable=False),  # a project's name, …; empty for day, total and backfill
    sa.Column("cap_micros", Micros),  # none: no limit, on purpose
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("set_at", Millis, nullable=False),
)

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # `{budget}@{period}`; a period is a UTC day, or `ever`
    sa.Column("budget_id", sa.Text, nullable=False),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column(
        "base_micros", Micros, nullable=False
    ),  # spent before it was counted: by attempts that do not name it
    sa.Column("reserved_micros", Micros, nullable=False),
    sa.Column("settled_micros", Micros, nullable=False),  # the base is part of it
    sa.Column("near_at", Millis),  # when it was told that it is nearly used up
    sa.Column("full_at", Millis),  # when it first refused a reservation
    sa.Index("counters_of_budget", "budget_id"),
)

balances = sa.Table(
    "balances",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("stated_micros", Micros, nullable=False),
    sa.Column("stated_at", Millis, nullable=False),
)
