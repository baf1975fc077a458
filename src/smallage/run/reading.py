"""A claim's bytes become the arguments of its task."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from smallage.core import codec
from smallage.core.message import Claim

_last_template: tuple[bytes, tuple[Any, Any, Any]] = (b"", ([], {}, {}))
"""A payload and what it holds; only such as no body can change."""
_FIXED = frozenset({int, float, str, bool, bytes, type(None)})


def arguments_of(claim: Claim) -> tuple[Any, Any, Any]:
    """(args, kwargs, extras) of a claim. A group's template of plain values is decoded once for a row of members; one
    with containers for each, since a body may change them."""
    row = claim.row
    if row is None:
        return codec.decode_payload(claim.payload)
    global _last_template
    known, template = _last_template
    if known != claim.payload:
        template = codec.decode_payload(claim.payload)
        args, kwargs, extras = template
        if all(map(_is_fixed, (args, kwargs, extras.get("h") or (), extras.get("f") or ()))):
            _last_template = (claim.payload, template)
    args, kwargs = codec.decode_row(row)
    if template[0]:
        args = [*args, *template[0]]
    if "f" in template[2]:
        args = [*template[2]["f"], *args]
    if template[1]:
        kwargs = {**template[1], **kwargs}
    return args, kwargs, template[2]


def _is_fixed(part: Collection[Any]) -> bool:
    """True if the values of this part of a payload cannot be changed in place."""
    return _FIXED.issuperset(map(type, part.values() if isinstance(part, dict) else part))
