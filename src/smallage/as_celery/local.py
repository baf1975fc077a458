"""Objects that stand for others: `celery.local`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from smallage.as_celery.absent import attribute


class Proxy:
    """Stands for what `local(*args, **kwargs)` answers; asked again at each use."""

    __slots__ = ("__dict__", "_look")

    def __init__(
        self,
        local: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        __doc__: str | None = None,
    ) -> None:
        given, named = args or (), dict(kwargs or {})
        object.__setattr__(self, "_look", lambda: local(*given, **named))

    def _get_current_object(self) -> Any:
        """What it stands for."""
        return object.__getattribute__(self, "_look")()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get_current_object(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._get_current_object(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._get_current_object(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._get_current_object()(*args, **kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self._get_current_object()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._get_current_object()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._get_current_object()[key]

    def __contains__(self, item: Any) -> bool:
        return item in self._get_current_object()

    def __len__(self) -> int:
        return len(self._get_current_object())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._get_current_object())

    def __bool__(self) -> bool:
        return bool(self._get_current_object())

    def __eq__(self, other: object) -> bool:
        return bool(self._get_current_object() == other)

    def __hash__(self) -> int:
        return hash(self._get_current_object())

    def __enter__(self) -> Any:
        return self._get_current_object().__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._get_current_object().__exit__(*error)

    def __dir__(self) -> list[str]:
        return dir(self._get_current_object())

    def __str__(self) -> str:
        return str(self._get_current_object())

    def __repr__(self) -> str:
        return repr(self._get_current_object())


class PromiseProxy(Proxy):
    """The same, but asked once, at the first use."""

    __slots__ = ()

    def __init__(self, local: Callable[..., Any], *rest: Any, **more: Any) -> None:
        super().__init__(local, *rest, **more)
        look = object.__getattribute__(self, "_look")
        kept: list[Any] = []

        def once() -> Any:
            if not kept:
                kept.append(look())
            return kept[0]

        object.__setattr__(self, "_look", once)

    def __maybe_evaluate__(self) -> Any:
        return self._get_current_object()


def maybe_evaluate(obj: Any) -> Any:
    """What a promise stands for; anything else as it is."""
    return obj._get_current_object() if type(obj) is PromiseProxy else obj


def try_import(module: str, default: Any = None) -> ModuleType | Any:
    """The module of this name, `default` if there is none."""
    try:
        return import_module(module)
    except ImportError:
        return default


__all__ = ["PromiseProxy", "Proxy", "maybe_evaluate", "try_import"]

if not TYPE_CHECKING:
    __getattr__ = attribute(__name__)
