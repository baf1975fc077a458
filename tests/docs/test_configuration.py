"""docs/configuration.md says what core/settings.py does."""

from __future__ import annotations

from smallage.core.settings import TABLE
from tests.docs import settings_tables


def test_the_tables_are_those_of_the_code() -> None:
    page = settings_tables.PAGE.read_text()
    assert settings_tables.rendered(page) == page, "run: .venv/bin/python -m tests.docs.settings_tables"


def test_every_working_setting_is_explained() -> None:
    assert settings_tables.UNKNOWN not in settings_tables.rendered(settings_tables.PAGE.read_text())


def test_the_code_is_asked_not_the_table() -> None:
    assert settings_tables.is_read("task_time_limit")
    assert not settings_tables.is_read("task_no_such_thing")
    assert {setting.fate for setting in TABLE.values()} == {"works", "ignored", "refused"}
