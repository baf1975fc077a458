"""The pages. Each form works by itself, as a post that leads back to its page; static/*.js make them lively."""

from __future__ import annotations

from flask import Blueprint, Flask, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from playlist_search import live, runs, search, services, shelf
from playlist_search.accounts import login_required, safe_next, signed_in, signed_in_or_none
from playlist_search.errors import Conflict, wants_page
from playlist_search.runs import Progress, Run
from playlist_search.settings import YOUTUBE_WATCH_URL
from playlist_search.shelf import PlaylistInfo

blueprint = Blueprint("pages", __name__)

HITS = 20
LONGEST_QUERY = 200


def init_app(app: Flask) -> None:
    """Bind the pages to an application."""
    app.register_blueprint(blueprint)
    app.add_template_filter(clock)
    app.add_template_filter(watch_link)


@blueprint.get("/health")
def health() -> ResponseReturnValue:
    """For whoever watches over the process."""
    return "ok\n", {"Content-Type": "text/plain"}


@blueprint.get("/")
def start() -> ResponseReturnValue:
    """The start page; who has logged in goes on to the playlists."""
    following = safe_next(request.args.get("next"))
    if signed_in_or_none() is not None:
        return redirect(url_for("pages.playlists"))
    return render_template("welcome.html", next=following)


# -- playlists ----------------------------------------------------------------------------------------------------
@blueprint.get("/playlists")
@login_required
def playlists() -> ResponseReturnValue:
    """The user's playlists."""
    return render_template("playlists.html", playlists=shelf.playlists(signed_in().id))


@blueprint.post("/playlists")
@login_required
def refresh_playlists() -> ResponseReturnValue:
    """Ask YouTube for the playlists anew."""
    shelf.playlists(signed_in().id, fresh=True)
    return redirect(url_for("pages.playlists"), 303)


@blueprint.get("/playlists/<playlist_id>")
@login_required
def playlist(playlist_id: str) -> ResponseReturnValue:
    """A playlist, its run, and the videos that failed in it."""
    info = _playlist(playlist_id)
    run = runs.current(signed_in().id, playlist_id)
    shot = runs.progress(run) if run is not None else None
    shown = live.as_json(shot or Progress("waiting", 0, 0, 0, 0, 0, None))
    return render_template("playlist.html", playlist=info, progress=shot, shown=shown, **_failures(playlist_id, run))


@blueprint.post("/playlists/<playlist_id>/runs")
@login_required
def start_indexing(playlist_id: str) -> ResponseReturnValue:
    """Start a run, or join the one that is under way. Nothing is fetched here: the foreman task does that."""
    try:
        run = runs.start(signed_in().id, playlist_id, forced=request.form.get("forced") == "yes")
    except LookupError:
        abort(404)
    return _accepted(run)


@blueprint.post("/playlists/<playlist_id>/retry")
@login_required
def retry_failed(playlist_id: str) -> ResponseReturnValue:
    """Try all failed videos again."""
    run = _run(playlist_id)
    if not runs.failures(run):
        raise Conflict("No video has failed, or all of them are being tried again already.")
    return _accepted(runs.retry_failed(run))


@blueprint.post("/playlists/<playlist_id>/videos/<video_id>/retry")
@login_required
def retry_video(playlist_id: str, video_id: str) -> ResponseReturnValue:
    """Try one failed video again."""
    return _accepted(runs.retry_video(_run(playlist_id), video_id))


@blueprint.get("/playlists/<playlist_id>/failures")
@login_required
def failures(playlist_id: str) -> ResponseReturnValue:
    """The failed videos alone, for the script."""
    return render_template("_failures.html", **_failures(playlist_id, _run(playlist_id)))


# -- search -------------------------------------------------------------------------------------------------------
@blueprint.get("/search")
@login_required
def results() -> ResponseReturnValue:
    """The search page; for the script, its list of results alone."""
    text = request.args.get("q", "").strip()[:LONGEST_QUERY]
    hits = search.find(signed_in().id, text, HITS) if text else []
    shown = {"text": text, "hits": hits, "limit": HITS}
    if not wants_page():
        return render_template("_hits.html", **shown)
    return render_template("search.html", longest=LONGEST_QUERY, **shown)


def clock(second: int) -> str:
    """65 → 1:05, 3665 → 1:01:05."""
    minutes, seconds = divmod(second, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def watch_link(url: str) -> str:
    """A video's address; a stand-in for YouTube shows its videos itself."""
    return services.current().settings.youtube_watch_url + url.removeprefix(YOUTUBE_WATCH_URL)


def _playlist(playlist_id: str) -> PlaylistInfo:
    """One of the user's playlists; answers 404 for any other."""
    user_id = signed_in().id
    info = shelf.playlist(user_id, playlist_id)
    if info is None:
        shelf.playlists(user_id)  # a link that was kept may be older than what is known here
        info = shelf.playlist(user_id, playlist_id)
    if info is None:
        abort(404)
    return info


def _run(playlist_id: str) -> Run:
    run = runs.current(signed_in().id, playlist_id)
    if run is None:
        abort(404)
    return run


def _failures(playlist_id: str, run: Run | None) -> dict[str, object]:
    """What `_failures.html` shows: a page of the failed videos, and whether there are more."""
    page = max(1, request.args.get("page", 1, type=int))
    failed = runs.failures(run, page) if run is not None else []
    more = run is not None and len(failed) == runs.PAGE and bool(runs.failures(run, page + 1))
    return {"failed": failed, "playlist_id": playlist_id, "page": page, "more": more}


def _accepted(run: Run) -> ResponseReturnValue:
    """202 with how it stands, or the way back to the page."""
    if wants_page():
        flash("Indexing has started.")
        return redirect(url_for("pages.playlist", playlist_id=run.playlist_id), 303)
    shown = live.as_json(runs.progress(run))
    return jsonify(run=run.id, playlist=run.playlist_id, progress=shown), 202
