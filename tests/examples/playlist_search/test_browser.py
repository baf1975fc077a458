"""The whole program as somebody at a browser meets it: real processes, stand-ins for Google and YouTube, Chromium."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

import playlist_search
from playlist_search.standin.talks import phrase

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "no Chromium on the PATH"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 40_000
"""Milliseconds in which what is waited for has to come; nothing is decided by how long it takes."""
VIDEOS = 120
BROKEN_AT_FIRST = 2
"""Videos of the playlist that the stand-in answers with nonsense the first time."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason=MISSING), pytest.mark.timeout(150)]


@contextmanager
def program(folder: Path, **environment: str) -> Iterator[str]:
    """`python -m playlist_search.offline`, as `make playlist-search` starts it; its address."""
    path = os.pathsep.join([str(Path(playlist_search.__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split()])
    kept = {name: value for name, value in os.environ.items() if name not in ("SMALLAGE_URL", "DATABASE_URL")}
    command = [sys.executable, "-m", "playlist_search.offline", "--data", str(folder), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--videos", "200", "--delay", "0.4", "--concurrency", "10"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, "PYTHONPATH": path, **environment},
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), url + process.stdout.read()
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert processes_with(str(folder)) == [], "Ctrl-C stops everything"


def processes_with(word: str) -> list[str]:
    """Processes whose environment has this word in it (Linux)."""
    found = []
    for one in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (one / "environ").read_bytes() and int(one.name) != os.getpid():
                found.append((one / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser's page; what the browser complains about fails the test."""
    complaints: list[Any] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(error))
        yield page
        browser.close()
    assert complaints == []


def walk(page: Page, url: str) -> None:
    """Log in, index a playlist with a reload in the middle, retry what failed, find what was said, log out."""
    page.goto(url)
    page.get_by_role("link", name="Continue with Google").click()
    page.get_by_role("button", name="Ada Lovelace").click()
    expect(page.get_by_role("heading", name="Your playlists")).to_be_visible()
    expect(page.locator(".card")).to_have_count(4)

    page.get_by_role("link", name=re.compile("Talks to hear again")).click()
    bar, summary = page.get_by_role("progressbar"), page.locator("[data-summary]")
    expect(bar).to_be_hidden()
    page.get_by_role("button", name="Start indexing").click()
    expect(summary).to_have_text(re.compile(rf"^\d+ of {VIDEOS} videos"), timeout=PATIENCE)
    before = bar.get_attribute("value") or "0"
    expect(bar).not_to_have_attribute("value", before, timeout=PATIENCE)

    page.reload()
    expect(bar).to_be_visible()
    assert int(bar.get_attribute("value") or -1) > int(before), "it goes on where it is"
    done = f"Done: {VIDEOS - BROKEN_AT_FIRST} of {VIDEOS} videos can be searched, {BROKEN_AT_FIRST} failed."
    expect(summary).to_have_text(done, timeout=PATIENCE)
    expect(bar).to_have_attribute("value", str(VIDEOS))

    expect(page.locator(".failures li")).to_have_count(BROKEN_AT_FIRST)
    page.locator(".failures li").first.get_by_role("button", name="Retry").click()
    expect(page.locator(".failures li")).to_have_count(BROKEN_AT_FIRST - 1, timeout=PATIENCE)
    page.get_by_role("button", name="Retry all").click()
    expect(summary).to_have_text(f"Done: {VIDEOS} of {VIDEOS} videos can be searched.", timeout=PATIENCE)
    expect(page.locator(".failures")).to_have_count(0)

    find(page, 101)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Continue with Google")).to_be_visible()


def find(page: Page, number: int) -> None:
    """Type what is said in this video alone, and follow the link."""
    second, words = phrase(number)
    page.get_by_role("navigation").get_by_role("link", name="Search").click()
    page.get_by_role("searchbox").press_sequentially(words)
    marker = words.split()[-1]
    first = page.locator(".hit").first
    expect(first.locator("mark", has_text=marker)).to_be_visible()
    expect(page.locator(".hit")).to_have_count(1)
    assert {"remember", "word", marker} <= set(first.locator("mark").all_text_contents())
    expect(first).to_have_attribute("href", re.compile(rf"/watch\?v=standin{number:04d}&t={second}s$"))
    assert page.url.endswith("/search?q=" + words.replace(" ", "+")), "the address can be shared"
    with page.expect_popup() as opened:
        first.click()
    expect(opened.value.get_by_text(words)).to_be_visible()
    opened.value.close()


def test_on_the_embedded_default(page: Page, tmp_path: Path) -> None:
    with program(tmp_path) as url:
        walk(page, url)


def test_on_redis_and_postgresql(page: Page, tmp_path: Path, redis_url: str, postgres_url: str) -> None:
    with program(tmp_path, SMALLAGE_URL=redis_url, DATABASE_URL=postgres_url) as url:
        walk(page, url)
    assert not list(tmp_path.glob("**/*.db")), "nothing is kept in files"


def test_without_javascript_the_same_forms_work(tmp_path: Path) -> None:
    with sync_playwright() as playwright, program(tmp_path) as url:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        page = browser.new_page(java_script_enabled=False)
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.get_by_role("link", name="Continue with Google").click()
        page.get_by_role("button", name="Grace Hopper").click()
        page.get_by_role("link", name=re.compile("Compilers")).click()
        page.get_by_role("button", name="Start indexing").click()
        expect(page.locator(".notice")).to_have_text("Indexing has started.")
        until(page, "Done: 39 of 40 videos can be searched, 1 failed.")
        page.get_by_role("button", name="Retry all").click()
        until(page, "Done: 40 of 40 videos can be searched.")
        page.get_by_role("navigation").get_by_role("link", name="Search").click()
        page.get_by_role("searchbox").fill(phrase(7)[1])
        page.get_by_role("searchbox").press("Enter")
        expect(page.locator(".hit mark").first).to_be_visible()
        browser.close()


def until(page: Page, text: str) -> None:
    """Load the page again until it says so."""
    while page.locator("[data-summary]").text_content() != text:
        page.reload()
