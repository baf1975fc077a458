"""For a WSGI server: `gunicorn video_analysis.wsgi:app`."""

from video_analysis import create_app

app = create_app()
