"""Everything on this computer with one command, nothing to set and no network: `python -m video_analysis.offline`.

The web server, both fleets of workers, and a site with a sample video. Databases and files are in one folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from video_analysis import db, migrations, passwords, sample
from video_analysis.processes import Died, Processes, stopping
from video_analysis.settings import Settings

EMAIL, PASSWORD = "demo@example.com", "try it offline"


def main(arguments: list[str] | None = None) -> int:
    """Run until Ctrl-C. Exit code 1 when a program died."""
    asked = _parser().parse_args(arguments)
    with stopping(signal.SIGTERM, signal.SIGINT), _folder(asked.folder) as folder:
        try:
            _run(folder, asked.port)
        except KeyboardInterrupt:
            print("\nStopped.")
        except Died as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def _run(folder: Path, port: int) -> None:
    """Start everything, say where it is, and watch over it."""
    address = f"127.0.0.1:{free_port(port)}"
    environment = {
        "VIDEO_ANALYSIS_DATA": str(folder),
        "PUBLIC_URL": f"http://{address}",
        "ALLOW_PRIVATE_URLS": "1",  # the sample's site is on this computer
        "DATABASE_URL": "",
        "SMALLAGE_URL": "",
    }
    settings = Settings.read({**os.environ, **environment})
    db.connect_to(settings.database_url)
    migrations.upgrade()
    passwords.register(settings, EMAIL, PASSWORD, "offline")
    db.disconnect()
    videos = folder / "videos"
    videos.mkdir(exist_ok=True)
    with sample.site(videos) as site, Processes(folder, environment) as processes:
        processes.worker("worker-net", "net", "-P", "threads", "-c", "8", "--shutdown-timeout", "5")
        processes.worker("worker-cpu", "cpu", "-P", "processes", "--shutdown-timeout", "5")
        processes.web(address, "--threads", "32", "--graceful-timeout", "2")
        _tell(address, folder, _sample(videos, site))
        while True:
            time.sleep(1)
            processes.check()


def _sample(videos: Path, site: str) -> str:
    try:
        return f"{site}/{sample.make(videos).name}"
    except LookupError as missing:
        return f"({missing} Submit a file of yours.)"


def _tell(address: str, folder: Path, video: str) -> None:
    print(f"Open           http://{address}/")
    print(f"Log in as      {EMAIL}   password: {PASSWORD}")
    print(f"Sample video   {video}")
    print(f"Files and logs {folder}")
    print("Ctrl-C stops everything.", flush=True)


@contextlib.contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder to use: the one that is given, which stays, or one for this time only."""
    if given is not None:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield given.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="video-analysis-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def free_port(wanted: int) -> int:
    """`wanted` if nobody uses it, else another."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("There is no free port.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="video-analysis", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="of the web server; another one if it is taken")
    parser.add_argument("--folder", type=Path, help="keeps everything; without it, it is gone at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
