"""Projects: whose a job is, what share it gets, and which fallback it takes."""

from __future__ import annotations

import sqlalchemy as sa

from pressroom.database import Millis, metadata

projects = sa.Table(
    "projects",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("weight", sa.Float, nullable=False),
    sa.Column("max_inflight", sa.Integer),
    sa.Column("fallback", sa.Text),
    sa.Column("created_at", Millis, nullable=False),
)
