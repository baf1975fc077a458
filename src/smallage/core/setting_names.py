"""The spellings of settings: Celery's of today, its upper-case ones of old, and those under a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from smallage.core.errors import ImproperlyConfigured
from smallage.core.setting_table import ELSEWHERE, ELSEWHERE_PREFIXES, TABLE, Setting

_IRREGULAR: Final = {
    "task_serializer": "CELERY_TASK_SERIALIZER",
    "enable_utc": "ENABLE_UTC",
    "task_eager_propagates": "CELERY_EAGER_PROPAGATES_EXCEPTIONS",
    "task_time_limit": "CELERYD_TASK_TIME_LIMIT",
    "task_soft_time_limit": "CELERYD_TASK_SOFT_TIME_LIMIT",
    "worker_disable_rate_limits": "CELERY_DISABLE_RATE_LIMITS",
    "task_publish_retry": "CELERY_TASK_PUBLISH_RETRY",
    "task_publish_retry_policy": "CELERY_TASK_PUBLISH_RETRY_POLICY",
    "worker_send_task_events": "CELERY_SEND_EVENTS",
    "task_send_sent_event": "CELERY_SEND_TASK_SENT_EVENT",
    "task_compression": "CELERY_MESSAGE_COMPRESSION",
    "result_expires": "CELERY_TASK_RESULT_EXPIRES",
    "result_cache_max": "CELERY_MAX_CACHED_RESULTS",
    "result_accept_content": "RESULT_ACCEPT_CONTENT",
    "worker_redirect_stdouts": "CELERY_REDIRECT_STDOUTS",
    "worker_redirect_stdouts_level": "CELERY_REDIRECT_STDOUTS_LEVEL",
    "worker_enable_remote_control": "CELERY_ENABLE_REMOTE_CONTROL",
    "worker_direct": "CELERY_WORKER_DIRECT",
    "worker_lost_wait": "CELERYD_WORKER_LOST_WAIT",
    "task_protocol": "CELERY_TASK_PROTOCOL",
    "task_cls": "CELERY_TASK_CLS",
}
_ALIASES: Final = {
    "CELERY_BROKER_URL": "broker_url",
    "CELERY_ENABLE_UTC": "enable_utc",
    "CELERY_RESULT_EXPIRES": "result_expires",
}
"""Further spellings that programs use. They belong to neither side when old and new are told apart."""
_WHOLE_KEY = ("result_", "redis_", "event_", "security_")
_WHOLE_NAMES = frozenset({"accept_content", "imports", "include", "timezone"})


def old_spelling(name: str) -> str:
    """Celery's upper-case spelling of a setting."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    if name.startswith("task_"):
        return f"CELERY_{name[5:].upper()}"
    if name.startswith("worker_"):
        return f"CELERYD_{name[7:].upper()}"
    if name.startswith("beat_"):
        return f"CELERYBEAT_{name[5:].upper()}"
    if name.startswith(_WHOLE_KEY) or name in _WHOLE_NAMES:
        return f"CELERY_{name.upper()}"
    return name.upper()


_OLD: Final[dict[str, str]] = {old_spelling(name): name for name in TABLE}
OLD_NAMES: Final[dict[str, str]] = {**_ALIASES, **_OLD}
"""Celery's upper-case spellings → the names of today."""


def find(name: str) -> tuple[str, Setting] | None:
    """(today's name, its row), or None for an unknown name."""
    setting = TABLE.get(name)
    if setting is not None:
        return name, setting
    today = OLD_NAMES.get(name)
    if today is not None:
        return today, TABLE[today]
    if name.lower().startswith(ELSEWHERE_PREFIXES):
        return name.lower(), ELSEWHERE
    return None


def settings_of(source: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
    """What a configuration object says, known settings under today's names.

    With `namespace` "CELERY" each is `CELERY_<TODAY'S NAME>`; then names of today and `TIME_ZONE` are read as they
    stand, and nothing else is. Without one, unknown names are kept as they are, but for those that begin with "_".
    Raises ImproperlyConfigured when old and new spellings are mixed and a setting is given in one of them only.
    """
    if namespace:
        return _under(namespace, source)
    new = {key for key in source if key in TABLE}
    old = {key for key in source if key in _OLD and key not in TABLE}
    if new and old:
        _check_mix(new, old)
    known = {OLD_NAMES[key]: source[key] for key in source if key in OLD_NAMES}
    rest = {key: source[key] for key in source if key not in OLD_NAMES and not key.startswith("_")}
    return {**known, **rest}


def _under(namespace: str, source: Mapping[str, Any]) -> dict[str, Any]:
    prefix = namespace.upper()
    prefix = prefix if prefix.endswith("_") else f"{prefix}_"
    made = {key: value for key, value in source.items() if key in TABLE or key == "TIME_ZONE"}
    for key, value in source.items():
        if key.upper().startswith(prefix):
            bare = key[len(prefix) :].lower()
            made[(find(bare) or find(bare.upper()) or (bare, None))[0]] = value
    return made


def _check_mix(new: set[str], old: set[str]) -> None:
    """The spelling of the minority is at fault; of as many, the old one."""
    if len(old) > len(new):
        renames = {key: old_spelling(key) for key in new}
        given = old
    else:
        renames = {key: OLD_NAMES[key] for key in old}
        given = new
    lonely = [f"{key} → {other}" for key, other in sorted(renames.items()) if other not in given]
    if lonely:
        raise ImproperlyConfigured(f"Cannot mix new and old setting keys; rename {', '.join(lonely)}.")
