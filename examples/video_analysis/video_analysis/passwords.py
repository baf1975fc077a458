"""Who may come in: users' passwords and tokens, and a limit to guessing."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import re
import secrets

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from video_analysis import db
from video_analysis.models import Attempt, User, now
from video_analysis.settings import Settings

SHORTEST, LONGEST = 10, 200
ADDRESS = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f.]+")
WIDER = 20
"""This many times more often may be tried from one network, which many people can share, and for one e-mail address
from all networks together, so that whoever knows the address does not lock its owner out."""

_nobody: dict[str, str] = {}


class TooManyAttempts(Exception):
    """Somebody has tried too often and has to wait."""


def refusal(email: str, password: str) -> str | None:
    """Why these cannot be an account, to say to the user; None when they can."""
    if len(email) > 254 or not ADDRESS.fullmatch(email):
        return "That is not an e-mail address."
    if not SHORTEST <= len(password) <= LONGEST:
        return f"A password has {SHORTEST} to {LONGEST} characters."
    if "\0" in password:
        return "A password cannot have a NUL character."
    return None


def register(settings: Settings, email: str, password: str, host: str) -> User | None:
    """A new user, or None when there is one with this address. Raises TooManyAttempts, ValueError (see `refusal`)."""
    email = email.strip().lower()
    if reason := refusal(email, password):
        raise ValueError(reason)
    _count(settings, f"register:{network(host)}", settings.login_attempts * WIDER)
    made = User(
        email=email,
        password_hash=generate_password_hash(password, settings.password_method),
        minutes_quota=settings.minutes_quota,
    )
    try:
        with db.writing() as session:
            session.add(made)
    except IntegrityError:
        return None
    return made


def user_with(settings: Settings, email: str, password: str, host: str) -> User | None:
    """The user with this address and password. None for a wrong one, and after as much work for an address that
    nobody has. Raises TooManyAttempts."""
    email = email.strip().lower()[:254].replace("\0", "")
    subject = f"login:{email} {network(host)}"
    # One after the other: what the first limit refuses does not use up the wider ones.
    _count(settings, subject, settings.login_attempts)
    _count(settings, f"login:{network(host)}", settings.login_attempts * WIDER)
    _count(settings, f"login:{email}", settings.login_attempts * WIDER)
    nobody = _hash_of_nobody(settings.password_method)
    with db.reading() as session:
        user = session.scalar(select(User).filter_by(email=email))
    right = check_password_hash(user.password_hash if user else nobody, password[: LONGEST + 1])
    if user is None or not right:
        return None
    with db.writing() as session:
        session.execute(delete(Attempt).filter_by(subject=_digest(subject)))
    return user


def user_of_session(session_id: str) -> User | None:
    """The user that a session names, unless they have logged out since."""
    number, _, epoch = session_id.partition(".")
    if not (number.isdecimal() and epoch.isdecimal()):
        return None
    with db.reading() as session:
        return session.scalar(select(User).filter_by(id=int(number), session_epoch=int(epoch)))


def end_sessions(user_id: int) -> None:
    """Void all sessions of a user, wherever their cookies are."""
    with db.writing() as session:
        session.execute(update(User).filter_by(id=user_id).values(session_epoch=User.session_epoch + 1))


def new_token(user_id: int) -> str:
    """A token for the user's programs; the one before is void. It is kept as a hash: show it now or never."""
    token = f"va_{secrets.token_urlsafe(32)}"
    with db.writing() as session:
        session.get_one(User, user_id).token_hash = _digest(token)
    return token


def user_of_token(token: str) -> User | None:
    """Whose token this is."""
    with db.reading() as session:
        return session.scalar(select(User).filter_by(token_hash=_digest(token)))


def user(user_id: int) -> User:
    """The user as they are now."""
    with db.reading() as session:
        return session.get_one(User, user_id)


def network(host: str) -> str:
    """What limits count as one place: an IPv4 address, or the /64 that a customer of an IPv6 provider has at least."""
    try:
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv6Address):
            mapped = address.ipv4_mapped
            return str(mapped or ipaddress.ip_network((int(address), 64), strict=False))
    except ValueError:
        pass  # no address, such as "unknown": a place of its own
    return host


def _count(settings: Settings, subject: str, most: int) -> None:
    """Count an attempt of `subject`. Raises TooManyAttempts when it is more than `most` in the window.

    The attempt is in the database before it is counted, so tries that come at once all see each other.
    """
    digest, begin = _digest(subject), now() - dt.timedelta(seconds=settings.login_window)
    with db.writing() as session:
        session.execute(delete(Attempt).where(Attempt.at < begin))
        session.add(Attempt(subject=digest))
    with db.reading() as session:
        attempts = session.scalar(select(func.count()).where(Attempt.subject == digest, Attempt.at >= begin)) or 0
    if attempts > most:
        raise TooManyAttempts


def _hash_of_nobody(method: str) -> str:
    if method not in _nobody:
        _nobody[method] = generate_password_hash(secrets.token_hex(16), method)
    return _nobody[method]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
