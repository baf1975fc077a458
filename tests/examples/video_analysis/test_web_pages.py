"""The pages: what they show, and that nothing of what users or videos say becomes a part of them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from tests.examples.video_analysis.site import Browser, Site, found, silence
from video_analysis import records
from video_analysis.models import STEPS

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture
def browser(site: Site) -> Browser:
    return site.browser()


def submit(browser: Browser, url: str = "https://example.com/v.mp4") -> str:
    """The path of a new analysis's page."""
    answer = browser.post("/analyses", token_from="/", url=url)
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"]


def id_in(path: str) -> str:
    return path.rpartition("/")[2]


def finish(path: str, text: str = "Hello.", start: float | None = 3725.0) -> None:
    records.measured(id_in(path), 125)
    segment = {"start": start, "end": None, "text": text}
    records.finish(id_in(path), [segment], text, [text])  # type: ignore[list-item]


def test_from_the_form_to_the_result(browser: Browser) -> None:
    assert "Nothing yet" in browser.get("/").text
    path = submit(browser)
    waiting = browser.get(path).text
    assert "Waiting for a worker" in waiting
    assert f'data-events="/api{path}/events"' in waiting

    records.at_step(id_in(path), "transcribe", 0.5, "6 of 12 pieces")
    under_way = Elements(browser.get(path).text)
    assert [step["class"] for step in under_way.all("li")] == ["past", "past", "here", "", "", ""]
    assert [step["data-step"] for step in under_way.all("li")] == list(STEPS)
    assert under_way.all("progress")[0]["value"] == str(2.5 / 6)
    assert "6 of 12 pieces" in browser.get(path).text
    assert "Under way" in browser.get("/").text

    finish(path)
    done = browser.get(path).text
    assert "<time>1:02:05</time><p>Hello.</p>" in done
    assert "analysis.js" not in done
    home = browser.get("/").text
    assert "<strong>3</strong> of 60 minutes used" in home
    assert "2:05 ·" in home


def test_a_file_from_the_form(browser: Browser) -> None:
    answer = browser.post("/analyses", token_from="/", url="", file=(io.BytesIO(silence(3)), "talk.wav"))
    assert answer.status_code == 303
    page = browser.get(answer.headers["Location"]).text
    assert "talk.wav" in page
    assert "Uploaded file" in page


def test_a_form_that_is_sent_twice_is_one_analysis(browser: Browser) -> None:
    home = browser.get("/").text
    sent = {"key": found(r'name="key" value="([^"]+)"', home), "url": "https://example.com/v.mp4"}
    first, second = (browser.post("/analyses", token_from="/", **sent) for _ in range(2))
    assert first.headers["Location"] == second.headers["Location"]
    assert found(r'name="key" value="([^"]+)"', browser.get("/").text) != sent["key"]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({}, 422, "Give the address of a video, or choose a file."),
        ({"url": "nonsense"}, 422, "That is not the address of a video"),
        ({"url": "https://example.com", "file": (io.BytesIO(b"text"), "x.wav")}, 422, "no video or sound file"),
    ],
)
def test_what_is_wrong_is_said_above_the_form(
    browser: Browser, fields: dict[str, object], status: int, words: str
) -> None:
    answer = browser.post("/analyses", token_from="/", **fields)
    assert answer.status_code == status
    assert words in found(r'role="alert">([^<]+)<', answer.text)
    assert f'value="{fields.get("url", "")}"' in answer.text


def test_402_is_a_page_that_says_so(open_site: Callable[..., Site]) -> None:
    browser = open_site(minutes_quota=1).browser()
    answers = [
        browser.post("/analyses", token_from="/", file=(io.BytesIO(silence(1)), name)) for name in ("a.wav", "b.wav")
    ]
    assert [answer.status_code for answer in answers] == [303, 402]
    assert "Your minutes are used up" in found(r'role="alert">([^<]+)<', answers[1].text)


