"""Write what type checkers read: one stub for each module of `smallage.as_celery`. Run it when one has come or gone.

At run time the modules themselves answer to their names under `celery`, so these stubs only say where they are.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).resolve().parent / "src" / "celery"
TREE = HERE.parents[3] / "src" / "smallage" / "as_celery"
OWN = ("aliasing", "absent", "stand_ins", "daemon")
"""Modules of the tree that Celery does not have."""


def stubs() -> dict[str, str]:
    """Path below `celery` → text."""
    found = {}
    for path in sorted(TREE.rglob("*.py")):
        inner = path.relative_to(TREE)
        if inner.parts[0].removesuffix(".py") in OWN:
            continue
        parts = inner.with_suffix("").parts
        module = ".".join(("smallage", "as_celery", *(part for part in parts if part != "__init__")))
        found[str(inner.with_suffix(".pyi"))] = f"from {module} import *\n"
    return found


def main() -> None:
    wanted = stubs()
    for path in HERE.rglob("*.pyi"):
        if str(path.relative_to(HERE)) not in wanted:
            path.unlink()
    for inner, text in wanted.items():
        place = HERE / inner
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


if __name__ == "__main__":
    main()
