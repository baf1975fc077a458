"""Options and commands that apps and other packages add to the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from smallage import signals
from smallage.as_celery.bin.celery import celery
from smallage.cli import plugins
from smallage.cli.group import cli
from tests.worker.conftest import PATIENCE, until

SHOP = """
    import json, os
    from click import Option
    from smallage import Smallage, signals

    app = Smallage("shop", set_as_current=False)
    app.user_options["preload"].add(Option(["--tenant"], default="nobody", help="Whose tasks."))
    app.user_options["worker"].add(Option(["--gpu/--no-gpu"], default=False, help="Has one."))
    app.user_options["worker"].add(Option(["--weight"], type=int, default=1))
    app.user_options["beat"].add(Option(["--season"]))

    def tell(*words):
        with open("told", "a") as file:
            file.write(json.dumps(words) + "\\n")

    @signals.user_preload_options.connect(weak=False, dispatch_uid="own")
    def preload(sender, app, options, **_):
        tell("preload", sender, app.main, options)

    @signals.celeryd_init.connect(weak=False, dispatch_uid="own")
    def init(sender, options, **_):
        tell("worker", {name: options[name] for name in ("tenant", "gpu", "weight")})

    @signals.worker_ready.connect(weak=False, dispatch_uid="own")
    def ready(**_):
        tell("ready")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("APP", "BROKER_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/queue.db")
    plugins._found.cache_clear()
    before = set(sys.modules)
    yield tmp_path
    plugins._found.cache_clear()
    for one in (signals.user_preload_options, signals.celeryd_init, signals.worker_ready):
        one.disconnect(dispatch_uid="own")
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def told(here: Path) -> Callable[[], list[list]]:
    (here / "shop.py").write_text(textwrap.dedent(SHOP))

    def read() -> list[list]:
        path = here / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


def run(*words: str, code: int = 0, group: object = cli) -> Result:
    result = CliRunner().invoke(group, list(words))  # type: ignore[arg-type]
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(
    ("words", "tenant", "gpu", "weight"),
    [([], "nobody", False, 1), (["--tenant", "acme", "-c", "1", "--gpu", "--weight=3"], "acme", True, 3)],
)
def test_a_worker_has_the_app_s_options(
    told: Callable[[], list[list]], words: list[str], tenant: str, gpu: bool, weight: int
) -> None:
    command = [sys.executable, "-m", "smallage", "-A", "shop", "worker", "-P", "solo", *words]
    worker = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: ["ready"] in told() or worker.poll() is not None)
        worker.send_signal(signal.SIGTERM)
        talk = worker.communicate(timeout=PATIENCE)[1]
    finally:
        worker.kill()
    assert told()[:2] == [
        ["preload", "worker", "shop", {"tenant": tenant}],
        ["worker", {"tenant": tenant, "gpu": gpu, "weight": weight}],
    ], talk


@pytest.mark.parametrize(
    ("words", "says"),
    [(["--weigth", "3"], "--weigth"), (["--weight", "much"], "'much' is not a valid integer")],
)
def test_wrong_ones_are_refused(told: Callable[[], list[list]], words: list[str], says: str) -> None:
    command = [sys.executable, "-m", "smallage", "worker", "shop", "-P", "solo", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, told()) == (2, [])
    assert says in done.stderr


def test_help_lists_them(told: Callable[[], list[list]]) -> None:
    assert "Whose tasks." in run("worker", "shop", "--help").stdout
    assert "--gpu" in run("-A", "shop", "worker", "--help").stdout
    assert "--tenant" in run("-A", "shop", "status", "--help").stdout
    assert "--gpu" not in run("-A", "shop", "status", "--help").stdout
    assert "--season" in run("-A", "shop", "beat", "--help", group=celery).stdout
    assert told() == []


def test_every_command_has_those_for_all(told: Callable[[], list[list]]) -> None:
    run("-A", "shop", "status", "--tenant", "acme", code=1)
    run("-A", "shop", "purge", "--force")
    run("-A", "shop", "status", "--weight", "3", code=2)
    assert told() == [
        ["preload", "status", "shop", {"tenant": "acme"}],
        ["preload", "purge", "shop", {"tenant": "nobody"}],
    ]


PLUGIN = """
    import click
    from smallage.as_celery.bin.base import CeleryCommand, CeleryOption, handle_preload_options

    @click.command(cls=CeleryCommand)
    @click.argument("words", nargs=-1)
    @click.option("--calm", cls=CeleryOption, is_flag=True, default_value_from_context="quiet", help_group="Talk")
    @click.pass_context
    @handle_preload_options
    def count(ctx, words, calm):
        "Count words."
        ctx.obj.secho(f"{ctx.obj.app.main} {len(words)} {bool(calm)} {ctx.obj.no_color}", fg="red")
"""


@pytest.mark.parametrize("group", [cli, celery])
def test_commands_of_other_packages(here: Path, told: Callable[[], list[list]], group: object) -> None:
    (here / "counting.py").write_text(textwrap.dedent(PLUGIN))
    info = here / "counting-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1\n")
    entries = "[celery.commands]\ncount = counting:count\nlost = counting:lost\nwords = counting:PLUGIN\n"
    (info / "entry_points.txt").write_text(entries)
    assert run("-A", "shop", "count", "a", "b", "--tenant", "acme", group=group).stdout == "shop 2 False False\n"
    assert told() == [["preload", "count", "shop", {"tenant": "acme"}]]
    listed = run("--help", group=group).stdout
    assert "Count words." in listed
    assert "(of counting; cannot be loaded)" in listed
    assert "'lost' of counting cannot be loaded: AttributeError" in run("lost", "-x", code=1, group=group).stderr
    run("-A", "nosuchmodule", "count", code=2, group=group)
    run("nosuchcommand", code=2, group=group)
