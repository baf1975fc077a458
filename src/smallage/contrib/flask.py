"""Flask: an app's settings out of `app.config`, its context around each task, and the command `flask smallage`.

smallage = Smallage()

def create_app():
    app = Flask(__name__)
    app.config["CELERY"] = {"broker_url": "sqlite:///queue.db"}
    smallage.init_app(app)
    return app
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smallage.core.errors import ImproperlyConfigured
from smallage.core.setting_names import find

if TYPE_CHECKING:
    from flask import Flask

    from smallage.app import Smallage

KEY = "smallage"
"""Where `app.extensions` has the Smallage app; under "celery" too, where Flask's own documentation looks for it."""
FLASK_APP = "FLASK_APP"
"""Flask's environment variable that names its application."""


class _FlaskSettings(dict[str, Any]):
    """Settings that came out of a Flask application's."""


def init_app(smallage: Smallage, app: Flask, **settings: Any) -> None:
    """Bind `smallage` to a Flask application: see `Smallage.init_app`.

    Its settings are those of `app.config`: the dict under "CELERY", and keys that begin with `CELERY_` or `SMALLAGE_`.
    The latter win, `settings` given here win over them, and what the code sets on `smallage.conf` wins over all. A
    second application takes the place of the first. Raises ImproperlyConfigured for settings that cannot work.
    """
    found = _FlaskSettings({**flask_settings(app.config), **{_today(name): settings[name] for name in settings}})
    before = smallage.conf.broker_url if smallage.configured else None
    if smallage._config_source[0] is None or isinstance(smallage._config_source[0], _FlaskSettings):
        smallage.config_from_object(found)
    else:
        smallage.add_defaults(found)
    if smallage.configured and smallage.conf.broker_url != before:
        smallage.close()
    smallage.main = smallage.main or app.name
    smallage.surroundings = app.app_context
    smallage.set_default()
    app.extensions[KEY] = smallage
    app.extensions.setdefault("celery", smallage)


def flask_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a Flask configuration says about tasks, under today's names of the settings."""
    given = config.get("CELERY") or {}
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(
            "app.config['CELERY'] is to be a dict of settings, such as dict(broker_url='redis://'), not a "
            f"{type(given).__name__}."
        )
    made = {_today(name): value for name, value in given.items()}
    for prefix in ("CELERY_", "CELERYD_", "CELERYBEAT_", "SMALLAGE_"):
        for name, value in config.items():
            if name.startswith(prefix):
                made[_today(name, name.removeprefix(prefix))] = value
    return made


def _today(name: str, bare: str = "") -> str:
    """Today's name of a setting, spelt as of old or under a namespace; unknown names stay as they are."""
    if name == "SMALLAGE_URL":
        return "broker_url"
    found = find(name) or find(bare.lower()) or find(bare)
    return name if found is None else found[0]


def loaded_app() -> Smallage:
    """The Smallage app of the Flask application that FLASK_APP names, or that lies here: how the processes of a worker
    that `flask smallage worker` starts come to it. Raises ImproperlyConfigured if that application has none."""
    from flask.cli import ScriptInfo

    return app_of(ScriptInfo(app_import_path=os.environ.get(FLASK_APP)).load_app())


def app_of(app: Flask) -> Smallage:
    """The Smallage app of a Flask application. Raises ImproperlyConfigured if it has none."""
    found: Smallage | None = app.extensions.get(KEY) or app.extensions.get("celery")
    if found is None:
        raise ImproperlyConfigured(
            f"The Flask application '{app.name}' has no Smallage app. Bind one: Smallage().init_app(app), or put yours "
            "into app.extensions['celery']."
        )
    return found
