"""Settings and what they are when nobody says: `celery.app.defaults`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute
from smallage.core.setting_names import find
from smallage.core.setting_table import TABLE

DEFAULTS: dict[str, Any] = {name: row.default for name, row in TABLE.items() if row.fate != "refused"}
SETTING_KEYS = frozenset(DEFAULTS)

__all__ = ["DEFAULTS", "SETTING_KEYS", "find"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
