"""The app: a name, settings, tasks, and the store that they go to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from smallage.app import current
from smallage.app.calling import Calling
from smallage.core.canvas import Signature
from smallage.result import AsyncResult

if TYPE_CHECKING:
    from smallage.app.registering import TaskClass
    from smallage.control import Control
    from smallage.groups import GroupResult


class Smallage(Calling):
    """An application's tasks and where they go.

    `main` names tasks of a script; `broker` is the store's URL, such as `redis://localhost`; `namespace` keeps apps in
    one store apart (with `config_source` it is Celery's: the prefix of its names there); further keywords are settings
    by Celery's names. Without a URL the store is `.smallage/queue.db` beside the nearest pyproject.toml of
    the file that makes the app. Raises ImproperlyConfigured for settings that cannot work.
    """

    def __init__(
        self,
        main: str | None = None,
        loader: Any = None,
        backend: str | None = None,
        amqp: Any = None,
        events: Any = None,
        log: Any = None,
        control: Any = None,
        set_as_current: bool = True,
        tasks: Any = None,
        broker: str | None = None,
        include: Sequence[str] | None = None,
        changes: Mapping[str, Any] | None = None,
        config_source: Any = None,
        fixups: Any = None,
        task_cls: TaskClass | str | None = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        strict_typing: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(task_cls, strict_typing)
        self.main = main
        if config_source is not None:
            self.config_from_object(config_source, namespace=namespace)
        elif namespace is not None:
            self.conf.namespace = namespace
        given = {"broker_url": broker, "result_backend": backend, "include": include}
        for name, value in {**given, **(changes or {}), **settings}.items():
            if value is not None:
                setattr(self.conf, name, value)
        current.welcome(self)
        if set_as_current:
            self.set_current()

    def set_current(self) -> None:
        """Make this the app of tasks and results that name none."""
        current.set_current(self)

    set_default = set_current

    # -- results --------------------------------------------------------------------------------------------------
    def AsyncResult(self, task_id: str, parent: Any = None) -> AsyncResult[Any]:
        """The handle of a task's result."""
        return AsyncResult(task_id, self, parent=parent)

    def GroupResult(self, group_id: str) -> GroupResult[Any]:
        """The handle of a group."""
        from smallage.groups import GroupResult

        return GroupResult(group_id, self)

    @property
    def control(self) -> Control:
        """Orders about many tasks, and questions about workers."""
        from smallage.control import Control

        return Control(self)

    def signature(self, task: Any, *args: Any, **kwargs: Any) -> Signature:
        """A signature sent by this app."""
        from smallage.core.canvas import signature

        made = signature(task, *args, **kwargs)
        made._app = self
        return made

    def __repr__(self) -> str:
        return f"<Smallage {self.main or '__main__'}>"


Celery = Smallage
