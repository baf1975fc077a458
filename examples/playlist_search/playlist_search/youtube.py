"""The YouTube Data API, version 3: somebody's playlists, and the videos in one of them, by plain HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from playlist_search.failures import Denied, Later, RateLimited, retry_after
from playlist_search.settings import YOUTUBE_API_URL, Settings

PAGE = 50
"""Items in a page; the API gives no more."""
TIMEOUT = 20.0


@dataclass(frozen=True)
class PlaylistItem:
    """A playlist as YouTube has it."""

    id: str
    title: str
    thumbnail: str
    videos: int


@dataclass(frozen=True)
class VideoItem:
    """A video in a playlist."""

    id: str
    title: str
    description: str
    thumbnail: str


class YouTube:
    """A client of the API. Usable by several threads.

    All calls raise Denied when access was not granted or taken back, RateLimited when the quota is spent, Later when
    YouTube does not answer as it should.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = settings.youtube_api_url
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=self._base == YOUTUBE_API_URL)

    def playlists(self, access_token: str) -> Iterator[PlaylistItem]:
        """The playlists of whom the token is from."""
        for page in self._pages("playlists", access_token, {"part": "snippet,contentDetails", "mine": "true"}):
            for item in page:
                snippet = item["snippet"]
                yield PlaylistItem(
                    item["id"], snippet["title"], _thumbnail(snippet), int(item["contentDetails"]["itemCount"])
                )

    def video_pages(self, access_token: str, playlist_id: str) -> Iterator[list[VideoItem]]:
        """The videos of a playlist in order, 50 at a time. Deleted and private ones are left out: there is nothing to
        be had of them."""
        asked = {"part": "snippet", "playlistId": playlist_id}
        for page in self._pages("playlistItems", access_token, asked):
            yield [_video(item["snippet"]) for item in page if item["snippet"].get("thumbnails")]

    def _pages(self, what: str, access_token: str, asked: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
        asked = {**asked, "maxResults": str(PAGE)}
        while True:
            answer = self._get(what, access_token, asked)
            yield answer.get("items", [])
            following = answer.get("nextPageToken")
            if not following:
                return
            asked["pageToken"] = following

    def _get(self, what: str, access_token: str, asked: dict[str, str]) -> dict[str, Any]:
        try:
            headers = {"Authorization": f"Bearer {access_token}"}
            response = self._http.get(f"{self._base}/{what}", params=asked, headers=headers)
        except httpx.TransportError as error:
            raise Later(f"YouTube cannot be reached: {type(error).__name__}") from error
        if response.status_code == 200:
            return response.json()  # type: ignore[no-any-return]
        reason = _reason(response)
        if response.status_code == 429 or reason in ("quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded"):
            raise RateLimited(retry_after(response.headers.get("Retry-After"), 60.0))
        if response.status_code in (401, 403, 404):
            raise Denied(
                f"YouTube says no ({response.status_code}, {reason or 'no reason given'}).", response.status_code
            )
        raise Later(f"YouTube answered {response.status_code}")

    def close(self) -> None:
        self._http.close()


def _thumbnail(snippet: dict[str, Any]) -> str:
    sizes = snippet.get("thumbnails") or {}
    for size in ("medium", "high", "default"):
        if size in sizes:
            return str(sizes[size]["url"])
    return ""


def _video(snippet: dict[str, Any]) -> VideoItem:
    return VideoItem(
        snippet["resourceId"]["videoId"], snippet["title"], snippet.get("description", ""), _thumbnail(snippet)
    )


def _reason(response: httpx.Response) -> str:
    """Google's short word for what is wrong."""
    try:
        return str(response.json()["error"]["errors"][0]["reason"])
    except (ValueError, LookupError, TypeError):
        return ""
