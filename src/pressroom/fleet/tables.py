"""Workers and leases; what the whole fleet agrees on: switches, stops, breakers, the limit, the order of flows."""

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
    sa.Column("key_fingerprint", sa.Text),  # of the key that it buys with, as soon as it has looked
    sa.Index("workers_by_state", "upstream", "state"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("until", Millis, nullable=False),
)

controls = sa.Table(
    "controls",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),  # raised by every change of the four tables below
)

switches = sa.Table(
    "switches",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("set_at", Millis, nullable=False),
    sa.Column("expires_at", Millis),
)

stops = sa.Table(
    "stops",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("cause", sa.Text, primary_key=True),  # credits, quota, `key:{fingerprint}`
    sa.Column("since", Millis, nullable=False),
    sa.Column("trial_at", Millis, nullable=False),  # when the next trial may go
    sa.Column("message", sa.Text, nullable=False),
)

breakers = sa.Table(
    "breakers",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("family", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),  # closed, open, trying
    sa.Column("failures", sa.Integer, nullable=False),  # in a row
    sa.Column("failed_at", Millis),
    sa.Column("opened_at", Millis),
    sa.Column("trial_at", Millis),
    sa.Column("wait_ms", Millis, nullable=False),
    sa.Column("uncertain", sa.Integer, nullable=False),  # trials that ended so since it opened
    sa.Column("trial_attempt", sa.Text),
    sa.Column("probed_at", Millis),
    sa.Column("probe_answered", sa.Boolean),
    sa.Column("message", sa.Text),
)

limits = sa.Table(
    "limits",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("queue", sa.Text, primary_key=True),  # the vendor's: fast, slow; `any` where it does not say
    sa.Column("learned", sa.Float, nullable=False),
    sa.Column("learned_at", Millis, nullable=False),
    sa.Column("stated", sa.Integer),
    sa.Column("refusals", sa.Integer, nullable=False),  # in a row, over the whole fleet
    sa.Column("refused_since", Millis),
)

flows = sa.Table(
    "flows",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("project", sa.Text, primary_key=True),
    sa.Column("priority", sa.Text, primary_key=True),
    sa.Column("family", sa.Text, primary_key=True),
    sa.Column("start_tag", sa.Float, nullable=False),  # virtual time at which its last turn began
)

variables = sa.Table(
    "variables",
    metadata,
    sa.Column("upstream", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("seen_at", Millis, nullable=False),
)
