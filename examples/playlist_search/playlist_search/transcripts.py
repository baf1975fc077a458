"""Transcripts of YouTube's videos, by the library youtube-transcript-api."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from xml.etree.ElementTree import ParseError

import requests
from requests.adapters import HTTPAdapter
from youtube_transcript_api import YouTubeTranscriptApi
from youtube_transcript_api import _errors as errors
from youtube_transcript_api.proxies import GenericProxyConfig, ProxyConfig, WebshareProxyConfig

from playlist_search.documents import Line
from playlist_search.failures import Later, NoTranscript, RateLimited, Unreadable, retry_after
from playlist_search.settings import YOUTUBE_WATCH_URL, Settings

BLOCKED_SECONDS = 30.0
"""How long to stay away when YouTube blocks without saying for how long."""

NONE = (
    errors.TranscriptsDisabled,
    errors.NoTranscriptFound,
    errors.VideoUnavailable,
    errors.VideoUnplayable,
    errors.AgeRestricted,
    errors.InvalidVideoId,
    errors.PoTokenRequired,
)
"""The library's words for: there is no transcript to be had."""


@dataclass(frozen=True)
class Transcript:
    """What was said in a video, line by line."""

    language: str
    lines: list[Line]


class Transcripts:
    """Fetches transcripts. Usable by several threads: each has a connection of its own, as the library asks."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = threading.local()
        self._sessions: weakref.WeakSet[Watched] = weakref.WeakSet()

    def fetch(self, video_id: str) -> Transcript:
        """The transcript in the first of the languages that there is, else in any. Raises NoTranscript, RateLimited, or
        Later."""
        session, api = self._api()
        session.last = None
        try:
            known = api.list(video_id)
            try:
                chosen = known.find_transcript(self._settings.transcript_languages)
            except errors.NoTranscriptFound:
                chosen = next(iter(known))
            fetched = chosen.fetch()
        except (*NONE, StopIteration) as error:
            raise NoTranscript(type(error).__name__) from error
        except errors.RequestBlocked as error:
            raise RateLimited(_asked_for(session.last)) from error
        except errors.CouldNotRetrieveTranscript as error:
            raise Later(_short(error, session.last)) from error
        except requests.RequestException as error:
            raise Later(f"YouTube cannot be reached: {type(error).__name__}") from error
        except ParseError as error:
            raise Unreadable("YouTube sent a transcript that cannot be read") from error
        return Transcript(fetched.language_code, [Line(one.start, one.text) for one in fetched])

    def close(self) -> None:
        for session in list(self._sessions):
            session.close()

    def _api(self) -> tuple[Watched, YouTubeTranscriptApi]:
        if not hasattr(self._own, "api"):
            session = Watched(self._settings.transcript_timeout)
            self._sessions.add(session)
            self._own.api = session, YouTubeTranscriptApi(proxy_of(self._settings), session)
            if self._settings.youtube_watch_url != YOUTUBE_WATCH_URL:
                session.mount(YOUTUBE_WATCH_URL, Elsewhere(self._settings.youtube_watch_url))
                session.trust_env = False  # a proxy of the machine's is not the way to a stand-in
        return self._own.api  # type: ignore[no-any-return]


class Watched(requests.Session):
    """A session with a time limit for each request, which remembers its last answer: the library does not pass on how
    long YouTube asks to stay away."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self.timeout = timeout
        self.last: requests.Response | None = None

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.setdefault("timeout", self.timeout)
        self.last = super().request(*args, **kwargs)
        return self.last


class Elsewhere(HTTPAdapter):
    """Sends what is meant for YouTube to a stand-in."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = urlsplit(base)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        asked = urlsplit(str(request.url))
        request.url = urlunsplit((self._base.scheme, self._base.netloc, asked.path, asked.query, ""))
        return super().send(request, *args, **kwargs)


def proxy_of(settings: Settings) -> ProxyConfig | None:
    """The proxy that the settings name, if any."""
    if settings.webshare_username:
        return WebshareProxyConfig(settings.webshare_username, settings.webshare_password)
    if settings.transcript_proxy:
        return GenericProxyConfig(settings.transcript_proxy, settings.transcript_proxy)
    return None


def _asked_for(last: requests.Response | None) -> float:
    return retry_after(last.headers.get("Retry-After") if last is not None else None, BLOCKED_SECONDS)


def _short(error: Exception, last: requests.Response | None) -> str:
    """One line; the library's own errors are half a page."""
    if last is not None and last.status_code >= 400:
        return f"YouTube answered {last.status_code}"
    return f"YouTube's answer could not be read ({type(error).__name__})"
