"""A web service on loopback that programs call, and that holds its answers back until the test lets them go."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

PATIENCE = 40.0


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that was killed is no fault of the service."""


class Api:
    """Counts who calls and how many wait at once; `let_go` answers them and all later ones."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        """What was asked for, in order."""
        self.most_at_once = 0
        self._waiting = 0
        self._open = False
        self._changed = threading.Condition()
        self.refuse: dict[str, int] = {}
        """Path → how many more calls of it are answered by 503."""
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_for(self, calls: int) -> None:
        """Block until so many calls have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.paths) >= calls, PATIENCE), f"calls: {self.paths}"

    def let_go(self) -> None:
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def __enter__(self) -> Api:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _called(self, path: str) -> int:
        """The status of the answer, once it may go out."""
        with self._changed:
            self.paths.append(path)
            self._waiting += 1
            self.most_at_once = max(self.most_at_once, self._waiting)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._open, PATIENCE)
            self._waiting -= 1
            left = self.refuse.get(path, 0)
            self.refuse[path] = left - 1
            return 503 if left > 0 else 200

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        called = self._called

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = called(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(self.path)))
                self.end_headers()
                self.wfile.write(self.path.encode())

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
