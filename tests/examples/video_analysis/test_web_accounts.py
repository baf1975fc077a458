"""Registering, logging in and out: what is kept, what is told, and what strangers cannot do."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.examples.video_analysis.site import PASSWORD, Site, found
from video_analysis import db, passwords
from video_analysis.models import Attempt, User, now


def users() -> list[User]:
    with db.reading() as session:
        return list(session.scalars(select(User)))


# -- registering ----------------------------------------------------------------------------------------------------


def test_registering_logs_in_and_keeps_a_hash_only(open_site: Callable[..., Site]) -> None:
    site = open_site(password_method="scrypt")
    browser = site.browser("Ann@Example.com ")
    assert "ann@example.com" in browser.get("/").text
    (user,) = users()
    assert user.email == "ann@example.com"
    assert user.password_hash.startswith("scrypt:32768:8:1$")
    assert PASSWORD not in user.password_hash
    assert (user.minutes_quota, user.minutes_used) == (60, 0)


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ann", PASSWORD),
        ("ann@nowhere", PASSWORD),
        ("a b@example.com", PASSWORD),
        ("ann\0@example.com", PASSWORD),
        ("a" * 250 + "@example.com", PASSWORD),
        ("", PASSWORD),
        ("ann@example.com", "short"),
        ("ann@example.com", "long" * 60),
        ("ann@example.com", "nul\0" * 5),
    ],
)
def test_what_cannot_be_an_account_is_said(site: Site, email: str, password: str) -> None:
    answer = site.browser(None).post("/register", email=email, password=password)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert users() == []


def test_an_address_has_one_account(site: Site) -> None:
    site.browser("ann@example.com")
    answer = site.browser(None).post("/register", email="ANN@example.com", password="another password")
    assert answer.status_code == 409
    assert len(users()) == 1


# -- logging in -----------------------------------------------------------------------------------------------------


def test_logging_in_and_out(site: Site) -> None:
    site.browser()
    browser = site.browser(None)
    assert browser.get("/account").headers["Location"].endswith("/login?next=%2Faccount")
    answer = browser.post("/login", email="ann@example.com", password=PASSWORD, next="/account")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    assert browser.get("/account").status_code == 200
    assert browser.post("/logout", token_from="/account").status_code == 303
    assert browser.get("/account").status_code == 302


def test_a_wrong_password_and_an_unknown_address_read_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.browser()
    checked: list[str] = []

    def check(hashed: str, password: str) -> bool:
        checked.append(hashed.partition("$")[0])
        return check_password_hash(hashed, password)

    check_password_hash = passwords.check_password_hash
    monkeypatch.setattr(passwords, "check_password_hash", check)
    answers = [
        site.browser(None).post("/login", email=email, password="wrong password")
        for email in ("ann@example.com", "nobody@example.com")
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    told = [found(r'role="alert">([^<]+)<', answer.text) for answer in answers]
    assert told[0] == told[1]
    assert len(checked) == 2  # the same work for both
    assert checked[0] == checked[1]


def test_guessing_has_a_limit_for_known_and_unknown_addresses(open_site: Callable[..., Site]) -> None:
    site = open_site(login_attempts=3)
    site.browser()
    browser = site.browser(None)
    for email in ("ann@example.com", "nobody@example.com"):
        tries = [browser.post("/login", email=email, password=f"wrong {n}") for n in range(4)]
        assert [one.status_code for one in tries] == [401, 401, 401, 429]
        assert tries[-1].headers["Retry-After"] == "300"
    right = {"email": "ann@example.com", "password": PASSWORD}
    assert browser.post("/login", **right).status_code == 429  # the right one does not help while the door is shut
    assert (
        site.app.test_client().post("/api/tokens", json=right, headers={"Authorization": "Bearer x"}).status_code == 429
    )

    with db.writing() as session:  # five minutes later
        session.execute(update(Attempt).values(at=now() - dt.timedelta(seconds=301)))
    assert browser.post("/login", **right).status_code == 303


def test_a_login_that_succeeds_wipes_the_slate(open_site: Callable[..., Site]) -> None:
    site = open_site(login_attempts=3)
    site.browser()
    for _day in range(3):
        for password in ("wrong once", "wrong twice", PASSWORD):
            answer = site.browser(None).post("/login", email="ann@example.com", password=password)
    assert answer.status_code == 303


def test_whoever_knows_an_address_cannot_lock_its_owner_out(
    open_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WIDER", 3)
    site = open_site(login_attempts=2)
    site.browser()

    def log_in(host: str, password: str) -> int:
        browser = site.browser(None)
        browser.client.environ_base["REMOTE_ADDR"] = host
        return browser.post("/login", email="ann@example.com", password=password).status_code

    assert [log_in("203.0.113.9", f"wrong {n}") for n in range(9)] == [401, 401, *[429] * 7]
    assert log_in("198.51.100.7", PASSWORD) == 303
    # A limit over all networks is there too, but it takes many of them; one IPv6 network has many addresses.
    assert [log_in(f"2001:db8:1:2::{n}", "wrong") for n in range(3)] == [401, 401, 429]
    assert [log_in(f"203.0.113.{n}", "wrong") for n in (1, 2)] == [401, 429]
    assert passwords.network("::ffff:203.0.113.1") == "203.0.113.1", "not with all of IPv4 in one network"


def test_a_host_has_a_limit_as_well(open_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WIDER", 2)
    browser = open_site(login_attempts=2).browser(None)
    answers = [browser.post("/login", email=f"{n}@example.com", password="wrong") for n in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429]


@pytest.mark.parametrize("path", ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example", "x"])
def test_no_login_leads_to_another_site(site: Site, path: str) -> None:
    site.browser()
    answer = site.browser(None).post("/login", email="ann@example.com", password=PASSWORD, next=path)
    assert answer.headers["Location"] == "/"


# -- sessions -------------------------------------------------------------------------------------------------------


def test_a_cookie_that_was_copied_is_void_after_logging_out(site: Site) -> None:
    browser = site.browser()
    cookie = browser.client.get_cookie("session")
    assert cookie is not None
    thief = site.browser(None)
    thief.client.set_cookie("session", cookie.value)
    assert thief.get("/account").status_code == 200
    browser.post("/logout", token_from="/")
    assert thief.get("/account").status_code == 302


def test_a_cookie_that_was_changed_is_void(site: Site) -> None:
    browser = site.browser()
    cookie = browser.client.get_cookie("session")
    assert cookie is not None
    browser.client.set_cookie("session", cookie.value[:-2] + "xx")
    assert browser.get("/account").status_code == 302


@pytest.mark.parametrize(
    ("public_url", "words"),
    [
        ("http://localhost:8000", {"session=", "HttpOnly", "SameSite=Lax"}),
        ("https://videos.example", {"__Host-session=", "HttpOnly", "SameSite=Lax", "Secure", "Path=/"}),
    ],
)
def test_the_cookie_is_the_servers_alone(open_site: Callable[..., Site], public_url: str, words: set[str]) -> None:
    site = open_site(public_url=public_url)
    answer = site.app.test_client().get("/login", base_url=public_url)
    cookie = answer.headers["Set-Cookie"]
    assert {word for word in words if word in cookie} == words
    assert ("Secure" in cookie) is ("Strict-Transport-Security" in answer.headers) is ("Secure" in words)


# -- CSRF -----------------------------------------------------------------------------------------------------------

FORMS: list[tuple[str, dict[str, Any]]] = [
    ("/register", {"email": "b@example.com", "password": PASSWORD}),
    ("/login", {"email": "ann@example.com", "password": PASSWORD}),
    ("/logout", {}),
    ("/account", {}),
    ("/analyses", {"url": "https://example.com/v"}),
    ("/analyses/some-id/cancel", {}),
    ("/api/analyses", {}),
    ("/api/tokens", {}),
]


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_nothing_is_done_for_a_form_of_another_site(site: Site, path: str, fields: dict[str, Any]) -> None:
    browser = site.browser()
    before = [vars(user) for user in users()]
    for token in ("", "forged"):
        assert browser.client.post(path, data={"csrf_token": token, **fields}).status_code == 400
    stranger = site.browser(None)
    foreign = browser.client.post(path, data={"csrf_token": stranger.token("/login"), **fields})
    assert foreign.status_code == 400
    after = [vars(user) for user in users()]
    for row in (*before, *after):
        row.pop("_sa_instance_state")
    assert after == before


def test_every_form_that_posts_has_a_token(site: Site) -> None:
    browser = site.browser()
    pages = [site.browser(None).get(path).text for path in ("/", "/login", "/register")]
    pages += [browser.get(path).text for path in ("/", "/account")]
    for page in pages:
        for form in page.split("<form")[1:]:
            assert 'method="post"' in form
            assert 'name="csrf_token"' in form.partition("</form>")[0]


def test_no_get_changes_anything(site: Site) -> None:
    rules = [rule for rule in site.app.url_map.iter_rules() if rule.methods and "GET" in rule.methods]
    assert {rule.endpoint for rule in rules if {"POST", "DELETE"} & (rule.methods or set())} == {
        "accounts.register",
        "accounts.login",
        "accounts.account",
    }
    browser = site.browser()
    before = users()[0].token_hash
    for path in ("/", "/account", "/register", "/login"):
        browser.get(path)
    assert users()[0].token_hash == before
    assert browser.get("/logout").status_code == 405


# -- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_is_shown_once_and_kept_as_a_hash(site: Site) -> None:
    browser = site.browser()
    first = found(r"(va_[\w-]{40,})", browser.post("/account").text)
    assert "va_" not in browser.get("/account").text
    assert first not in str(vars(users()[0]))

    def status(token: str) -> int:
        client = site.app.test_client()
        return client.get("/api/account", headers={"Authorization": f"Bearer {token}"}).status_code

    assert status(first) == 200
    second = found(r"(va_[\w-]{40,})", browser.post("/account").text)
    assert (status(first), status(second), status("va_guessed"), status("")) == (401, 200, 401, 401)


def test_a_program_gets_a_token_for_a_password(site: Site) -> None:
    site.browser()
    client = site.app.test_client()
    right, wrong = {"email": "ann@example.com", "password": PASSWORD}, {"email": "ann@example.com", "password": "no"}
    made = client.post("/api/tokens", json=right)
    assert made.status_code == 201
    assert client.post("/api/tokens", json=wrong).status_code == 401
    told = client.get("/api/account", headers={"Authorization": f"Bearer {made.json['token']}"})
    assert told.json["email"] == "ann@example.com"


def test_a_token_in_the_request_goes_before_the_cookie(site: Site) -> None:
    browser, program = site.browser("ann@example.com"), site.program("bob@example.com")
    told = browser.client.get("/api/account", headers={"Authorization": f"Bearer {program.token}"})
    assert told.json["email"] == "bob@example.com"
    assert browser.client.get("/api/account", headers={"Authorization": "Bearer va_wrong"}).status_code == 401
    page = browser.client.post("/account", headers={"Authorization": "Bearer va_wrong"})
    assert page.status_code == 400  # pages know nothing of tokens, so this is a form without its CSRF token


# -- what never leaks -----------------------------------------------------------------------------------------------


def test_hashes_and_passwords_are_in_no_answer_log_or_repr(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser = site.browser()
    site.browser(None).post("/login", email="ann@example.com", password="hunter2 hunter2")
    shown = [browser.get(path).text for path in ("/", "/account", "/api/account", "/api/analyses")]
    (user,) = users()
    everything = "\n".join([*shown, caplog.text, repr(user), str(user), repr(site.settings)])
    for secret in (user.password_hash, user.password_hash[-20:], PASSWORD, "hunter2", site.settings.secret_key):
        assert secret not in everything
