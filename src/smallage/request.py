"""`self.request`: what a running task knows about its own run.

Two context variables say what runs here: `running`, the task that a worker started, and `direct`, a task that was
called as a function. Threads, greenlets and asyncio tasks each have their own.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from smallage.core import codec, trees
from smallage.core.ids import child_id
from smallage.core.message import Claim
from smallage.core.options import isoformat

if TYPE_CHECKING:
    from smallage.app import Smallage
    from smallage.task import Prepared, Task

running: ContextVar[Request | None] = ContextVar("smallage_running", default=None)
"""The run that a worker started in this context."""


def _stray() -> None:
    request = running.get()
    if request is not None:
        request.strayed = True


os.register_at_fork(after_in_child=_stray)
direct: ContextVar[Request | None] = ContextVar("smallage_direct", default=None)
"""A task called as a function in this context, innermost first."""

MAX_CHILDREN = 1_000
"""Children of a run that are remembered."""
MAX_MEMBERS = 999
"""In a larger header nobody looks for the member that ended last."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Request:
    """One run of a task. Attributes may be set; what is not given is None, or as Celery has it."""

    claim: Claim | None = None
    app: Smallage
    task_object: Task[Any, Any]
    hostname: str | None = None
    is_eager = False
    called_directly = False
    args: Any = ()
    kwargs: Any = None
    extras: dict[str, Any]
    # Celery's fields that always look like this here:
    stamps: Any = None
    stamped_headers: Any = None
    logfile: Any = None
    loglevel: Any = None
    utc: Any = None
    """Celery's, who sent the task: not kept, it would go with every message."""
    sent: Any = ()
    """Handles of what this run has sent, as `children` shows them."""
    # what this run did so far:
    ordinal = 0
    """Tasks pushed by this run."""
    note: tuple[str, Any] | None = None
    """The last state and meta given to `update_state`."""
    pending_retry: BaseException | None = None
    """A retry that was asked for with throw=False; it happens when the body returns."""
    local: Any = None
    """The context of a run without a worker."""
    limit_override: int | None = None
    """`max_retries` given to the last `retry()`."""
    strayed = False
    """This is a process that the body has forked: what it does here is no part of the run."""

    def __init__(
        self,
        app: Smallage,
        task: Task[Any, Any],
        claim: Claim | None,
        args: Any,
        kwargs: Any,
        extras: dict[str, Any],
        hostname: str | None = None,
    ) -> None:
        self.app = app
        self.task_object = task
        self.claim = claim
        self.args = args
        self.kwargs = kwargs
        self.extras = extras
        self.hostname = hostname
        self.began = monotonic()

    @cached_property
    def retold(self) -> set[str]:
        """Ids of what this run has pushed with headers that receivers of `before_task_publish` changed."""
        return set()

    # -- identity -------------------------------------------------------------------------------------------------
    @cached_property
    def id(self) -> Any:
        """The task's id; None when called directly."""
        return self.claim.id if self.claim is not None else None

    @cached_property
    def prepared(self) -> Prepared:
        """The task's options as they stood when the run began."""
        return self.task_object.current()

    @property
    def current(self) -> Prepared:
        """The same, as they stand now."""
        prepared = self.prepared
        return prepared if prepared.version == self.app.conf.version else self.task_object.current()

    @cached_property
    def task(self) -> str:
        """The task's name."""
        return self.task_object.name

    @cached_property
    def retries(self) -> int:
        """Attempts before this one that ended in a retry."""
        return self.claim.failures if self.claim is not None else 0

    @cached_property
    def crashes(self) -> int:
        """Runs of this task that ended with the death of their worker."""
        return self.claim.crashes + self.claim.lost if self.claim is not None else 0

    @cached_property
    def token(self) -> int:
        """Fencing token of this run: higher than that of every earlier run of the task."""
        return self.claim.tok if self.claim is not None else 0

    @cached_property
    def generation(self) -> int:
        """1, and one more for each time that the ended task was sent round again."""
        return self.claim.gen if self.claim is not None else 1

    @cached_property
    def parent_id(self) -> Any:
        """The task that this one came from: that sent it, that stood before it in its chain, or, for the body of a
        chord, the member that ended last."""
        return self._member or self.extras.get("p")

    @cached_property
    def _member(self) -> str | None:
        """The member of a chord's header that ended last, if its body runs here."""
        claim = self.claim
        if claim is None or claim.body_of is None or "c" not in self.extras or self.is_eager:
            return None
        store = self.app.store
        page = store.results(claim.body_of, 0, MAX_MEMBERS + 1)
        if len(page) > MAX_MEMBERS:
            return None
        ended = [view for view in store.state([one.id for one in page]) if view is not None]
        return max(ended, key=lambda view: view.ended_us).id if ended else None

    @cached_property
    def root_id(self) -> Any:
        """The first task of all that led to this one."""
        return self.extras.get("o") or self.extras.get("p") or self._member or self.id

    @cached_property
    def group(self) -> Any:
        """Id of the group that the task is a member of, or whose body it is."""
        if self.claim is None:
            return None
        return self.claim.group or self.claim.body_of or self.extras.get("g", (None,))[0]

    @cached_property
    def group_index(self) -> Any:
        if self.claim is None:
            return None
        return self.claim.index if self.claim.index is not None else self.extras.get("g", (None, None))[1]

    # -- what follows ---------------------------------------------------------------------------------------------
    @cached_property
    def chain(self) -> Any:
        """The remaining steps as signature dicts, the last one first; None if there are none."""
        if "n" not in self.extras:
            return None
        return [trees.as_signature([one]) for one in reversed(trees.unpack(self.extras["n"]))]

    @cached_property
    def callbacks(self) -> Any:
        """What is called with the result, as signature dicts; None if there is nothing."""
        return self._linked("k")

    @cached_property
    def errbacks(self) -> Any:
        """What is called if the task fails, as signature dicts; None if there is nothing."""
        return self._linked("e")

    def _linked(self, key: str) -> Any:
        if key not in self.extras:
            return None
        return [trees.as_signature(trees.unpack(one)) for one in self.extras[key]]

    @cached_property
    def chord(self) -> Any:
        """The body of the chord that the task is a member of, as far as the store knows it; else None."""
        if self.claim is None or self.claim.group is None or self.is_eager:
            return None
        view = self.app.store.group(self.claim.group)
        if view is None or view.body is None:
            return None
        body = self.app.store.state([view.body])[0]
        step = trees.Step(body.name if body is not None else "", (), {}, {"task_id": view.body})
        return trees.as_signature([step])

    @cached_property
    def replaced_task_nesting(self) -> int:
        """How often a task has given its place to another, up to this one."""
        nesting: int = self.extras.get("r", 0)
        return nesting

    def add_child(self, handle: Any, call: Mapping[str, Any]) -> None:
        """Remember what this run has sent, unless the task or the call forbids it."""
        if handle is None or not self.task_object.trail or call.get("add_to_parent") is False:
            return
        if len(self.children) < MAX_CHILDREN:
            self.children.append(handle)

    @property
    def children(self) -> Any:
        """Handles of what this run has sent."""
        if not self.sent and type(self.sent) is tuple:
            self.sent = []
        return self.sent

    @children.setter
    def children(self, handles: Any) -> None:
        self.sent = handles

    @property
    def taskset(self) -> Any:
        """Celery's old name of `group`."""
        return self.group

    def kept(self) -> dict[str, Any]:
        """What is kept with the result: the children's ids, and the call if `result_extended` asks for it."""
        kept: dict[str, Any] = {}
        if self.sent:
            kept["c"] = [[one.id] if hasattr(one, "completed_count") else one.id for one in self.sent]
        if self.current.extended:
            kept["x"] = self._call()
        return kept

    def _call(self) -> dict[str, Any]:
        """The call, as far as it is plain data."""
        claim = self.claim
        assert claim is not None
        try:
            args, kwargs = codec.encode_value(list(self.args)), codec.encode_value(dict(self.kwargs))
        except Exception:
            args, kwargs = codec.encode_value(repr(self.args)), codec.encode_value(repr(self.kwargs))
        return {"args": args, "kwargs": kwargs, "worker": self.hostname, "parent": self.parent_id, "root": self.root_id}

    @cached_property
    def origin(self) -> Any:
        """Who sent the task, if the sender has put it into the headers; it is not written into every message."""
        return self.extras.get("h", {}).get("origin")

    @cached_property
    def correlation_id(self) -> Any:
        return self._option("correlation_id") or self.id

    @cached_property
    def reply_to(self) -> Any:
        return self._option("reply_to")

    @cached_property
    def argsrepr(self) -> Any:
        return self._option("argsrepr")

    @cached_property
    def kwargsrepr(self) -> Any:
        return self._option("kwargsrepr")

    def _option(self, name: str) -> Any:
        """An option of the call that only travels along."""
        return self.extras.get("y", {}).get(name)

    @cached_property
    def shadow(self) -> Any:
        return self.extras.get("s")

    # -- delivery -------------------------------------------------------------------------------------------------
    @cached_property
    def delivery_info(self) -> dict[str, Any]:
        claim = self.claim
        if claim is None:
            return {"exchange": "", "routing_key": None, "priority": 0, "redelivered": False}
        return {
            "exchange": "",
            "routing_key": claim.queue,
            "priority": claim.priority,
            "redelivered": self.crashes > 0,
        }

    @cached_property
    def headers(self) -> Any:
        """The caller's own headers, or None."""
        found = self.extras.get("h")
        return dict(found) if found else None  # the extras are shared by the members of a group

    @cached_property
    def properties(self) -> dict[str, Any]:
        known = {"correlation_id": self.id, "delivery_info": self.delivery_info, "priority": self._priority()}
        return {**known, "reply_to": self.reply_to, "delivery_mode": 2, **self.extras.get("y", {})}

    def _priority(self) -> int:
        return self.claim.priority if self.claim is not None else 0

    @cached_property
    def eta(self) -> str | None:
        """The instant asked for with `eta` or `countdown`, as ISO-8601 text."""
        if "d" in self.extras and self.claim is not None and self.claim.pushed_us:
            return isoformat(self.claim.pushed_us + self.extras["d"]) if not self.retries else None
        return isoformat(self.extras.get("a"))

    @cached_property
    def expires(self) -> str | None:
        """The instant after which the task would not have been started, as ISO-8601 text."""
        return isoformat(self.claim.expires_us) if self.claim is not None else None

    @cached_property
    def ignore_result(self) -> bool:
        return self.claim.keep_us == 0 if self.claim is not None else False

    @cached_property
    def soft_time_limit(self) -> float | None:
        return self._limits[0]

    @cached_property
    def time_limit(self) -> float | None:
        return self._limits[1]

    @cached_property
    def timelimit(self) -> list[float | None]:
        """[hard, soft], as Celery has it."""
        return [self._limits[1], self._limits[0]]

    @cached_property
    def _limits(self) -> tuple[float | None, float | None]:
        called = self.extras.get("l")
        return (called[0], called[1]) if called else self.task_object.own_limits()

    @cached_property
    def pushed(self) -> dt.datetime | None:
        """When the task was accepted, by the store's clock."""
        return _EPOCH + dt.timedelta(microseconds=self.claim.pushed_us) if self.claim is not None else None

    @cached_property
    def claimed(self) -> dt.datetime | None:
        """When this run was claimed, by the store's clock."""
        return _EPOCH + dt.timedelta(microseconds=self.claim.claimed_us) if self.claim is not None else None

    @cached_property
    def waited(self) -> float:
        """Seconds between the two."""
        return (self.claim.claimed_us - self.claim.pushed_us) / 1e6 if self.claim is not None else 0.0

    # -- Celery's dict-like side ----------------------------------------------------------------------------------
    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or `default`."""
        return getattr(self, name, default)

    def update(self, *sources: Any, **values: Any) -> None:
        """Set attributes."""
        for source in (*sources, values):
            for name, value in dict(source).items():
                setattr(self, name, value)
        given = {name for source in (*sources, values) for name in source}
        if "timelimit" in given:
            self.time_limit, self.soft_time_limit = self.timelimit or (None, None)

    def as_execution_options(self) -> dict[str, Any]:
        """The run's own as options of `apply_async`, for a call that is to stand for it."""
        return {
            "task_id": self.id,
            "root_id": self.root_id,
            "parent_id": self.parent_id,
            "group_id": self.group,
            "group_index": self.group_index,
            "shadow": self.shadow,
            "chain": self.chain,
            "link": self.callbacks,
            "link_error": self.errbacks,
            "soft_time_limit": self.soft_time_limit,
            "time_limit": self.time_limit,
            "headers": self.headers,
            "reply_to": self.reply_to,
        }

    def __getattr__(self, name: str) -> Any:
        headers = self.__dict__.get("extras", {}).get("h")
        if headers and name in headers:
            return headers[name]
        raise AttributeError(f"this run has no '{name}'")

    def __repr__(self) -> str:
        return f"<Request {self.task}[{self.id}]>"

    # -- what the run pushes --------------------------------------------------------------------------------------
    def next_child(self, digest: bytes) -> str:
        """Id of the next task that this run pushes; the same when a killed run is repeated."""
        claim = self.claim
        assert claim is not None
        ordinal = self.ordinal
        self.ordinal = ordinal + 1
        return child_id(claim.id, claim.gen, claim.failures, ordinal, digest)


class Context(Request):
    """The request of a task that was called as a function, or that does not run; or one of your own, as Celery's."""

    before: Request | None = None
    """The one that `push_request` put it before."""
    args: Any = None

    def __init__(self, *given: Any, **more: Any) -> None:
        self.extras = {}
        self.began = monotonic()
        self.called_directly = True
        self.update(*given, **more)

    @classmethod
    def of(cls, task: Task[Any, Any], args: Any = None, kwargs: Any = None) -> Context:
        """The empty request of a task, or that of a call."""
        made = cls()
        made.task_object, made.app = task, task.app
        if args is not None:
            made.args, made.kwargs = list(args), dict(kwargs or {})
        return made

    def clear(self) -> None:
        """Forget all attributes."""
        self.__dict__.clear()
        self.extras = {}

    def __repr__(self) -> str:
        return f"<Context {self.__dict__.get('id')}>"
