"""The application under test, and browsers and programs that visit it."""

from __future__ import annotations

import dataclasses
import io
import re
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from video_analysis import create_app, db, passwords
from video_analysis.models import User
from video_analysis.settings import Settings
from video_analysis.tasks import native

PASSWORD = "correct horse battery"
CHEAP = "pbkdf2:sha256:1"


@dataclass
class Site:
    app: Flask
    settings: Settings

    @classmethod
    def open(cls, folder: Path, **changed: Any) -> Site:
        settings = Settings.read({"VIDEO_ANALYSIS_DATA": str(folder)})
        settings = dataclasses.replace(settings, **{"password_method": CHEAP, **changed})
        return cls(create_app(settings), settings)

    def close(self) -> None:
        native.smallage.close()
        db.disconnect()

    def browser(self, email: str | None = "ann@example.com") -> Browser:
        """A browser; registered and logged in, unless `email` is None."""
        made = Browser(self.app.test_client())
        if email is not None:
            answer = made.post("/register", email=email, password=PASSWORD)
            assert answer.status_code == 303, answer.text
        return made

    def program(self, email: str = "ann@example.com", quota: int | None = None) -> Program:
        """A program with a token, of a new user."""
        made = User(
            email=email, password_hash="!", minutes_quota=self.settings.minutes_quota if quota is None else quota
        )
        with db.writing() as session:
            session.add(made)
        return Program(self.app.test_client(), passwords.new_token(made.id), made.id)


@dataclass
class Browser:
    client: FlaskClient

    def get(self, path: str) -> TestResponse:
        return self.client.get(path)

    def post(self, path: str, token_from: str | None = None, **fields: Any) -> TestResponse:
        """Send a form with the CSRF token of the page `token_from`, by default of where it is sent."""
        return self.client.post(path, data={"csrf_token": self.token(token_from or path), **fields})

    def token(self, path: str) -> str:
        return found(r'name="csrf_token" value="([^"]+)"', self.get(path).text)


@dataclass
class Program:
    client: FlaskClient
    token: str
    user_id: int

    def ask(self, method: str, path: str, key: str | None = None, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Idempotency-Key": key} if key else {})
        return self.client.open(path, method=method, headers=headers, **more)

    def submit(self, url: str = "https://example.com/talk.mp4", key: str | None = None) -> TestResponse:
        return self.ask("POST", "/api/analyses", key, json={"url": url})

    def upload(self, content: bytes, name: str = "talk.wav", key: str | None = None, kind: str = "") -> TestResponse:
        file = (io.BytesIO(content), name, kind or "audio/wav")
        return self.ask("POST", "/api/analyses", key, data={"file": file})


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def silence(seconds: float, rate: int = 8000) -> bytes:
    """A WAV file."""
    made = io.BytesIO()
    with wave.open(made, "wb") as writer:
        writer.setparams((1, 1, rate, 0, "NONE", "not compressed"))
        writer.writeframes(b"\x80" * int(seconds * rate))
    return made.getvalue()
