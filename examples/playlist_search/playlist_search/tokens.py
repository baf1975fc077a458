"""Access tokens: kept encrypted, refreshed when they expire."""

from __future__ import annotations

import time
from typing import Any

import httpx

from playlist_search import services
from playlist_search.failures import Denied, Later
from playlist_search.models import User
from playlist_search.settings import GOOGLE_ISSUER, Settings
from playlist_search.vault import Sealed

MARGIN = 60
"""A token that expires in less than so many seconds is refreshed before it is used."""
TIMEOUT = 20.0


def save(user_id: int, token: dict[str, Any]) -> None:
    """Keep the token that somebody's login brought. A refresh token comes with the first login only: a new token
    without one keeps the old one's."""
    parts = services.current()
    with parts.db.writing() as session:
        user = session.get_one(User, user_id)
        kept = dict(token)
        if not kept.get("refresh_token") and user.token:
            try:
                kept["refresh_token"] = parts.vault.open(user.token).get("refresh_token")
            except Sealed:
                pass  # the secret has changed: the old one is lost
        if "expires_at" not in kept and "expires_in" in kept:
            kept["expires_at"] = time.time() + float(kept["expires_in"])
        kept.pop("id_token", None)
        kept.pop("userinfo", None)
        user.token = parts.vault.seal(kept)


def access_token(user_id: int, fresh: bool = False) -> str:
    """A token to ask YouTube with on behalf of the user, refreshed when it has expired or with `fresh`. Raises Denied
    when she has to log in again, Later when Google cannot be asked."""
    parts = services.current()
    with parts.db.reading() as session:
        sealed = session.get_one(User, user_id).token
    if not sealed:
        raise Denied("No access to YouTube was granted; log in again.", 401)
    try:
        token = parts.vault.open(sealed)
    except Sealed as error:
        raise Denied(str(error), 401) from error
    if not fresh and float(token.get("expires_at") or 0) > time.time() + MARGIN:
        return str(token["access_token"])
    token |= refreshed(parts.settings, token.get("refresh_token"))
    save(user_id, token)
    return str(token["access_token"])


def refreshed(settings: Settings, refresh_token: str | None) -> dict[str, Any]:
    """What Google gives for a refresh token. Raises Denied, or Later."""
    if not refresh_token:
        raise Denied("The access that was granted has expired; log in again.", 401)
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": settings.google_client_id,
        "client_secret": settings.google_client_secret,
    }
    try:
        with httpx.Client(timeout=TIMEOUT, trust_env=settings.google_issuer == GOOGLE_ISSUER) as http:
            known = http.get(f"{settings.google_issuer.rstrip('/')}/.well-known/openid-configuration")
            answer = http.post(known.raise_for_status().json()["token_endpoint"], data=asked)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Later(f"Google cannot be reached: {type(error).__name__}") from error
    if answer.status_code in (400, 401):
        raise Denied("The access that was granted has been taken back; log in again.", 401)
    if answer.status_code != 200:
        raise Later(f"Google answered {answer.status_code}")
    try:
        fresh: dict[str, Any] = answer.json()
        return {
            **fresh,
            "access_token": fresh["access_token"],
            "expires_at": time.time() + float(fresh.get("expires_in", 3600)),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise Later("Google's answer cannot be read") from error
