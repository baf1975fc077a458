"""Where an app may be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smallage.worker.discover import AppNotFound, find_app

APP = "from smallage.app import Smallage\n{} = Smallage({!r}, set_as_current=False)\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory of the test's own; what it imports is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("name", ["tasks", "app"])
def test_tasks_py_or_app_py_is_found(here: Path, name: str) -> None:
    write(here / f"{name}.py", APP.format("anything", name))
    assert find_app().main == name


@pytest.mark.parametrize(
    "where", ["proj_a:queue", "proj_a:make()", "proj_a", "proj_a.py", "./proj_a.py", "proj_a:inner.queue"]
)
def test_ways_to_name_an_app(here: Path, where: str) -> None:
    text = APP.format("queue", "found") + "def make(): return queue\nclass inner: queue = queue\n"
    write(here / "proj_a.py", text)
    assert find_app(where).main == "found"


def test_celery_s_ways(here: Path) -> None:
    write(here / "proj_b/__init__.py", "")
    write(here / "proj_b/celery.py", APP.format("app", "nested"))
    assert find_app("proj_b").main == "nested"
    assert find_app("proj_b.celery").main == "nested"
    assert find_app("proj_b.celery:app").main == "nested"


def test_app_before_celery_before_any_other(here: Path) -> None:
    write(
        here / "proj_c.py",
        "".join(APP.format(name, name) for name in ("zzz", "celery", "app")),
    )
    assert find_app("proj_c").main == "app"


def test_a_file_in_a_package_is_imported_under_its_full_name(here: Path) -> None:
    write(here / "src/proj_d/__init__.py", "")
    write(here / "src/proj_d/work.py", APP.format("app", "deep"))
    assert find_app("src/proj_d/work.py").main == "deep"
    assert "proj_d.work" in sys.modules


def test_a_factory_s_error_and_a_module_s_error_pass_through(here: Path) -> None:
    write(here / "proj_e.py", "import nosuchthing\n")
    with pytest.raises(ModuleNotFoundError, match="nosuchthing"):
        find_app("proj_e")


def test_what_is_no_app_is_said_to_be_none(here: Path) -> None:
    write(here / "proj_f.py", "app = 3\n" + APP.format("real", "real"))
    with pytest.raises(AppNotFound, match=r"not an app but a int.*Apps there: real"):
        find_app("proj_f:app")


FLASK = """
from flask import Flask
from smallage.app import Smallage
def make_flask(**apps):
    made = Flask("web")
    made.extensions.update({name: Smallage(main, set_as_current=False) for name, main in apps.items()})
    return made
"""


@pytest.mark.parametrize("where", ["web_a", "web_a:site", "web_a.site", "web_a:create_app()", "web_a:create_app"])
@pytest.mark.parametrize("key", ["celery", "smallage"])
def test_a_flask_app_leads_to_the_app_in_its_extensions(here: Path, where: str, key: str) -> None:
    write(here / "web_a.py", f"{FLASK}site = make_flask({key}='found')\ndef create_app(): return site\n")
    assert find_app(where).main == "found"


def test_a_flask_app_beside_the_app_that_it_has(here: Path) -> None:
    write(here / "web_b.py", f"{FLASK}app = make_flask(celery='one')\nqueue = app.extensions['celery']\n")
    assert find_app("web_b") is find_app("web_b:queue") is find_app("web_b:app")


def test_two_apps_are_told_apart_by_name_only(here: Path) -> None:
    text = f"{FLASK}app = make_flask(celery='one')\ncelery = Smallage('two', set_as_current=False)\n"
    write(here / "web_c.py", text)
    with pytest.raises(AppNotFound, match=r"'web_c' has two apps, app and celery.*web_c:app or web_c:celery"):
        find_app("web_c")
    assert (find_app("web_c:app").main, find_app("web_c:celery").main) == ("one", "two")


def test_a_flask_app_with_two_apps_or_none_says_so(here: Path) -> None:
    text = f"{FLASK}two = make_flask(celery='one', smallage='other')\nnone = make_flask()\n"
    write(here / "web_d.py", text)
    with pytest.raises(AppNotFound, match=r"'web_d:two' has two apps.*extensions\['smallage'\].*\['celery'\]"):
        find_app("web_d:two")
    with pytest.raises(AppNotFound, match=r"'web_d:none' is not an app but a Flask.*init_app"):
        find_app("web_d:none")
    with pytest.raises(AppNotFound, match=r"There is no app in module 'web_e'.*site is a Flask"):
        write(here / "web_e.py", f"{FLASK}site = make_flask()\n")
        find_app("web_e")
