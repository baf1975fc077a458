"""Settings, and the secret that is kept when none is set."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from playlist_search.settings import Settings
from playlist_search.vault import Sealed, Vault


def test_nothing_has_to_be_set(tmp_path: Path) -> None:
    settings = Settings.from_env({"DATA_DIR": str(tmp_path / "data")})
    assert settings.database() == f"sqlite:///{tmp_path}/data/playlists.db"
    assert settings.queue() == f"sqlite:///{tmp_path}/data/queue/queue.db"
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_servers_by_url() -> None:
    env = {"DATABASE_URL": "postgres://u:secret@db/name", "SMALLAGE_URL": "redis://cache", "RUN_TTL": "60"}
    settings = Settings.from_env({**env, "TRANSCRIPT_LANGUAGES": "de, en"})
    assert settings.database() == "postgresql+psycopg://u:secret@db/name"
    assert (settings.queue(), settings.run_ttl) == ("redis://cache", 60)
    assert settings.transcript_languages == ("de", "en")


def test_secrets_are_not_shown() -> None:
    env = {"DATABASE_URL": "postgres://u:hush@db/name", "SMALLAGE_URL": "redis://:hush@cache", "SECRET_KEY": "hush"}
    more = {"ELASTICSEARCH_URL": "http://e:hush@host", "ELASTICSEARCH_API_KEY": "hush", "GOOGLE_CLIENT_SECRET": "hush"}
    assert "hush" not in repr(Settings.from_env({**env, **more}))


def test_a_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="RUN_TTL is to be a number, not 'soon'"):
        Settings.from_env({"RUN_TTL": "soon"})


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    found: list[str] = []
    gate = threading.Barrier(4)

    def ask() -> None:
        gate.wait()
        found.append(settings.secret())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found[0]) >= 48
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret-key"]
    assert Settings(data_dir=tmp_path, secret_key="given").secret() == "given"


def test_what_is_sealed_tells_nothing_and_opens_with_the_secret_only() -> None:
    sealed = Vault("one").seal({"access_token": "visible"})
    assert "visible" not in sealed
    assert Vault("one").open(sealed) == {"access_token": "visible"}
    for wrong in (sealed[:-4] + "AAA=", "", "x"):
        with pytest.raises(Sealed):
            Vault("one").open(wrong)
    with pytest.raises(Sealed):
        Vault("two").open(sealed)
