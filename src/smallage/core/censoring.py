"""Settings as they may be shown: in reports, in answers to `inspect conf`, on pages.

What Smallage itself reads is shown, without logins, arguments and whatever its name calls a secret. Of an application's
own settings only numbers are: nobody here can know what its texts mean.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

from smallage.core.declared import CHECKED
from smallage.core.setting_table import TABLE

STARS: Final = "********"
"""In the place of what is not shown."""
_SECRET: Final = re.compile("url|uri|dsn|pass|secret|token|key|api|auth|cred|private|signature|cookie|backend", re.I)
_HARMLESS: Final = re.compile("^(routing_key|global_keyprefix|ssl_keyfile)$", re.I)
_ARGUMENTS: Final = frozenset({"args", "kwargs", "headers", "argsrepr", "kwargsrepr", "sentinel_kwargs"})
_PLAIN: Final = (bool, int, float, dt.timedelta, type(None))


def censored(name: str, value: Any) -> Any:
    """The value of the setting `name`, with stars for what may be a secret."""
    if isinstance(value, (str, bytes)) and value and _is_secret(name):
        return STARS
    if name == "task_annotations":
        return _annotations(value)
    return _shown(value, name, name in TABLE)


def _shown(value: Any, name: str, ours: bool) -> Any:
    """A value, or what a container holds under `name`."""
    if isinstance(value, _PLAIN):
        return STARS if not ours and type(value) in (int, float) and _is_secret(name) else value
    if isinstance(value, Mapping):
        return {key: _within(str(key), one, ours) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        shown = [_shown(one, name, ours) for one in value]
        return tuple(shown) if isinstance(value, tuple) else shown
    if not ours or (isinstance(value, str) and "://" in value):
        return STARS if value else value
    return value


def _within(key: str, value: Any, ours: bool) -> Any:
    """What a mapping has under `key`."""
    if value and not isinstance(value, bool) and (key in _ARGUMENTS or _is_secret(key)):
        return STARS
    return _shown(value, key, ours)


def _annotations(rules: Any) -> Any:
    """Options of tasks are ours, other attributes the application's."""
    if isinstance(rules, Mapping):
        return {
            str(task): {key: _within(str(key), one, key in CHECKED) for key, one in said.items()}
            if isinstance(said, Mapping)
            else STARS
            for task, said in rules.items()
        }
    return tuple(_annotations(rule) if isinstance(rule, Mapping) else rule for rule in rules or ())


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None and _HARMLESS.match(name) is None
