"""yt-dlp, with each of its connections under a `Guard`."""

from __future__ import annotations

import urllib.request
from http.client import HTTPConnection
from typing import Any

import yt_dlp
from yt_dlp.networking._urllib import HTTPHandler, RedirectHandler, UrllibRH
from yt_dlp.networking.exceptions import HTTPError

from video_analysis.steps.guard import Guard


def guarded_downloader(guard: Guard, options: dict[str, Any]) -> Any:
    """A `YoutubeDL` that can fetch from http and https alone, over connections that `guard` makes: those of redirects
    and of everything that an extractor asks for among them. Use it in a `with` block."""

    answers: list[Any] = []

    class Connecting(HTTPHandler):  # type: ignore[misc]
        """Makes connections by `guard.connect`."""

        def do_open(self, http_class: Any, req: Any, **more: Any) -> Any:
            def connection(*args: Any, **named: Any) -> HTTPConnection:
                made: Any = http_class(*args, **named)
                made._create_connection = guard.connect
                return made  # type: ignore[no-any-return]

            return super().do_open(connection, req, **more)

    class GuardedRH(UrllibRH):  # type: ignore[misc]
        """yt-dlp's way of sending requests by the standard library, without proxies, ftp, data and file URLs."""

        _SUPPORTED_URL_SCHEMES = ("http", "https")

        def _create_instance(self, proxies: Any, cookiejar: Any, legacy_ssl_support: Any = None) -> Any:
            opener = urllib.request.OpenerDirector()
            for handler in (
                Connecting(context=self._make_sslcontext(legacy_ssl_support=legacy_ssl_support)),
                urllib.request.HTTPCookieProcessor(cookiejar),
                urllib.request.UnknownHandler(),
                urllib.request.HTTPDefaultErrorHandler(),
                urllib.request.HTTPErrorProcessor(),
                RedirectHandler(),
            ):
                opener.add_handler(handler)
            opener.addheaders = []
            return opener

        def _send(self, request: Any) -> Any:
            guard.check_url(request.url)
            try:
                answer = super()._send(request)
            except HTTPError as error:
                answers.append(error.response)
                raise
            answers.append(answer)
            return answer

        def close(self) -> None:
            """Close what an extractor, or an error, has left open."""
            for answer in answers:
                answer.close()
            super().close()

    class Downloader(yt_dlp.YoutubeDL):  # type: ignore[misc]
        def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
            return super().build_request_director([GuardedRH])

    return Downloader(options)
