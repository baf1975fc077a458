"""A task that gives its place to others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallage.core import plan, trees
from smallage.core.canvas import Signature, chord, group, signature
from smallage.core.errors import ImproperlyConfigured, Replace
from smallage.core.message import Message
from smallage.core.plan import Origin
from smallage.core.trees import COLLECT, Chain
from smallage.request import Request
from smallage.workflows.ids import check_ids, derived
from smallage.workflows.making import Maker
from smallage.workflows.pinning import pin


def replacement(request: Request, sig: Mapping[str, Any]) -> Chain:
    """The frozen tree that takes the place of a running task: its id, its place in a group, its links and the rest of
    its chain. Raises ImproperlyConfigured for what cannot."""
    if (sig.get("options") or {}).get("chord"):
        raise ImproperlyConfigured("A signature with a chord of its own cannot replace a task.")
    chain = trees.collected(trees.chain_of(sig))
    end = trees.last_step(chain)
    if end is None or not chain or (sig.get("subtask_type") == "chain" and not sig["kwargs"].get("tasks")):
        raise ImproperlyConfigured("An empty chain cannot replace a task.")
    check_ids(chain)
    pin(request.app, chain)
    claim, extras = request.claim, request.extras
    assert claim is not None
    changed: dict[str, Any] = {"task_id": claim.id, "nesting": request.replaced_task_nesting + 1}
    if claim.group is not None and claim.index is not None:
        changed.update(group_id=claim.group, group_index=claim.index)
    for name, key in (("link", "k"), ("link_error", "e")):
        if key in extras:
            changed[name] = [*trees.pack_links(end.options.get(name)), *extras[key]]
    end.options = {**end.options, **changed}
    if "n" in extras:
        trees.join(chain, trees.unpack(extras["n"]))
    trees.freeze(chain, derived(request.next_child(b"replace")))
    return chain


def replaced(request: Request, chain: Chain) -> Message:
    """The message that sets the replacement of a run going."""
    return plan.first(chain, (), Origin(request.root_id, request.id), Maker(request.app, alone=True))


def replace_running(task: Any, sig: Any) -> Any:
    """`Task.replace`."""
    request = task.request
    if request.claim is None:
        raise RuntimeError("replace() works only while the task is run.")
    made = signature(sig)
    if request.is_eager:
        return collected_here(made).apply().get()
    error = Replace(f"Replaced by {made.name}")
    error.chain = replacement(request, made)
    raise error


def collected_here(sig: Signature) -> Signature:
    """`sig`, a group made into one that gives its list."""
    return chord(sig, Signature(COLLECT, app=sig.app)) if isinstance(sig, group) else sig
