"""Text and bytes: `kombu.utils.encoding`."""

from __future__ import annotations

from typing import Any


def str_to_bytes(s: Any) -> Any:
    """Text as UTF-8; anything else as it is."""
    return s.encode() if isinstance(s, str) else s


ensure_bytes = str_to_bytes


def bytes_to_str(s: Any) -> Any:
    """Bytes as text, with marks for what is no UTF-8; anything else as it is."""
    return s.decode(errors="replace") if isinstance(s, bytes) else s


from_utf8 = bytes_to_str


def safe_str(s: Any, errors: str = "replace") -> str:
    """Any object as text; never fails."""
    if isinstance(s, bytes):
        return s.decode(errors=errors)
    try:
        return str(s)
    except Exception as error:  # whatever somebody's __str__ raises
        return f"<Unrepresentable {type(s)!r}: {error!r}>"


def safe_repr(o: Any, errors: str = "replace") -> str:
    """`repr`; never fails."""
    try:
        return repr(o)
    except Exception:  # whatever somebody's __repr__ raises
        return safe_str(o, errors)


__all__ = ["bytes_to_str", "ensure_bytes", "from_utf8", "safe_repr", "safe_str", "str_to_bytes"]
