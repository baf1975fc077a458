"""Calls one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smallage.core.canvas import printing
from smallage.core.canvas.members import Membered
from smallage.core.canvas.signature import Ids, Signature, as_list, members_of


@Signature.register_type()
class chain(Membered):
    """`chain(a, b, c)` or `chain([a, b, c])`: each gets the result of the one before, ahead of its own arguments.

    The same as `a | b | c`, except that a group of one member is taken for the member wherever it stands. So the
    outcome need not be a chain: `chain(group(a, b), c)` is a chord. With options it is always a chain, of the
    members as they are.
    """

    kind = "chain"

    def __new__(cls, *tasks: Any, **options: Any) -> Any:
        one = tasks[0] if len(tasks) == 1 else None
        if options or not tasks or isinstance(one, Mapping):
            return cls.of(members_of(tasks if len(tasks) != 1 or isinstance(one, Mapping) else one, "chain"), **options)
        from smallage.core.canvas.joining import fold

        folded = fold(members_of(tasks if len(tasks) > 1 else one, "chain"))
        if cls is not chain and type(folded) is chain:
            return cls.of(folded.tasks)
        return folded

    def __init__(self, *tasks: Any, **options: Any) -> None:
        """`__new__` has done it all: it may have made something else."""

    @classmethod
    def of(cls, tasks: Iterable[Signature], **options: Any) -> chain:
        """A chain of these as they are."""
        made = dict.__new__(cls)
        Signature.__init__(made, "celery.chain", (), {"tasks": list(tasks)}, subtask_type="chain", **options)
        return made

    def steps(self, args: Any = None, kwargs: Any = None) -> list[Signature]:
        """What runs when it is sent with these arguments, as copies in order.

        Each step is a task, a chord, or, as the last one only, a group; a chord's body is a task, a chord or a group.
        Nested chains are spliced in, a group with something after it has become a chord, a group of one its member,
        `chunks` a group. Empty groups are gone, unless there is nothing else. The options of the chain itself are
        left to the caller: `link`, `group_id` and `task_id` belong to the last step, `link_error` to all, the rest to
        the first.
        """
        from smallage.core.canvas.steps import steps_of, with_arguments

        if self.immutable:
            args = kwargs = None
        return with_arguments(steps_of(self.tasks), (*(args or ()), *self.args), kwargs)

    def unchain_tasks(self) -> list[Signature]:
        """Clones of the members. Those linked to the chain are linked to the last, its `link_error` to each."""
        tasks = [one.clone() for one in self.tasks]
        if tasks:
            for callback in as_list(self.options.get("link")):
                tasks[-1].link(callback)
        for errback in as_list(self.options.get("link_error")):
            for one in tasks:
                one.link_error(errback)
        return tasks

    def clone(self, args: Any = None, kwargs: Any = None, **options: Any) -> Signature:
        """A copy, its members cloned; these arguments go to the first member that does something."""
        from smallage.core.canvas.steps import is_empty

        tasks = [one.clone() for one in self.tasks]
        if (args or kwargs) and not self.immutable:
            for place, one in enumerate(tasks):
                if not is_empty(one):
                    tasks[place] = one.clone(args, kwargs)
                    break
        return self._copy(self.args, {**self.kwargs, "tasks": tasks}, options)

    def fix(self, ids: Ids, parent: Any) -> Any:
        """Fix the ids of all steps, which take the place of the members; None if there are none."""
        from smallage.core.canvas.steps import steps_of

        self.tasks = steps_of(self.tasks, in_place=True)
        handle = None
        for place, step in enumerate(self.tasks):
            first, last = place == 0, place == len(self.tasks) - 1
            given = ids if last else Ids(root_id=ids.root_id)
            given = given._replace(parent_id=ids.parent_id if first else None)
            handle = step.fix(given, parent if handle is None else handle)
        if handle is not None:
            self.id = handle.id
        return handle

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send it, with these arguments for the first step; None if there is none."""
        return self.apply_async(args, kwargs) if self.tasks else None

    def __repr__(self) -> str:
        if not self.tasks:
            return f"<{type(self).__name__}@{id(self):#x}: empty>"
        return printing.without_repeats(self.tasks[0]["task"], " | ".join(repr(one) for one in self.tasks))
