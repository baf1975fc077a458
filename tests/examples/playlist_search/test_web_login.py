"""Logging in, by the whole way through a provider that checks what Google checks."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from flask import Flask
from sqlalchemy import func, select

from playlist_search import accounts, services
from playlist_search.models import User
from playlist_search.standin import google
from playlist_search.standin.google import Provider
from tests.examples.playlist_search.site import CLIENT, ask_google, choose_account, provider_for_tests, site, token_on

ADA, GRACE = (account.subject for account in google.ACCOUNTS)


@pytest.fixture(scope="module")
def serving() -> Iterator[Provider]:
    with provider_for_tests() as provider:
        yield provider


@pytest.fixture
def provider(serving: Provider) -> Iterator[Provider]:
    yield serving
    serving.claims = lambda claims: claims


@pytest.fixture
def app(provider: Provider, tmp_path: Path) -> Iterator[Flask]:
    with site(tmp_path, provider, youtube_api_url="http://127.0.0.1:9") as app:
        yield app


def users() -> list[User]:
    with services.current().db.reading() as session:
        return list(session.scalars(select(User).order_by(User.id)))


def test_who_comes_back_from_google_is_logged_in(app, provider):
    client = app.test_client()
    asked = ask_google(client)
    assert asked["scope"].split() == ["openid", "email", "profile", accounts.YOUTUBE_SCOPE]
    assert (asked["code_challenge_method"], asked["access_type"]) == ("S256", "offline")
    assert all(asked[name] for name in ("code_challenge", "state", "nonce"))
    answer = client.get(choose_account(provider, asked, ADA))
    assert (answer.status_code, answer.location) == (302, "/")
    page = client.get("/search").text
    assert all(said in page for said in ("Ada Lovelace", "ada@example.com"))
    assert client.get("/").location == "/playlists"


def test_a_second_login_is_the_same_user(app, provider):
    for account in (ADA, GRACE, ADA):
        client = app.test_client()
        client.get(choose_account(provider, ask_google(client), account))
    assert [user.name for user in users()] == ["Ada Lovelace", "Grace Hopper"]


def test_tokens_are_sealed_on_the_server_and_in_no_cookie(app, provider):
    client = app.test_client()
    asked = ask_google(client)
    on_the_way = client.get_cookie("playlist_search").value
    back = choose_account(provider, asked, ADA)
    code = dict(parse_qsl(urlsplit(back).query))["code"]
    client.get(back)
    (user,) = users()
    token = services.current().vault.open(user.token)
    assert provider.account_of(token["access_token"]).email == "ada@example.com"
    assert token["refresh_token"] in provider.refresh_tokens
    assert set(token) <= set(accounts.KEPT)
    for secret in (token["access_token"], token["refresh_token"], code):
        assert secret not in user.token
    assert asked["nonce"] not in opened(on_the_way)
    assert "code_verifier" not in opened(on_the_way)
    assert set(json.loads(opened(client.get_cookie("playlist_search").value))) == {"_permanent", "user"}


def opened(cookie: str) -> str:
    """What everybody can read in a signed cookie."""
    payload = cookie.removeprefix(".").split(".")[0]
    data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return (zlib.decompress(data) if cookie.startswith(".") else data).decode()


def test_pkce_only_the_browser_that_asked_can_use_the_code(app, provider):
    client = app.test_client()
    asked = ask_google(client)
    code = dict(parse_qsl(urlsplit(choose_account(provider, asked, ADA)).query))["code"]
    stolen = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CLIENT["redirect_uri"],
        "code_verifier": "a guess",
    }
    answer = httpx.post(f"{provider.issuer}/token", data=stolen, auth=(CLIENT["client_id"], CLIENT["client_secret"]))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


def test_a_code_counts_once(app, provider):
    client = app.test_client()
    back = choose_account(provider, ask_google(client), ADA)
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 400


@pytest.mark.parametrize("change", ["state", "code"])
def test_a_wrong_state_or_code_logs_nobody_in(app, provider, change):
    client = app.test_client()
    back = choose_account(provider, ask_google(client), ADA)
    parameters = {**dict(parse_qsl(urlsplit(back).query)), change: "something else"}
    answer = client.get("/login/callback", query_string=parameters, headers={"Accept": "text/html"})
    assert answer.status_code == 400
    assert "begun elsewhere or too long ago" in answer.text
    assert users() == []


def test_a_login_begun_in_another_browser_is_refused(app, provider):
    """Somebody sends a link with a code of theirs: it logs nobody in to their account."""
    back = choose_account(provider, ask_google(app.test_client()), GRACE)
    victim = app.test_client()
    ask_google(victim)
    assert victim.get(back).status_code == 400
    assert users() == []


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"iss": "https://accounts.example.com"},
        {"aud": "another-client", "azp": "another-client"},
        {"exp": 1},
        {"at_hash": "AAAA"},
    ],
)
def test_what_cannot_be_verified_logs_nobody_in(app, provider, lie):
    provider.claims = lambda claims: {**claims, **lie}
    client = app.test_client()
    answer = client.get(choose_account(provider, ask_google(client), ADA))
    assert answer.status_code == 400
    assert users() == []


def test_an_identity_signed_by_another_key_is_refused(app, provider):
    """The app knows the provider's keys from an earlier login, as in a process that runs for days."""
    first = app.test_client()
    first.get(choose_account(provider, ask_google(first), GRACE))
    client = app.test_client()
    back = choose_account(provider, ask_google(client), ADA)
    own = provider.key
    provider.key = google.new_key()
    try:
        assert client.get(back).status_code == 400
    finally:
        provider.key = own
    assert [user.name for user in users()] == ["Grace Hopper"]


