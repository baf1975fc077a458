"""How a worker logs: Celery's line on a terminal, or one JSON object a line; later as the app's settings want it."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from smallage import signals
from smallage.log import TASK_LOGGER, TaskFields
from smallage.stores.shelter import sheltered

if TYPE_CHECKING:
    from typing import TextIO

_BARE = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}
"""Attributes that every record has; what goes beyond them came with `extra=`."""

_COLOURS = {"ERROR": "\033[31m", "CRITICAL": "\033[31;1m", "WARNING": "\033[33m", "DEBUG": "\033[34m"}

FORMAT: Final = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
TASK_FORMAT: Final = "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, process, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        for name, value in record.__dict__.items():
            if name not in _BARE and name not in line:
                line[name] = value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """Celery's line, coloured by level on a terminal. `process` names this process in the lines."""

    def __init__(self, process: str, coloured: bool, line: str = FORMAT, dates: str | None = None) -> None:
        super().__init__(line, dates)
        self._process = process
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        record.processName = self._process
        line = super().format(record)
        colour = _COLOURS.get(record.levelname) if self._coloured else None
        return f"{colour}{line}\033[0m" if colour else line


class OwnHandler(logging.StreamHandler["TextIO"]):
    """The handler that a worker puts on a logger, told apart from those of the app. Bodies that log are interrupted
    before or behind it."""

    def handle(self, record: logging.LogRecord) -> Any:
        with sheltered():
            return super().handle(record)


def configure(level: str, style: str, process: str) -> None:
    """Log to stderr from `level` on, in `style` text or json; `process` names this process in the lines.

    Handlers that the app has put on the root logger are left alone, and then ours is not added."""
    logging.logMultiprocessing = False
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in list(root.handlers):
        if isinstance(handler, OwnHandler):  # inherited from the supervisor, with its name
            root.removeHandler(handler)
    if not root.handlers:
        root.addHandler(_handler(style, process, wants_colour(sys.stderr)))


def settle(conf: Any, level: str, style: str, process: str) -> bool:
    """Log from now on as the app's settings and the receivers of its signals want it. True if the receivers of
    `setup_logging` have taken it all upon themselves."""
    root, tasks = logging.getLogger(), logging.getLogger(TASK_LOGGER)
    coloured = wants_colour(sys.stderr) if conf.worker_log_color is None else conf.worker_log_color
    line = conf.worker_log_format or FORMAT
    told = {"loglevel": logging.getLevelName(level.upper()), "logfile": None, "format": line, "colorize": coloured}
    own = [handler for handler in root.handlers if isinstance(handler, OwnHandler)]
    foreign = [handler for handler in root.handlers if not isinstance(handler, OwnHandler)]
    if signals.setup_logging.receivers:
        _remove(root, own)
        signals.setup_logging.send(sender=None, **told)
        return True
    if foreign and conf.worker_hijack_root_logger:
        _remove(root, foreign)
        own = own or [_add(root, _handler(style, process, coloured))]
    elif foreign:
        _remove(root, own)
        own = []
    for handler in own:
        _set_format(handler, style, process, coloured, line, conf.worker_log_datefmt)
    signals.after_setup_logger.send(sender=None, logger=root, **told)
    if own and not tasks.handlers:
        handler = _handler(style, process, coloured, own[0].stream)
        _set_format(
            handler, style, process, coloured, conf.worker_task_log_format or TASK_FORMAT, conf.worker_task_log_datefmt
        )
        handler.addFilter(TaskFields())
        _add(tasks, handler)
        tasks.propagate = False
    signals.after_setup_task_logger.send(sender=None, logger=tasks, **told)
    return False


def _handler(style: str, process: str, coloured: bool, stream: TextIO | None = None) -> OwnHandler:
    made = OwnHandler(stream)
    _set_format(made, style, process, coloured, FORMAT, None)
    return made


def _set_format(
    handler: logging.Handler, style: str, process: str, coloured: bool, line: str, dates: str | None
) -> None:
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter(process, coloured, line, dates))


def _add(logger: logging.Logger, handler: OwnHandler) -> OwnHandler:
    logger.addHandler(handler)
    return handler


def _remove(logger: logging.Logger, handlers: list[Any]) -> None:
    for handler in handlers:
        logger.removeHandler(handler)


def wants_colour(stream: TextIO) -> bool:
    """True on a terminal, unless the environment decides."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()
