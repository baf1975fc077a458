"""Floor 4: the command line. `main` is the entry of the `smallage` script and of `python -m smallage`."""

from __future__ import annotations

import sys

__all__ = ["main", "run"]


def main(argv: list[str] | None = None) -> None:
    """Run a command and exit with its code: 0 success, 1 a task or check failed, 2 wrong usage, 3 the store cannot be
    reached, 4 a forced stop that handed work back."""
    try:
        run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:  # before anything has begun; later everybody minds it himself
        sys.exit(130)


def run(arguments: list[str], program: str = "smallage") -> None:
    """Run a command and exit with its code. `program`: what its texts say was called."""
    from smallage.cli.worker_options import parse_quickly

    # A plain `smallage worker ...` is told apart without click, whose import would be a third of the start-up time.
    options = parse_quickly(arguments)
    if options is not None:
        from smallage.cli.worker import run_worker

        sys.exit(run_worker(options))
    from smallage.cli.group import cli

    cli.main(arguments, prog_name=program)