def test_cancelling_from_the_page(browser: Browser) -> None:
    path = submit(browser)
    assert browser.post(f"{path}/cancel", token_from=path).headers["Location"] == path
    assert "You cancelled this" in browser.get(path).text
    assert "Nothing was charged" in browser.get(path).text
    assert browser.post(f"{path}/cancel", token_from="/").status_code == 303  # again: the same


def test_why_it_failed_is_on_the_page(browser: Browser) -> None:
    path = submit(browser)
    records.fail(id_in(path), "The video is private.")
    page = browser.get(path).text
    assert "It did not work" in page
    assert "The video is private." in page


def test_others_pages_do_not_exist(site: Site, browser: Browser) -> None:
    path = submit(browser)
    other = site.browser("bob@example.com")
    assert other.get(path).status_code == other.get("/analyses/none").status_code == 404
    assert other.post(f"{path}/cancel", token_from="/").status_code == 404
    assert site.browser(None).get(path).status_code == 302
    assert records.load(id_in(path)).state == "queued"


# -- nothing foreign becomes a part of a page -----------------------------------------------------------------------


def test_titles_transcripts_and_errors_are_text(browser: Browser) -> None:
    done, failed, under_way = (submit(browser, f"https://example.com/v?{n}") for n in range(3))
    for path in (done, failed, under_way):
        records.named(id_in(path), EVIL)
    finish(done, EVIL, start=None)
    records.fail(id_in(failed), EVIL)
    records.at_step(id_in(under_way), "download", 0.5, EVIL)
    for path in (done, failed, under_way, "/"):
        page = browser.get(path).text
        assert "&lt;script&gt;alert(1)" in page
        elements = Elements(page)
        assert all(script.get("src", "").startswith("/static/") for script in elements.all("script"))
        assert [image["src"] for image in elements.all("img")] == ["/static/icon.svg"]


def test_addresses_and_file_names_are_text(browser: Browser) -> None:
    url = 'https://example.com/%3Cscript%3E?q="><script>alert(1)</script>'
    page = browser.get(submit(browser, url)).text
    assert "<script>alert" not in page
    answer = browser.post("/analyses", token_from="/", file=(io.BytesIO(silence(1)), "<b>x</b>.wav"))
    assert "<b>" not in browser.get(answer.headers["Location"]).text
    wrong = browser.post("/analyses", token_from="/", url=EVIL)
    assert "<img src=x" not in wrong.text
    register = browser.client.application.test_client()
    assert "<script>" not in register.get(f"/login?next={EVIL}").text


def test_the_policy_allows_no_script_but_ours_and_no_page_needs_another(site: Site, browser: Browser) -> None:
    path = submit(browser)
    stranger = site.browser(None)
    pages = [browser.get(one) for one in ("/", path, "/account", "/nothing")]
    pages += [stranger.get(one) for one in ("/", "/login", "/register")]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Cache-Control"] == "no-store"
        elements = Elements(page.text)
        assert all(one.get("src") for one in elements.all("script"))
        assert elements.all("style") == []
        assert not any("style" in one or any(name.startswith("on") for name in one) for _, one in elements.seen)
        addresses = [one.get("src") or one.get("href") for _, one in elements.seen if "src" in one or "href" in one]
        foreign = [one for one in addresses if one and not one.startswith(("/", "#"))]
        assert foreign in ([], ["https://example.com/v.mp4"])


def test_pages_can_be_used_without_seeing_them(site: Site, browser: Browser) -> None:
    path = submit(browser)
    stranger = site.browser(None)
    for page in (
        browser.get("/"),
        browser.get(path),
        browser.get("/account"),
        stranger.get("/login"),
        stranger.get("/"),
    ):
        elements = Elements(page.text)
        assert elements.all("html") == [{"lang": "en"}]
        assert len(elements.all("h1")) == 1
        labels = {one.get("for") for one in elements.all("label")}
        for field in elements.all("input"):
            assert field.get("type") == "hidden" or field["id"] in labels
        for bar in (*elements.all("progress"), *elements.all("meter")):
            assert bar.get("aria-label") or bar.get("aria-labelledby")
        assert all("alt" in image for image in elements.all("img"))
    assert re.search(r'id="now"[^>]*aria-live="polite"', browser.get(path).text)
