"""Register, log in, log out: the pages, and who is asking.

People are known by a session (a signed cookie), programs by a token that they send as `Authorization: Bearer …`.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Request, current_app, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user

from video_analysis import passwords
from video_analysis.models import User
from video_analysis.problems import Problem
from video_analysis.security import bearer
from video_analysis.settings import Settings

blueprint = Blueprint("accounts", __name__)
login_manager = LoginManager()

WRONG = "E-mail address or password is wrong."


class Account(UserMixin):  # type: ignore[misc]
    """The user that is logged in, as Flask-Login wants one."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.id = user.id

    def get_id(self) -> str:
        return f"{self.user.id}.{self.user.session_epoch}"


def init_app(app: Flask) -> None:
    """Let `current_user` know who is asking."""
    login_manager.init_app(app)
    login_manager.login_view = "accounts.login"
    login_manager.login_message = None
    app.register_blueprint(blueprint)


def settings() -> Settings:
    """The settings of the application that answers this request."""
    found: Settings = current_app.extensions["settings"]
    return found


def this_user() -> User:
    """Who is asking. Raises Problem 401 when nobody has logged in."""
    if not current_user.is_authenticated:
        raise Problem(401, "Log in first, or send a token: Authorization: Bearer …")
    user: User = current_user.user
    return user


def credentials_of(email: str, password: str) -> User:
    """The user with these. Raises Problem 401 or 429, the same for addresses that nobody has."""
    try:
        user = passwords.user_with(settings(), email, password, host())
    except passwords.TooManyAttempts:
        raise too_often() from None
    if user is None:
        raise Problem(401, WRONG)
    return user


def too_often() -> Problem:
    seconds = settings().login_window
    return Problem(429, f"Too many attempts. Wait {seconds // 60} minutes, then try again.", retry_after=seconds)


def host() -> str:
    return request.remote_addr or "unknown"


@login_manager.user_loader  # type: ignore[untyped-decorator]
def _by_session(session_id: str) -> Account | None:
    if bearer():  # a program says who it is; a cookie that comes along does not count
        return None
    user = passwords.user_of_session(session_id)
    return Account(user) if user else None


@login_manager.request_loader  # type: ignore[untyped-decorator]
def _by_token(_request: Request) -> Account | None:
    token = bearer()
    user = passwords.user_of_token(token) if token else None
    return Account(user) if user else None


@blueprint.route("/register", methods=["GET", "POST"])
def register() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(url_for("pages.home"))
    if request.method == "GET":
        return render_template("register.html")
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        user = passwords.register(settings(), email, password, host())
    except ValueError as error:
        return render_template("register.html", problem=str(error), email=email), 422
    except passwords.TooManyAttempts:
        problem = too_often()
        return render_template("register.html", problem=problem.detail, email=email), problem.status
    if user is None:
        taken = "There is an account with this e-mail address already. Log in instead."
        return render_template("register.html", problem=taken, email=email), 409
    return _enter(user)


@blueprint.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(url_for("pages.home"))
    if request.method == "GET":
        return render_template("login.html", next=request.args.get("next", ""))
    email, following = request.form.get("email", ""), request.form.get("next", "")
    try:
        user = credentials_of(email, request.form.get("password", ""))
    except Problem as problem:
        page = render_template("login.html", problem=problem.detail, email=email, next=following)
        return page, problem.status, _retry_after(problem)
    return _enter(user, following)


@blueprint.post("/logout")
@login_required  # type: ignore[untyped-decorator]
def logout() -> ResponseReturnValue:
    """Ends every session of the user: one whose cookie was copied would live on otherwise."""
    passwords.end_sessions(this_user().id)
    logout_user()
    session.clear()
    return redirect(url_for("pages.home"), 303)


@blueprint.route("/account", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def account() -> ResponseReturnValue:
    """The account; POST makes a token, which this page shows once."""
    token = passwords.new_token(this_user().id) if request.method == "POST" else None
    return render_template("account.html", user=passwords.user(this_user().id), token=token)


def _enter(user: User, following: str = "") -> ResponseReturnValue:
    session.clear()  # nothing of who sat here before, the CSRF token included
    session.permanent = True
    login_user(Account(user))
    return redirect(following if _is_ours(following) else url_for("pages.home"), 303)


def _is_ours(path: str) -> bool:
    """Is `path` a page of this site? Browsers read backslashes as slashes, and drop tabs and line ends."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _retry_after(problem: Problem) -> dict[str, str]:
    return {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
