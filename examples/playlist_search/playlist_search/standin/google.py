"""A stand-in for Google's sign-in: an OpenID provider on the loopback, for tests and for trying the app offline.

It does what the app relies on and checks what Google checks: the client and its redirect URL, PKCE (S256), codes that
work once and for a minute, the refresh token; it signs its id tokens with RS256. Whoever opens its page chooses one of
two accounts by a click, without a password, so never let anybody but yourself reach it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server

CODE_SECONDS = 60
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Account:
    """Somebody who can sign in."""

    subject: str
    name: str
    email: str


ACCOUNTS = (
    Account("108000000000000000001", "Ada Lovelace", "ada@example.com"),
    Account("108000000000000000002", "Grace Hopper", "grace@example.com"),
)


@dataclass
class Grant:
    """What an account has allowed a client: behind a code first, behind tokens later."""

    account: Account
    parameters: dict[str, str]
    expires: float


def new_key() -> RSAKey:
    """A key to sign with."""
    return RSAKey.generate_key(2048, {"kid": "stand-in", "use": "sig"})


@dataclass
class Provider:
    """The provider's state: its key, its one client, and who holds which token. Used by several threads."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    key: RSAKey = field(default_factory=new_key)
    codes: dict[str, Grant] = field(default_factory=dict)
    access_tokens: dict[str, Grant] = field(default_factory=dict)
    refresh_tokens: dict[str, Grant] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
    """A test's way to send what no honest provider would."""

    def account_of(self, access_token: str) -> Account | None:
        """Whose access token this is, or None if it is unknown or has expired."""
        with self.lock:
            grant = self.access_tokens.get(access_token)
        return grant.account if grant is not None and grant.expires > time.time() else None

    def new_code(self, account: Account, parameters: dict[str, str]) -> str:
        """A code for what the account has just allowed."""
        code = secrets.token_urlsafe(24)
        with self.lock:
            self.codes[code] = Grant(account, parameters, time.time() + CODE_SECONDS)
        return code

    def tokens(self, grant: Grant, *, refresh: bool, identity: bool) -> dict[str, Any]:
        """The token endpoint's answer."""
        access = secrets.token_urlsafe(32)
        answer: dict[str, Any] = {
            "access_token": access,
            "expires_in": TOKEN_SECONDS,
            "scope": grant.parameters.get("scope", ""),
            "token_type": "Bearer",
        }
        if identity:
            answer["id_token"] = self.id_token(grant, access)
        with self.lock:
            self.access_tokens[access] = Grant(grant.account, grant.parameters, time.time() + TOKEN_SECONDS)
            if refresh:
                answer["refresh_token"] = secrets.token_urlsafe(32)
                self.refresh_tokens[answer["refresh_token"]] = grant
        return answer

    def id_token(self, grant: Grant, access_token: str) -> str:
        """Who signed in, signed."""
        now = int(time.time())
        half = hashlib.sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "azp": self.client_id,
            "sub": grant.account.subject,
            "email": grant.account.email,
            "email_verified": True,
            "name": grant.account.name,
            "nonce": grant.parameters.get("nonce", ""),
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        return jwt.encode({"alg": "RS256", "kid": self.key.kid or ""}, self.claims(claims), self.key)


