"""A video is submitted over HTTP, real workers analyse it, and what was said in it comes back."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from tests import redis_server
from tests.examples.video_analysis import speech
from tests.examples.video_analysis.elsewhere import Videos, endpoint, host_of_videos
from tests.examples.video_analysis.fleets import Fleets
from tests.examples.video_analysis.site import Program
from video_analysis import db, migrations
from video_analysis.models import Analysis, Charge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NO_TLS = "the Redis or Valkey server here is built without TLS: no test of a store behind TLS"
PASSWORD = "correct-horse"


@pytest.fixture
def videos(tmp_path: Path) -> Iterator[Videos]:
    with host_of_videos() as made:
        made.files["/talk.mp4"] = speech.talk(tmp_path)
        yield made


def charges() -> list[tuple[str, int]]:
    with db.reading() as session:
        return [(one.analysis_id, one.minutes) for one in session.scalars(select(Charge))]


def test_what_was_said_comes_back(tmp_path: Path, videos: Videos) -> None:
    """SQLite for all, and two fleets as in production."""
    with Fleets(tmp_path, {"TRANSCRIBER": "pocketsphinx", "ANALYSER": "extractive"}) as fleets:
        program = fleets.program()
        fleets.start("video_analysis", "net", "net", "-P", "threads", "-c", "4")
        fleets.start("video_analysis", "cpu", "cpu", "-c", "1", "--no-beat")
        found, said = analysed(fleets, program, f"{videos.url}/talk.mp4")
        assert found.summary is not None
        assert len(found.summary) > 20
        assert speech.share_of_words(found.summary) > 0.2
        assert any(phrase in said for phrase in found.key_phrases or ()), found.key_phrases


def test_on_postgresql_and_a_redis_behind_tls_with_a_password(
    tmp_path: Path, videos: Videos, postgres_url: str, tls_redis: str
) -> None:
    """The summary is by a stand-in for a remote service, whose key is a secret too."""
    with endpoint() as service:
        environment = {
            "DATABASE_URL": postgres_url,
            "SMALLAGE_URL": tls_redis,
            "TRANSCRIBER": "pocketsphinx",
            "OPENAI_BASE_URL": service.url,
            "OPENAI_API_KEY": service.key,
        }
        with Fleets(tmp_path, environment) as fleets:
            migrations.upgrade()
            program = fleets.program()
            fleets.start("video_analysis", "both", "net,cpu", "-c", "1", "-l", "info")
            found, _said = analysed(fleets, program, f"{videos.url}/talk.mp4")
            assert found.summary == "It is about boats."
        assert service.wrong == []
    logs = "".join(log.read_text() for log in tmp_path.glob("*.log"))
    assert "succeeded" in logs
    for secret in (PASSWORD, service.key):
        assert secret not in logs


def analysed(fleets: Fleets, program: Program, url: str) -> tuple[Analysis, str]:
    """The analysis of the talk, once it is there, and what was heard; charged once, and nothing is left behind."""
    answer = program.submit(url, key="the-talk")
    assert answer.status_code == 202
    found = fleets.ended(answer.json["id"])
    assert (found.state, found.error) == ("done", None)
    shown = program.ask("GET", f"/api/analyses/{found.id}").json
    said = " ".join(one["text"] for one in shown["transcript"])
    assert speech.share_of_words(said) >= 0.6, said
    assert program.ask("GET", "/api/account").json["minutes_used"] == 1
    fleets.until(fleets.is_clean)
    again = program.submit(url, key="the-talk")
    assert again.json["id"] == found.id
    assert charges() == [(found.id, 1)]
    return found, said


# -- a store behind TLS -----------------------------------------------------------------------------------------------
@pytest.fixture
def tls_redis(tmp_path: Path, start_redis: Callable[..., redis_server.RedisServer]) -> str:
    """URL of a Redis that speaks TLS and wants a password."""
    certificate(tmp_path)
    port = redis_server._free_port()
    try:
        server = start_redis(
            tls_port=str(port),
            tls_cert_file=str(tmp_path / "server.pem"),
            tls_key_file=str(tmp_path / "server.key"),
            tls_ca_cert_file=str(tmp_path / "ca.pem"),
            tls_auth_clients="no",
        )
    except RuntimeError as error:
        if "tls" in str(error).lower():
            pytest.skip(NO_TLS)
        raise
    with contextlib.closing(server.client()) as client:
        client.config_set("requirepass", PASSWORD)
    return f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={tmp_path}/ca.pem"


def certificate(folder: Path) -> None:
    """An authority, and a certificate of it for 127.0.0.1."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, here = _named("test authority"), _named("127.0.0.1")
    root = _made(authority, authority, authority_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    root = root.add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    own = _made(here, authority, key.public_key()).add_extension(address, critical=False)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(root.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    (folder / "server.pem").write_bytes(own.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(private)
    ssl.create_default_context(cafile=str(folder / "ca.pem"))  # it can be read


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _made(subject: x509.Name, issuer: x509.Name, key: Any) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