def test_who_says_no_is_told_so(app, provider):
    client = app.test_client()
    answer = client.get(choose_account(provider, ask_google(client), ""), follow_redirects=True)
    assert answer.status_code == 200
    assert "access was not granted" in answer.text


def test_without_access_to_playlists_there_is_no_login(app, provider):
    client = app.test_client()
    asked = ask_google(client)
    answer = client.get(choose_account(provider, {**asked, "scope": "openid email"}, ADA))
    assert answer.status_code == 403
    assert users() == []


def test_the_way_back_after_the_login(app, provider):
    client = app.test_client()
    answer = client.get("/search?q=a+b", headers={"Accept": "text/html"})
    assert answer.location == "/?next=/search?q%3Da%2Bb"
    start = client.get(answer.location).text
    assert 'href="/login?next=/search?q%3Da%2Bb"' in start
    asked = ask_google(client, "/login?next=/search?q%3Da%2Bb")
    assert client.get(choose_account(provider, asked, ADA)).location == "/search?q=a+b"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0d\nevil",
        "javascript:alert(1)",
        " /search",
        "search",
        "",
    ],
)
def test_the_way_back_never_leads_elsewhere(app, provider, target):
    client = app.test_client()
    answer = client.get("/login", query_string={"next": target})
    assert answer.status_code == 302
    asked = dict(parse_qsl(urlsplit(answer.location).query))
    assert client.get(choose_account(provider, asked, ADA)).location == "/"


def test_logging_out_ends_the_session_and_needs_the_token(app, provider):
    client = app.test_client()
    client.get(choose_account(provider, ask_google(client), ADA))
    token = token_on(client.get("/search").text)
    assert client.post("/logout").status_code == 400
    assert client.get("/logout").status_code == 405
    assert client.get("/search").status_code == 200
    assert client.post("/logout", data={"csrf_token": token}).status_code == 303
    assert client.get("/search", headers={"Accept": "application/json"}).status_code == 401


def test_a_token_is_refreshed_by_the_provider(app, provider):
    """The way a task takes an hour later."""
    from playlist_search import tokens

    client = app.test_client()
    client.get(choose_account(provider, ask_google(client), GRACE))
    (user,) = users()
    before = services.current().vault.open(user.token)
    fresh = tokens.access_token(user.id, fresh=True)
    assert fresh != before["access_token"]
    assert provider.account_of(fresh).name == "Grace Hopper"


def test_many_attempts_do_not_fill_the_cookie(app, provider):
    client = app.test_client()
    for _ in range(10):
        asked = ask_google(client)
    assert len(client.get_cookie("playlist_search").value) < 3500
    assert client.get(choose_account(provider, asked, ADA)).status_code == 302
    with services.current().db.reading() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1


def test_without_a_client_id_the_page_says_what_to_do(tmp_path):
    with site(tmp_path) as app:
        answer = app.test_client().get("/login", headers={"Accept": "text/html"})
        assert answer.status_code == 503
        assert "GOOGLE_CLIENT_ID" in answer.text


def test_google_out_of_reach_is_said(tmp_path):
    with site(tmp_path, google_issuer="http://127.0.0.1:9", google_client_id="x") as app:
        answer = app.test_client().get("/login", headers={"Accept": "text/html"})
        assert answer.status_code == 503
        assert "cannot be reached" in answer.text
