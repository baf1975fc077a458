"""Logging in with Google: OpenID Connect by discovery, with PKCE, state and nonce, through Authlib's client for Flask.

The browser keeps a signed cookie with the number of the user in it. The tokens that Google hands out stay on the
server, encrypted in the users' table. What an attempt to log in has to remember (nonce and PKCE's verifier) travels in
the cookie too, encrypted.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from typing import Any, ParamSpec
from urllib.parse import urlsplit

import requests
from authlib.integrations.flask_client import OAuth, OAuthError
from flask import Blueprint, Flask, abort, current_app, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from joserfc.errors import JoseError
from sqlalchemy import select

from playlist_search import services, tokens
from playlist_search.errors import LoginFailed, wants_page
from playlist_search.models import User
from playlist_search.settings import Settings
from playlist_search.shelf import upsert
from playlist_search.vault import Sealed, Vault

blueprint = Blueprint("accounts", __name__)

YOUTUBE_SCOPE = "https://www.googleapis.com/auth/youtube.readonly"
SCOPE = f"openid email profile {YOUTUBE_SCOPE}"
ATTEMPT_SECONDS = 900
MOST_ATTEMPTS = 2
"""Logins of one browser that may be under way: each takes room in the cookie."""
GOOGLE_SECONDS = 10
"""How long a request to Google may take."""
KEPT = ("access_token", "refresh_token", "expires_at", "scope", "token_type")
"""What is kept of the token endpoint's answer."""

P = ParamSpec("P")


class Attempts:
    """What Authlib remembers of a login that is under way, encrypted in the browser's own session cookie."""

    KEY = "attempts"

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def set(self, key: str, value: str, _seconds: int) -> None:
        """Called by Authlib when it sends the browser to Google."""
        data = json.loads(value)["data"]
        data.pop("url", None)  # long, and done with
        sealed = self._vault.seal({"data": data, "until": time.time() + ATTEMPT_SECONDS})
        others = {known: session[self.KEY][known] for known in list(session.get(self.KEY, {}))[1 - MOST_ATTEMPTS :]}
        session[self.KEY] = {**others, key: sealed}

    def get(self, key: str) -> str | None:
        """Called by Authlib when the browser comes back."""
        try:
            found = self._vault.open(session.get(self.KEY, {}).get(key, ""))
        except Sealed:
            return None
        return json.dumps({"data": found["data"]}) if found["until"] > time.time() else None

    def delete(self, key: str) -> None:
        """Called by Authlib: each attempt counts once."""
        session[self.KEY] = {known: sealed for known, sealed in session.get(self.KEY, {}).items() if known != key}


def init_app(app: Flask, settings: Settings) -> None:
    """Bind the login to an application."""
    oauth = OAuth(app, cache=Attempts(services.current().vault))
    oauth.register(
        "google",
        client_id=settings.google_client_id,
        client_secret=settings.google_client_secret,
        server_metadata_url=f"{settings.google_issuer}/.well-known/openid-configuration",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256", "default_timeout": GOOGLE_SECONDS},
    )
    app.register_blueprint(blueprint)
    app.context_processor(lambda: {"user": signed_in_or_none()})


def signed_in_or_none() -> User | None:
    """Who sends this request, or None."""
    if "user" not in g:
        number = session.get("user")
        g.user = None
        if number is not None:
            with services.current().db.reading() as database:
                g.user = database.get(User, number)
    return g.user  # type: ignore[no-any-return]


def signed_in() -> User:
    """Who sends this request; answers 401 if nobody has logged in."""
    user = signed_in_or_none()
    if user is None:
        abort(401)
    return user


def login_required(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Only for who has logged in: a page sends others to the start, with the way back; the rest answers 401."""

    @functools.wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if signed_in_or_none() is None and request.method == "GET" and wants_page():
            return redirect(url_for("pages.start", next=request.full_path.rstrip("?")))
        signed_in()
        return view(*args, **kwargs)

    return guarded


@blueprint.get("/login")
def login() -> ResponseReturnValue:
    """Off to Google, which sends the browser back to `callback`."""
    settings = services.current().settings
    if not settings.google_client_id:
        raise LoginFailed("This server has no GOOGLE_CLIENT_ID yet. The README says how to get one.", 503)
    try:
        # "consent", because Google gives a refresh token only when it has asked; indexing may take longer than an hour.
        answer = _google().authorize_redirect(_callback_url(settings), access_type="offline", prompt="consent")
    except requests.RequestException as error:
        raise LoginFailed("Google cannot be reached just now. Try again in a minute.", 503) from error
    session["next"] = safe_next(request.args.get("next"))
    return answer  # type: ignore[no-any-return]


@blueprint.get("/login/callback")
def callback() -> ResponseReturnValue:
    """Back from Google: check what came, remember the user, begin a new session."""
    settings = services.current().settings
    google = _google()
    try:
        token = google.authorize_access_token(
            claims_options={
                "iss": {"essential": True, "values": [settings.google_issuer]},
                "aud": {"essential": True, "values": [settings.google_client_id]},
            }
        )
    except OAuthError as error:
        if error.error == "access_denied":
            flash("You have not logged in: access was not granted.")
            return redirect(url_for("pages.start"))
        raise LoginFailed("This login cannot be completed: it was begun elsewhere or too long ago.") from error
    except JoseError as error:
        raise LoginFailed("What Google said about you cannot be verified.") from error
    except requests.RequestException as error:
        raise LoginFailed("Google cannot be reached just now. Try again in a minute.", 503) from error
    claims = token.get("userinfo")
    if not claims:
        raise LoginFailed("Google did not say who you are.")
    if YOUTUBE_SCOPE not in token.get("scope", SCOPE).split():
        raise LoginFailed("Playlist Search needs to see your playlists: log in again and leave that box ticked.", 403)
    following = safe_next(session.get("next"))
    number = remember(claims, {name: token[name] for name in KEPT if name in token})
    session.clear()  # nothing of an earlier session lives on in this one
    session.permanent = True
    session["user"] = number
    return redirect(following)


@blueprint.post("/logout")
def logout() -> ResponseReturnValue:
    """Forget the session."""
    session.clear()
    return redirect(url_for("pages.start"), 303)


def remember(claims: dict[str, Any], token: dict[str, Any]) -> int:
    """The number of the user with this identity, who is new or has come back; the token is kept sealed."""
    said = {
        "email": str(claims.get("email", ""))[:320],
        "name": str(claims.get("name", ""))[:255],
        "picture": str(claims.get("picture", "")),
    }
    with services.current().db.writing() as database:
        database.execute(upsert(database, User, ("subject",), tuple(said)), {"subject": claims["sub"], **said})
        number = database.scalars(select(User.id).where(User.subject == claims["sub"])).one()
    tokens.save(number, token)
    return number


def safe_next(target: str | None) -> str:
    """`target` if it is a path of this application, else the start: a link may not lead from the login elsewhere."""
    start = url_for("pages.start")
    if not target or not target.startswith("/") or any(ord(sign) < 33 or sign == "\\" for sign in target):
        return start
    parts = urlsplit(target)
    if target.startswith("//") or parts.scheme or parts.netloc:
        return start
    return target


def _google() -> Any:
    return current_app.extensions["authlib.integrations.flask_client"].google


def _callback_url(settings: Settings) -> str:
    """Where Google sends the browser; the same as was entered in its console."""
    return settings.public_url + url_for("accounts.callback", _external=not settings.public_url)