def create_provider_app(provider: Provider) -> Flask:
    """The provider as a web application."""
    app = Flask(__name__, template_folder="templates", static_folder=None)

    @app.get("/.well-known/openid-configuration")
    def configuration() -> ResponseReturnValue:
        at = provider.issuer
        return jsonify(
            issuer=at,
            authorization_endpoint=f"{at}/authorize",
            token_endpoint=f"{at}/token",
            userinfo_endpoint=f"{at}/userinfo",
            jwks_uri=f"{at}/jwks",
            response_types_supported=["code"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
            token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post"],
            code_challenge_methods_supported=["S256"],
        )

    @app.get("/jwks")
    def jwks() -> ResponseReturnValue:
        return jsonify(keys=[provider.key.as_dict(private=False)])

    @app.get("/authorize")
    def authorize() -> ResponseReturnValue:
        wrong = _what_is_wrong(provider, request.args)
        if wrong:
            return render_template("sign_in.html", wrong=wrong, accounts=()), 400
        return render_template("sign_in.html", accounts=ACCOUNTS, parameters=request.args.to_dict())

    @app.post("/authorize")
    def decide() -> ResponseReturnValue:
        wrong = _what_is_wrong(provider, request.form)
        if wrong:
            return render_template("sign_in.html", wrong=wrong, accounts=()), 400
        parameters = request.form.to_dict()
        subject = parameters.pop("account", "")
        chosen = next((account for account in ACCOUNTS if account.subject == subject), None)
        answer = {"error": "access_denied"} if chosen is None else {"code": provider.new_code(chosen, parameters)}
        return redirect(f"{provider.redirect_uri}?{urlencode({**answer, 'state': parameters.get('state', '')})}", 303)

    @app.post("/token")
    def token() -> ResponseReturnValue:
        return _token(provider)

    @app.get("/userinfo")
    def userinfo() -> ResponseReturnValue:
        account = provider.account_of(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if account is None:
            return jsonify(error="invalid_token"), 401
        return jsonify(sub=account.subject, name=account.name, email=account.email, email_verified=True)

    return app


def _what_is_wrong(provider: Provider, given: Any) -> str:
    """Why this request to sign in cannot be served, or nothing."""
    if given.get("client_id") != provider.client_id:
        return "The app is not known here: client_id differs from the one that this provider was started with."
    if given.get("redirect_uri") != provider.redirect_uri:
        return f"redirect_uri_mismatch: {given.get('redirect_uri')} is not {provider.redirect_uri}."
    if given.get("response_type") != "code" or "openid" not in given.get("scope", "").split():
        return "Only response_type=code with the scope openid is served."
    if given.get("code_challenge_method") != "S256" or not given.get("code_challenge"):
        return "PKCE is required here: code_challenge with code_challenge_method=S256."
    return ""


def _token(provider: Provider) -> ResponseReturnValue:
    basic = request.authorization
    client = basic.username if basic else request.form.get("client_id")
    secret = (basic.password if basic else request.form.get("client_secret")) or ""
    if client != provider.client_id or not hmac.compare_digest(secret.encode(), provider.client_secret.encode()):
        return jsonify(error="invalid_client"), 401
    kind = request.form.get("grant_type")
    if kind == "refresh_token":
        with provider.lock:
            grant = provider.refresh_tokens.get(request.form.get("refresh_token", ""))
        if grant is None:
            return jsonify(error="invalid_grant"), 400
        return jsonify(provider.tokens(grant, refresh=False, identity=False))
    if kind != "authorization_code":
        return jsonify(error="unsupported_grant_type"), 400
    with provider.lock:
        grant = provider.codes.pop(request.form.get("code", ""), None)
    if grant is None or grant.expires < time.time() or not _is_the_one_who_asked(grant):
        return jsonify(error="invalid_grant"), 400
    return jsonify(provider.tokens(grant, refresh=grant.parameters.get("access_type") == "offline", identity=True))


def _is_the_one_who_asked(grant: Grant) -> bool:
    """PKCE: only whoever sent the challenge knows the verifier behind it."""
    verifier = request.form.get("code_verifier", "")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    same_uri = request.form.get("redirect_uri") == grant.parameters.get("redirect_uri")
    return same_uri and hmac.compare_digest(challenge, grant.parameters.get("code_challenge", ""))


class Quiet(WSGIRequestHandler):
    """No line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing to say."""


@contextmanager
def serving(*, client_id: str, client_secret: str, redirect_uri: str, port: int = 0) -> Iterator[Provider]:
    """A provider on 127.0.0.1, in threads of this process; port 0 takes a free one."""
    provider = Provider("", client_id, client_secret, redirect_uri)
    server = make_server("127.0.0.1", port, create_provider_app(provider), threaded=True, request_handler=Quiet)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, name="stand-in for Google", daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
