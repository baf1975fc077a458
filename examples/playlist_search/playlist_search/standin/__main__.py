"""Both stand-ins in one process: `python -m playlist_search.standin --redirect-uri URL`.

The first line that it prints has their addresses as JSON; it ends when its standard input does.
"""

from __future__ import annotations

import argparse
import json
import sys

from playlist_search.standin import google, youtube

PLAYLISTS_OF_GRACE = (youtube.Listed("PLgrace", "Compilers and other ships", range(40)),)


def main() -> None:
    """Serve until the standard input ends."""
    parser = argparse.ArgumentParser(description="Stand-ins for Google's sign-in and for YouTube on 127.0.0.1.")
    parser.add_argument("--redirect-uri", required=True, help="where the sign-in sends browsers back to")
    parser.add_argument("--client-id", default="playlist-search")
    parser.add_argument("--client-secret", default="known to both")
    parser.add_argument("--videos", type=int, default=1_000, help="in the largest playlist")
    parser.add_argument("--delay", type=float, default=1.5, help="seconds that a transcript takes")
    given = parser.parse_args()
    with google.serving(
        client_id=given.client_id, client_secret=given.client_secret, redirect_uri=given.redirect_uri
    ) as provider:
        with youtube.serving(tube(provider, given.videos, given.delay)) as served:
            print(json.dumps({"google": provider.issuer, "youtube": served.url, "api": served.api_url}), flush=True)
            sys.stdin.read()


def tube(provider: google.Provider, videos: int, delay: float) -> youtube.YouTube:
    """A YouTube that knows the provider's accounts, and that has its bad moments."""

    def account_of(token: str) -> str | None:
        account = provider.account_of(token)
        return None if account is None else account.name

    def playlists_of(account: str) -> tuple[youtube.Listed, ...]:
        if account == google.ACCOUNTS[0].name:
            return (youtube.Listed("PLall", "Everything I ever watched", range(videos)), *youtube.PLAYLISTS)
        return PLAYLISTS_OF_GRACE

    faults = youtube.Faults(silent_every=25, limited_every=90, flaky_every=70, garbled=frozenset(range(16, videos, 60)))
    return youtube.YouTube(playlists_of, account_of, delay=delay, faults=faults)


if __name__ == "__main__":
    main()
