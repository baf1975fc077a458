"""Schedules for programs: `crontab`, `schedule`, and what goes with them, under Celery's names.

`app.schedules` lists and changes what the store keeps (`keeper.py`); what a tick becomes is in `ticks.py`.
"""

from smallage.core import schedule as _core
from smallage.core.cron import crontab
from smallage.core.cronfields import crontab_parser
from smallage.core.entries import BeatLazyFunc
from smallage.core.errors import ParseException
from smallage.core.schedule import BaseSchedule, maybe_schedule, schedstate, schedule, solar


def _current_app() -> object:
    from smallage.app import current_app

    return current_app()


_core.current_app = _current_app

__all__ = [
    "BaseSchedule",
    "BeatLazyFunc",
    "ParseException",
    "crontab",
    "crontab_parser",
    "maybe_schedule",
    "schedstate",
    "schedule",
    "solar",
]
