"""Users, their analyses, and what they were charged; tries to log in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("token_hash", sa.String(64)),
        sa.Column("session_epoch", sa.Integer(), nullable=False),
        sa.Column("minutes_quota", sa.Integer(), nullable=False),
        sa.Column("minutes_used", sa.Integer(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "analyses",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("idempotency_key", sa.String(200), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("title", sa.String(300), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("step", sa.String(20)),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("note", sa.String(300), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("minutes_reserved", sa.Integer(), nullable=False),
        sa.Column("transcript", sa.JSON()),
        sa.Column("summary", sa.Text()),
        sa.Column("key_phrases", sa.JSON()),
        sa.Column("error", sa.Text()),
        sa.Column("task_id", sa.String(64)),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("started", MOMENT),
        sa.Column("finished", MOMENT),
        sa.UniqueConstraint("user_id", "idempotency_key", name="one_analysis_a_key"),
    )
    op.create_index("analyses_of_a_user", "analyses", ["user_id", "created"])
    op.create_table(
        "charges",
        sa.Column("analysis_id", sa.String(36), sa.ForeignKey("analyses.id"), primary_key=True),
        sa.Column("user_id", sa.Integer(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
    )
    op.create_index("ix_charges_user_id", "charges", ["user_id"])
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("attempts_of_a_subject", "attempts", ["subject", "at"])


def downgrade() -> None:
    op.drop_table("attempts")
    op.drop_table("charges")
    op.drop_table("analyses")
    op.drop_table("users")
