"""All settings, read once from the environment. With none set the program runs in one folder, without a server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GOOGLE_ISSUER = "https://accounts.google.com"
YOUTUBE_API_URL = "https://www.googleapis.com/youtube/v3"
YOUTUBE_WATCH_URL = "https://www.youtube.com"


@dataclass(frozen=True)
class Settings:
    """What the program is told. `Settings.from_env()` is what it uses, `Settings(data_dir=…)` what tests make."""

    data_dir: Path = Path("data")
    database_url: str = field(default="", repr=False)
    """SQLAlchemy's URL; empty: a SQLite file in `data_dir`."""
    queue_url: str = field(default="", repr=False)
    """Smallage's store; empty: a SQLite file in `data_dir`."""
    elasticsearch_url: str = field(default="", repr=False)
    """When set, search goes there; else it is part of the database."""
    elasticsearch_api_key: str = field(default="", repr=False)

    secret_key: str = field(default="", repr=False)
    """Signs sessions and encrypts tokens; empty: `secret()` keeps one in `data_dir`."""
    public_url: str = ""
    """Where browsers find the program, such as https://search.example.org."""

    google_client_id: str = ""
    google_client_secret: str = field(default="", repr=False)
    google_issuer: str = GOOGLE_ISSUER

    youtube_api_url: str = YOUTUBE_API_URL
    youtube_watch_url: str = YOUTUBE_WATCH_URL
    """Other than YouTube's own: a stand-in that transcripts are fetched from."""
    transcript_languages: tuple[str, ...] = ("en",)
    """The first that a video has is taken; if it has none of them, any."""
    transcript_proxy: str = field(default="", repr=False)
    """URL of an HTTP proxy for transcripts."""
    webshare_username: str = ""
    webshare_password: str = field(default="", repr=False)
    transcript_timeout: float = 30.0
    """Seconds that one request for a transcript may take."""
    video_rate: str = "40/s"
    """Starts of video tasks over all workers, in Celery's words, such as "10/m"; empty: no limit."""

    run_ttl: int = 86_400
    """Seconds after which a run that has not ended no longer keeps a new one from starting."""
    playlists_ttl: int = 300
    """Seconds before the list of somebody's playlists is fetched anew."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings that the environment names. Raises ValueError for a number that is none."""
        env = os.environ if environ is None else environ
        default = cls()
        return cls(
            data_dir=Path(env.get("DATA_DIR") or default.data_dir),
            database_url=env.get("DATABASE_URL", ""),
            queue_url=env.get("SMALLAGE_URL", ""),
            elasticsearch_url=env.get("ELASTICSEARCH_URL", ""),
            elasticsearch_api_key=env.get("ELASTICSEARCH_API_KEY", ""),
            secret_key=env.get("SECRET_KEY", ""),
            public_url=env.get("PUBLIC_URL", "").rstrip("/"),
            google_client_id=env.get("GOOGLE_CLIENT_ID", ""),
            google_client_secret=env.get("GOOGLE_CLIENT_SECRET", ""),
            google_issuer=env.get("GOOGLE_ISSUER") or default.google_issuer,
            youtube_api_url=(env.get("YOUTUBE_API_URL") or default.youtube_api_url).rstrip("/"),
            youtube_watch_url=(env.get("YOUTUBE_WATCH_URL") or default.youtube_watch_url).rstrip("/"),
            transcript_languages=tuple(env.get("TRANSCRIPT_LANGUAGES", "en").replace(",", " ").split()),
            transcript_proxy=env.get("TRANSCRIPT_PROXY", ""),
            webshare_username=env.get("WEBSHARE_USERNAME", ""),
            webshare_password=env.get("WEBSHARE_PASSWORD", ""),
            transcript_timeout=_number(env, "TRANSCRIPT_TIMEOUT", default.transcript_timeout),
            video_rate=env.get("VIDEO_RATE", default.video_rate),
            run_ttl=int(_number(env, "RUN_TTL", default.run_ttl)),
            playlists_ttl=int(_number(env, "PLAYLISTS_TTL", default.playlists_ttl)),
        )

    def database(self) -> str:
        """The database's URL, in SQLAlchemy's spelling."""
        if not self.database_url:
            return f"sqlite:///{self.folder() / 'playlists.db'}"
        for plain in ("postgres://", "postgresql://"):
            if self.database_url.startswith(plain):
                return "postgresql+psycopg://" + self.database_url.removeprefix(plain)
        return self.database_url

    def queue(self) -> str:
        """The task queue's URL."""
        return self.queue_url or f"sqlite:///{self.folder() / 'queue' / 'queue.db'}"

    def secret(self) -> str:
        """The secret key: the one that was set, else one that is kept in `data_dir` from the first start on."""
        return self.secret_key or _kept_secret(self.folder() / "secret-key")

    def folder(self) -> Path:
        """`data_dir`, made when it is not there; only its owner may look into it."""
        folder = self.data_dir.resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    try:
        return float(text) if text else default
    except ValueError:
        raise ValueError(f"{name} is to be a number, not {text!r}.") from None


def _kept_secret(path: Path) -> str:
    """The secret in this file, which is written whole or not at all, by whoever comes first."""
    if not path.exists():
        own = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        own.touch(mode=0o600)
        own.write_text(secrets.token_urlsafe(48), encoding="ascii")
        try:
            os.link(own, path)
        except FileExistsError:
            pass  # another process was first: its secret counts
        own.unlink()
    return path.read_text(encoding="ascii")
