"""What starts the application elsewhere: settings, requirements, Procfile, compose.yaml, certificates."""

from __future__ import annotations

import ast
import os
import re
import signal
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest

import video_analysis
from smallage.cli.group import cli
from video_analysis import certificates
from video_analysis.settings import Settings, kept_secret
from video_analysis.tasks import native

PACKAGE = Path(video_analysis.__file__).parent
FOLDER = PACKAGE.parent
MODULES = {
    "flask_login": "flask-login",
    "flask_wtf": "flask-wtf",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "yt_dlp": "yt-dlp",
}
NOT_REQUIRED = {
    "celery",  # only for the tasks in Celery's spelling
    "faster_whisper",  # used where it is installed
    "click",  # Flask's
    "werkzeug",  # Flask's
}


# -- settings -------------------------------------------------------------------------------------------------------


def test_nothing_has_to_be_set(tmp_path: Path) -> None:
    settings = Settings.read({"VIDEO_ANALYSIS_DATA": str(tmp_path / "data")})
    assert settings.embedded
    assert settings.database_url == f"sqlite:///{tmp_path}/data/app.db"
    assert settings.smallage_url == f"sqlite:///{tmp_path}/data/queue.db"
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert not settings.allow_private_urls


def test_postgresql_and_redis_are_set_by_url(tmp_path: Path) -> None:
    told = {
        "DATABASE_URL": "postgres://u:secret@h/d",
        "SMALLAGE_URL": "rediss://:secret@h/0",
        "PUBLIC_URL": "https://x/",
    }
    settings = Settings.read({"VIDEO_ANALYSIS_DATA": str(tmp_path), **told})
    assert settings.database_url == "postgresql+psycopg://u:secret@h/d"
    assert (settings.embedded, settings.secure, settings.public_url) == (False, True, "https://x")
    assert "secret" not in repr(settings)


def test_a_number_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="MINUTES_QUOTA is to be a whole number, not 'many'"):
        Settings.read({"VIDEO_ANALYSIS_DATA": str(tmp_path), "MINUTES_QUOTA": "many"})


def test_processes_that_start_together_have_one_secret(tmp_path: Path) -> None:
    gate, seen = threading.Barrier(8), []

    def look() -> None:
        gate.wait(30)
        seen.append(kept_secret(tmp_path / "secret-key"))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert len(seen[0]) >= 48
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret-key"]


# -- the files ------------------------------------------------------------------------------------------------------


def test_the_requirements_are_what_is_imported() -> None:
    imported = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    ours = imported - set(sys.stdlib_module_names) - {"video_analysis"} - NOT_REQUIRED
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    required = {re.split(r"[\[>= ]", line)[0] for line in lines if line and not line.startswith("#")}
    besides = {"gunicorn", "psycopg"}  # the server, and the driver that SQLAlchemy loads by its name
    assert {MODULES.get(name, name) for name in ours} | besides == required


def test_both_fleets_serve_all_queues_between_them() -> None:
    procfile = (FOLDER / "Procfile").read_text()
    compose = (FOLDER / "compose.yaml").read_text().replace(",", "")
    for text in (procfile, compose):
        assert set(re.findall(r"smallage worker -Q (\w+) -P (\w+)", text)) == {
            (native.NET, "threads"),
            (native.CPU, "processes"),
        }


@pytest.mark.parametrize("file", ["Procfile", "compose.yaml"])
def test_the_workers_commands_are_commands(file: str) -> None:
    text = (FOLDER / file).read_text()
    options = set(re.findall(r"(?<=[\s,\[])(--?[A-Za-z][a-z-]*)(?=[\s,])", "\n".join(re.findall("smallage.*", text))))
    assert "-Q" in options
    worker = cli.get_command(click.Context(cli), "worker")
    assert worker is not None
    assert options <= {spelling for parameter in worker.params for spelling in parameter.opts}


def test_redis_keeps_everything_behind_tls_and_a_password() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    for said in ("--port 0 --tls-port 6379", "--requirepass ${REDIS_PASSWORD}", "--maxmemory 1gb"):
        assert said in text
    for said in (
        "--maxmemory-policy noeviction",
        "--appendonly yes",
        "rediss://:${REDIS_PASSWORD",
        'RESULT_EXPIRES: "900"',
    ):
        assert said in text
    assert not re.search(r"(PASSWORD|SECRET_KEY): *[\"']?[A-Za-z0-9]", text)  # nothing but what .env says


# -- certificates ---------------------------------------------------------------------------------------------------


def test_certificates_that_a_client_trusts(tmp_path: Path) -> None:
    authority, server = tmp_path / "authority", tmp_path / "server"
    assert certificates.make(authority, server, "redis")
    assert os.listdir(authority) == ["ca.crt"]  # nothing private
    assert sorted(os.listdir(server)) == ["ca.crt", "redis.crt", "redis.key"]
    assert stat.S_IMODE((server / "redis.key").stat().st_mode) == 0o600
    assert not certificates.make(authority, server, "redis")  # they are good: the next start keeps them
    assert handshake(authority / "ca.crt", server, "redis")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(authority / "ca.crt", server, "elsewhere")
    certificates.make(tmp_path / "other", tmp_path / "other", "redis")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path / "other" / "ca.crt", server, "redis")


def handshake(authority: Path, folder: Path, name: str) -> bool:
    """A client that trusts `authority` meets the server of `folder` under `name`. Raises what TLS has against it."""
    there, here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(authority))
    there.load_cert_chain(folder / "redis.crt", folder / "redis.key")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        here.wrap_bio(to_client, to_server, server_hostname=name),
        there.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _round in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    return not ends


# -- everything at once ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_offline_starts_everything_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    program = [sys.executable, "-m", "video_analysis.offline", "--folder", str(tmp_path / "data"), "--port", "0"]
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        told = [line for line in iter(started.stdout.readline, "Ctrl-C stops everything.\n") if line]
        assert re.search(r"Open +http://127\.0\.0\.1:\d+/\n", told[0])
        assert re.search(r"Log in as +demo@example\.com +password: .+\n", told[1])
        listed = Path(f"/proc/{started.pid}/task/{started.pid}/children")  # Linux has it
        children = listed.read_text().split() if listed.exists() else []
        started.send_signal(signal.SIGINT)
        assert started.stdout.read().endswith("Stopped.\n")
    assert started.returncode == 0
    assert len(children) == 3 or not children
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(int(child), 0)
