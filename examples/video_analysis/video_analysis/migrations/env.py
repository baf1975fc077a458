"""How Alembic runs the versions: on the connection that `migrations.upgrade` has opened."""

from __future__ import annotations

from alembic import context

from video_analysis.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table; Alembic copies it instead
)
with context.begin_transaction():
    context.run_migrations()
