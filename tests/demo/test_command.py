"""`smallage demo` as a user runs it."""

import os
import subprocess
import sys

import pytest


def demo(tmp_path, *arguments):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "smallage", "demo", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=55)
    return done.returncode, done.stdout, done.stderr


def cell(output, name):
    """The value beside `name` in the last table."""
    (found,) = [line for line in output.splitlines() if line.startswith(f"  {name}  ")]
    return found.removeprefix(f"  {name}").strip()


def well(code, output, errors, n):
    assert code == 0, output + errors
    assert cell(output, "indexed and searchable") == f"{n} of {n}"
    assert cell(output, "failed") == "0"
    assert "\x1b" not in output
    assert "\r" not in output


@pytest.mark.slow
def test_all_is_indexed_and_nothing_is_left(tmp_path):
    code, output, errors = demo(tmp_path, "--n", "120", "--latency", "0.02", "-c", "20")
    well(code, output, errors, 120)
    assert cell(output, "retried").startswith("4  (3 × 503, 1 × 429)")
    assert "context manager: found in" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_users_own_store_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALLAGE_URL", f"sqlite:///{tmp_path}/mine.db")
    monkeypatch.setenv("CELERY_BROKER_URL", f"sqlite:///{tmp_path}/other.db")
    code, output, errors = demo(tmp_path, "--n", "20", "--latency", "0.01", "-c", "5")
    well(code, output, errors, 20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.redis
def test_on_redis_and_no_key_is_left(tmp_path, redis_url):
    import redis

    with redis.Redis.from_url(redis_url) as server:
        server.set("theirs", "kept")
        code, output, errors = demo(tmp_path, "--n", "120", "--latency", "0.02", "-c", "20", "--url", redis_url)
        well(code, output, errors, 120)
        assert server.keys("*") == [b"theirs"]


def chaos(tmp_path, *arguments):
    code, output, errors = demo(tmp_path, "--chaos", "--n", "200", "--latency", "0.4", "-c", "20", *arguments)
    well(code, output, errors, 200)
    assert output.count("kill -9") == 5  # the plan, and each of the two when it happens and in the table
    assert int(cell(output, "taken back").split()[0]) >= 5
    assert cell(output, "taken back").endswith("the foreman 1 ×")
    assert int(cell(output, "fetched again").split()[0]) >= 5
    assert cell(output, "fanned out twice") == "0 items"


@pytest.mark.slow
def test_chaos(tmp_path):
    chaos(tmp_path)


@pytest.mark.slow
@pytest.mark.redis
def test_chaos_on_redis(tmp_path, redis_url):
    chaos(tmp_path, "--url", redis_url)


@pytest.mark.slow
def test_chaos_that_comes_too_late_is_a_failure(tmp_path):
    """Too few items for a second kill: 1,000 of 1,000 alone are not enough."""
    code, output, _ = demo(tmp_path, "--chaos", "--n", "4", "--latency", "0.01", "-c", "10")
    assert code == 1
    assert "FAILED: No child was killed while it fetched" in output


def test_wrong_usage_and_an_unreachable_store_have_codes_of_their_own(tmp_path):
    assert demo(tmp_path, "--url", "memory://")[0] == 2
    assert demo(tmp_path, "--chaos", "-c", "2")[0] == 2
    code, output, _ = demo(tmp_path, "--url", "redis://:secret@127.0.0.1:1")
    assert code == 3
    assert "secret" not in output
    assert list(tmp_path.iterdir()) == []
