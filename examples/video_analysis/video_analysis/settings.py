"""What the application is told by its environment. Nothing has to be set: then everything lives in one folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """All settings; `Settings.read()` takes them from the environment.

    Fields that hold a secret, or an address with a password in it, stay out of the repr.
    """

    data_folder: Path
    """`VIDEO_ANALYSIS_DATA`: databases, uploads and the files of running steps. Shared by the web and all workers."""
    database_url: str = field(repr=False)
    """`DATABASE_URL`: SQLite (the default, in the data folder) or PostgreSQL."""
    smallage_url: str = field(repr=False)
    """`SMALLAGE_URL`: the store of the tasks, SQLite (the default) or Redis."""
    secret_key: str = field(repr=False)
    """`SECRET_KEY`: signs sessions. By default one is made and kept in the data folder."""
    public_url: str = "http://localhost:8000"
    """`PUBLIC_URL`: with https, cookies are sent over TLS only and browsers are told to stay there."""
    trusted_proxies: int = 0
    """`TRUSTED_PROXIES`: how many proxies stand before the web server and set `X-Forwarded-For`."""
    minutes_quota: int = 60
    """`MINUTES_QUOTA`: minutes of video that a new user may have analysed."""
    upload_limit: int = 512 * MEBIBYTE
    """`UPLOAD_LIMIT_MB`: largest file that is accepted, in bytes here and in MiB there."""
    longest_minutes: int = 120
    """`LONGEST_MINUTES`: longer videos are not analysed, whatever is left of the quota."""
    piece_seconds: int = 30
    """`PIECE_SECONDS`: about how long the pieces are that are transcribed side by side."""
    retry_seconds: int = 5
    """`RETRY_SECONDS`: the pause before a step is tried again that met a passing trouble; each further one is twice as
    long."""
    allow_private_urls: bool = False
    """`ALLOW_PRIVATE_URLS`: also fetch videos from this computer and its network. For trying out offline only."""
    streams: int = 24
    """`STREAMS`: open event streams in one web process; below its threads, so that pages are served beside them."""
    result_expires: int = 3600
    """`RESULT_EXPIRES`: seconds that the task store keeps what tasks returned; the database has the analysis itself."""
    login_attempts: int = 5
    """`LOGIN_ATTEMPTS`: wrong passwords for one e-mail address from one network within `login_window` seconds before
    further ones have to wait; twenty times as many from one network, or for one e-mail address."""
    login_window: int = 300
    password_method: str = "scrypt"  # noqa: S105 - the name of a method
    """Werkzeug's name for how passwords are hashed; tests take a cheap one."""
    tasks: str = "smallage"
    """`VIDEO_ANALYSIS_TASKS`: "smallage", or "celery" for the same tasks in Celery's spelling."""
    transcriber: str = "auto"
    """`TRANSCRIBER`: the engine; "auto" takes the first that is configured or installed."""
    analyser: str = "auto"
    """`ANALYSER`: the engine; "auto" takes the OpenAI-compatible endpoint if one is configured."""
    openai_base_url: str = ""
    """`OPENAI_BASE_URL`: an OpenAI-compatible endpoint."""
    openai_api_key: str = field(default="", repr=False)
    """`OPENAI_API_KEY`."""
    openai_transcription_model: str = "whisper-1"
    """`OPENAI_TRANSCRIPTION_MODEL`."""
    openai_analysis_model: str = "gpt-4o-mini"
    """`OPENAI_ANALYSIS_MODEL`."""
    whisper_model: str = "base"
    """`WHISPER_MODEL`: what faster-whisper loads."""

    @property
    def uploads(self) -> Path:
        """Where uploaded files lie until they have been analysed."""
        return self.data_folder / "uploads"

    @property
    def work(self) -> Path:
        """Where the steps of the pipeline keep their files."""
        return self.data_folder / "work"

    @property
    def embedded(self) -> bool:
        """Is the database the file in the data folder?"""
        return self.database_url == _embedded(self.data_folder, "app.db")

    @property
    def secure(self) -> bool:
        """Is the application reached over TLS?"""
        return self.public_url.startswith("https://")

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings in `environ`; makes the data folder. Raises ValueError for a number that is none."""
        given = {name: value.strip() for name, value in environ.items() if value.strip()}
        folder = Path(given.get("VIDEO_ANALYSIS_DATA", ".video-analysis")).absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(
            data_folder=folder,
            database_url=sqlalchemy_url(given.get("DATABASE_URL", _embedded(folder, "app.db"))),
            smallage_url=given.get("SMALLAGE_URL", _embedded(folder, "queue.db")),
            secret_key=given.get("SECRET_KEY") or kept_secret(folder / "secret-key"),
            public_url=given.get("PUBLIC_URL", cls.public_url).rstrip("/"),
            trusted_proxies=_number(given, "TRUSTED_PROXIES", cls.trusted_proxies),
            minutes_quota=_number(given, "MINUTES_QUOTA", cls.minutes_quota),
            upload_limit=_number(given, "UPLOAD_LIMIT_MB", cls.upload_limit // MEBIBYTE) * MEBIBYTE,
            longest_minutes=_number(given, "LONGEST_MINUTES", cls.longest_minutes),
            piece_seconds=max(1, _number(given, "PIECE_SECONDS", cls.piece_seconds)),
            retry_seconds=_number(given, "RETRY_SECONDS", cls.retry_seconds),
            allow_private_urls=given.get("ALLOW_PRIVATE_URLS", "").lower() in ("1", "true", "yes"),
            streams=_number(given, "STREAMS", cls.streams),
            result_expires=_number(given, "RESULT_EXPIRES", cls.result_expires),
            login_attempts=_number(given, "LOGIN_ATTEMPTS", cls.login_attempts),
            tasks=given.get("VIDEO_ANALYSIS_TASKS", cls.tasks),
            transcriber=given.get("TRANSCRIBER", cls.transcriber),
            analyser=given.get("ANALYSER", cls.analyser),
            openai_base_url=given.get("OPENAI_BASE_URL", cls.openai_base_url),
            openai_api_key=given.get("OPENAI_API_KEY", cls.openai_api_key),
            openai_transcription_model=given.get("OPENAI_TRANSCRIPTION_MODEL", cls.openai_transcription_model),
            openai_analysis_model=given.get("OPENAI_ANALYSIS_MODEL", cls.openai_analysis_model),
            whisper_model=given.get("WHISPER_MODEL", cls.whisper_model),
        )


def sqlalchemy_url(url: str) -> str:
    """`url` with the driver this application is installed with; hosts hand out `postgres://…` and `postgresql://…`."""
    scheme, colon, rest = url.partition("://")
    return f"postgresql+psycopg{colon}{rest}" if scheme in ("postgres", "postgresql") else url


def kept_secret(file: Path) -> str:
    """The secret in `file`; made, readable for its owner alone, when there is none. Processes that start together
    agree on one."""
    if not file.exists():
        draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, file)  # the first one wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()


def _embedded(folder: Path, name: str) -> str:
    return f"sqlite:///{folder / name}"


def _number(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise ValueError(f"{name} is to be a whole number, not {text!r}.")
    return int(text)
