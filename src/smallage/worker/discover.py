"""Finding the app: `mod:obj`, `mod:factory()`, `mod`, a file, or the `tasks.py` or `app.py` that lies here."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from smallage.core.errors import ImproperlyConfigured

_LOOKED_FOR = ("tasks", "app")
_ATTRIBUTES = ("app", "celery")
_FACTORIES = ("create_app", "make_app")
EXTENSIONS = ("smallage", "celery")
"""Where a Flask app keeps its app of tasks."""


class AppNotFound(ImproperlyConfigured):
    """No app where it was said to be; the text says how to name it."""


def find_app(where: str = "", workdir: str = "") -> Any:
    """The app at `where` ("": look for it). The working directory is put on the module path.

    Raises AppNotFound; an error inside the user's module passes through unchanged.
    """
    if workdir:
        os.chdir(workdir)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    where = where or os.environ.get("SMALLAGE_APP", "") or os.environ.get("APP", "")
    if not where:
        where = _look_around()
    place, _, attribute = where.partition(":")
    if not attribute and _is_attribute(place):
        place, _, attribute = place.rpartition(".")
    module = _load(place)
    if not attribute:
        return _app_in(module)
    return _attribute(module, attribute)


def _look_around() -> str:
    for name in _LOOKED_FOR:
        if Path(f"{name}.py").is_file() or Path(name, "__init__.py").is_file():
            return name
    if os.environ.get("CELERY_CONFIG_MODULE") or Path("celeryconfig.py").is_file():
        return "smallage.app.current:default_app()"  # settings, and modules that they name, are enough for a worker
    raise AppNotFound(
        "No app was named and there is neither a tasks.py nor an app.py here. "
        "Name it: smallage worker module:app (or -A module)."
    )


def _is_attribute(place: str) -> bool:
    """True for `module.name` that means a variable of the module, as Celery takes it; a module of the name wins."""
    parent, _, last = place.rpartition(".")
    if not parent or place.endswith(".py") or os.sep in place:
        return False
    module = _load(parent)
    if _is_app(getattr(module, last, None)) or is_web_app(getattr(module, last, None)):
        return True
    return not hasattr(module, "__path__") or importlib.util.find_spec(place) is None


def _load(place: str) -> ModuleType:
    if place.endswith(".py") or os.sep in place:
        place = _module_of_file(Path(place))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise AppNotFound(
                f"There is no module '{place}' here. Looked in the working directory and on the module path."
            ) from None
        raise


def _module_of_file(path: Path) -> str:
    """The dotted name of a file, so that its tasks are named as where they are imported; its root goes on the path."""
    path = path.resolve()
    if path.is_dir():
        path /= "__init__.py"
    if not path.is_file():
        raise AppNotFound(f"There is no file {path.name} in {path.parent}.")
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return ".".join(parts)


def _attribute(module: ModuleType, attribute: str) -> Any:
    called = attribute.endswith("()")
    found: Any = module
    for part in attribute.removesuffix("()").split("."):
        if not hasattr(found, part):
            raise AppNotFound(f"Module '{module.__name__}' has no '{attribute}'.{_hint(module)}")
        found = getattr(found, part)
    if called or _is_factory(attribute, found):
        found = found()
    if isinstance(found, ModuleType):
        return _app_in(found)
    if is_web_app(found):
        return _app_of(found, f"{module.__name__}:{attribute}")
    if not _is_app(found):
        kind = type(found).__name__
        raise AppNotFound(f"'{module.__name__}:{attribute}' is not an app but a {kind}.{_hint(module)}")
    return found


def _is_factory(attribute: str, found: Any) -> bool:
    """A function under one of the names that Flask's own command calls."""
    return attribute in _FACTORIES and callable(found) and not _is_app(found) and not is_web_app(found)


def _app_in(module: ModuleType) -> Any:
    """The app of a module: its `app` or `celery`, the same in its submodule `celery`, else the first app in it."""
    _refuse_two(module)
    for name in _ATTRIBUTES:
        found = getattr(module, name, None)
        if _is_app(found):
            return found
        if isinstance(found, ModuleType) and found.__name__.startswith(module.__name__ + "."):
            return _app_in(found)
    if hasattr(module, "__path__") and importlib.util.find_spec(f"{module.__name__}.celery") is not None:
        return _app_in(importlib.import_module(f"{module.__name__}.celery"))
    for name, value in vars(module).items():
        if not name.startswith("_") and _is_app(value):
            return value
    for name, value in vars(module).items():
        if not name.startswith("_") and _apps_of(value):
            return _app_of(value, f"{module.__name__}:{name}")
    raise AppNotFound(f"There is no app in module '{module.__name__}'.{_web_hint(module)} Name it: "
                      f"{module.__name__}:the_app.")  # fmt: skip


def is_web_app(value: object) -> bool:
    """A Flask app, or what is like one: it keeps its extensions by name."""
    return not isinstance(value, (type, ModuleType)) and isinstance(getattr(value, "extensions", None), dict)


def _apps_of(web: Any) -> list[Any]:
    """The apps of tasks that a Flask app has; one that stands under two names once."""
    if not is_web_app(web):
        return []
    found = [web.extensions[key] for key in EXTENSIONS if _is_app(web.extensions.get(key))]
    return found[:1] if len(found) == 2 and found[0] is found[1] else found


def _app_of(web: Any, where: str) -> Any:
    """The app of tasks that a Flask app has. Raises AppNotFound for none and for two."""
    found = _apps_of(web)
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(f"extensions['{key}']" for key in EXTENSIONS)
        raise AppNotFound(f"'{where}' has two apps, in {names}. Keep one, or name a variable that holds it.")
    raise AppNotFound(
        f"'{where}' is not an app but a {type(web).__name__}, without one in extensions['celery']. "
        "Give it one: smallage.init_app(app)."
    )


def _refuse_two(module: ModuleType) -> None:
    """Raise AppNotFound if `app` and `celery` of a module lead to two apps through a Flask app."""
    found = {name: getattr(module, name, None) for name in _ATTRIBUTES}
    led = {name: _apps_of(one) or [one] for name, one in found.items() if _is_app(one) or _apps_of(one)}
    if len(led) == 2 and any(map(is_web_app, found.values())) and led["app"][0] is not led["celery"][0]:
        name = module.__name__
        raise AppNotFound(f"'{name}' has two apps, app and celery. Say which: {name}:app or {name}:celery.")


def _web_hint(module: ModuleType) -> str:
    """What a Flask app in the module lacks."""
    names = [name for name, value in vars(module).items() if is_web_app(value)]
    if not names:
        return ""
    return f" {names[0]} is a Flask app without one in its extensions['celery']: smallage.init_app({names[0]})."


def _is_app(value: object) -> bool:
    """An app of ours, wherever its class is spelled; a class or a module is not."""
    if isinstance(value, (type, ModuleType)) or value is None:
        return False
    return any(kind.__module__ == "smallage.app.base" for kind in type(value).__mro__)


def _hint(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if _is_app(value)]
    return f" Apps there: {', '.join(names)}." if names else " There is no app in it."
