"""The fleet: switches, stops, breakers, limits, flows, projects, budgets, balances, notices, the audit log.

Added columns have defaults of their own, so that workers of the version before go on while this step is in place.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

FAMILY = """
UPDATE jobs SET family = CASE
    WHEN call ->> 'operation' LIKE 'v2/%' THEN 'v2/generate'
    ELSE replace(call ->> 'operation', '/async/', '/')
END
"""
RESTING = "UPDATE jobs SET resting = (state = 'queued')"
ATTEMPTS = """
UPDATE attempts SET
    expected_micros = reserved_micros,
    project = coalesce((SELECT project FROM jobs WHERE jobs.id = attempts.job_id), 'default'),
    campaign = (SELECT metadata ->> 'campaign' FROM jobs WHERE jobs.id = attempts.job_id),
    model = coalesce((SELECT request ->> 'model' FROM jobs WHERE jobs.id = attempts.job_id), '')
"""
FLOWS = """
INSERT INTO flows (upstream, project, priority, family, start_tag)
SELECT DISTINCT upstream, project, priority, family, 0.0 FROM jobs WHERE ended_at IS NULL
"""


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "balances",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("stated_micros", sa.BigInteger(), nullable=False),
        sa.Column("stated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("upstream"),
    )
    op.create_table(
        "breakers",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("trial_at", sa.BigInteger(), nullable=True),
        sa.Column("wait_ms", sa.BigInteger(), nullable=False),
        sa.Column("uncertain", sa.Integer(), nullable=False),
        sa.Column("trial_attempt", sa.Text(), nullable=True),
        sa.Column("probed_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_answered", sa.Boolean(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("upstream", "family"),
    )
    op.create_table(
        "budgets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("cap_micros", sa.BigInteger(), nullable=True),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "controls",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("upstream"),
    )
    op.create_table(
        "counters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("base_micros", sa.BigInteger(), nullable=False),
        sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
        sa.Column("settled_micros", sa.BigInteger(), nullable=False),
        sa.Column("near_at", sa.BigInteger(), nullable=True),
        sa.Column("full_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("counters_of_budget", "counters", ["budget_id"], unique=False)
    op.create_table(
        "flows",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("start_tag", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("upstream", "project", "priority", "family"),
    )
    op.create_table(
        "limits",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("learned", sa.Float(), nullable=False),
        sa.Column("learned_at", sa.BigInteger(), nullable=False),
        sa.Column("stated", sa.Integer(), nullable=True),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("refused_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("upstream", "queue"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "notices_due",
        "notices",
        ["next_at"],
        unique=False,
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    )
    op.create_table(
        "projects",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("max_inflight", sa.Integer(), nullable=True),
        sa.Column("fallback", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "stops",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("trial_at", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("upstream", "cause"),
    )
    op.create_table(
        "switches",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("upstream", "name"),
    )
    op.create_table(
        "variables",
        sa.Column("upstream", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("upstream", "name"),
    )
    op.add_column("attempts", sa.Column("project", sa.Text(), nullable=False, server_default="default"))
    op.add_column("attempts", sa.Column("campaign", sa.Text(), nullable=True))
    op.add_column("attempts", sa.Column("model", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "attempts", sa.Column("expected_micros", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.add_column("attempts", sa.Column("counters", Json, nullable=False, server_default="[]"))
    op.add_column("attempts", sa.Column("trial", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("attempts_by_time", "attempts", ["upstream", "created_at"], unique=False)
    op.add_column("jobs", sa.Column("priority", sa.Text(), nullable=False, server_default="interactive"))
    op.add_column("jobs", sa.Column("family", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("resting", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("buy_before", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("budget", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("needs_micros", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("fallback", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("placeholder_served", sa.BigInteger(), nullable=True))
    op.add_column("workers", sa.Column("key_fingerprint", sa.Text(), nullable=True))
    op.drop_index("jobs_waiting", table_name="jobs", sqlite_where=sa.text("state = 'queued'"))
    op.create_index(
        "jobs_in_time",
        "jobs",
        ["upstream", "buy_before"],
        unique=False,
        sqlite_where=sa.text("buy_before IS NOT NULL AND ended_at IS NULL"),
        postgresql_where=sa.text("buy_before IS NOT NULL AND ended_at IS NULL"),
    )
    op.create_index(
        "jobs_of_budget",
        "jobs",
        ["upstream", "budget", "state", "id"],
        unique=False,
        sqlite_where=sa.text("budget IS NOT NULL"),
        postgresql_where=sa.text("budget IS NOT NULL"),
    )
    op.create_index(
        "jobs_served",
        "jobs",
        ["upstream", "placeholder_served"],
        unique=False,
        sqlite_where=sa.text("placeholder_served IS NOT NULL AND ended_at IS NULL"),
        postgresql_where=sa.text("placeholder_served IS NOT NULL AND ended_at IS NULL"),
    )
    op.create_index(
        "jobs_ready",
        "jobs",
        ["upstream", "continuing", "project", "priority", "family", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND NOT resting"),
        postgresql_where=sa.text("state = 'queued' AND NOT resting"),
    )
    op.create_index(
        "jobs_resting",
        "jobs",
        ["upstream", "eligible_at"],
        unique=False,
        sqlite_where=sa.text("state = 'queued' AND resting"),
        postgresql_where=sa.text("state = 'queued' AND resting"),
    )
    for statement in (FAMILY, RESTING, ATTEMPTS, FLOWS):
        op.execute(statement)
