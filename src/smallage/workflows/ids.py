"""Ids of workflows: random ones, or inside a task such as a repeated run makes again."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

from smallage.core import trees
from smallage.core.errors import ImproperlyConfigured
from smallage.core.ids import check_task_id, random_uuid_text
from smallage.core.message import is_uuid
from smallage.core.trees import Chain, Fan
from smallage.request import running


def derived(base: str) -> Callable[[str], str]:
    """Ids for the places of a tree that belongs to `base`: the same each time."""

    def make(path: str) -> str:
        return random_uuid_text(sha256(f"{base}\0{path}".encode()).hexdigest()[:32])

    return make


def fresh_ids(chain: Chain) -> Callable[[str], str]:
    """Ids for a new tree."""
    from smallage.app import new_id

    request = running.get()
    if request is None or request.claim is None:
        return lambda path: new_id()
    return derived(request.next_child(sha256(trees.pack(chain)).digest()[:8]))


def chosen_ids(chain: Chain) -> bool:
    """True of a tree, not frozen yet, in which somebody has chosen an id."""
    for one in chain:
        if isinstance(one, Fan):
            if one.id is not None or any(chosen_ids(inner) for inner in (*one.members, one.body or [])):
                return True
        elif "task_id" in one.options:
            return True
    return False


def check_ids(chain: Chain) -> None:
    """Raise ImproperlyConfigured for chosen ids that cannot be."""
    for one in chain:
        if isinstance(one, Fan):
            if one.id is not None and not is_uuid(str(one.id)):
                raise ImproperlyConfigured("The id of a group must be a UUID in its usual spelling, in lower case.")
            for inner in (*one.members, one.body or []):
                check_ids(inner)
        elif "task_id" in one.options:
            check_task_id(one.options["task_id"])
