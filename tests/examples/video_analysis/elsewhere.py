"""Servers on loopback in place of the rest of the world: a host of videos, and an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import threading
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], Answer]) -> Iterator[str]:
    """A server that answers each request as `answer` says; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers and "X-No-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except ConnectionError:
                pass  # the other side has seen enough

        do_POST = do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Videos:
    """A host of videos: `files` by path, `answers` for everything else. Set `url` to where it is."""

    files: dict[str, Path] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    """Answers by path, each given once, before the file is."""
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        self.asked.append(request.path)
        if waiting := self.answers.get(request.path):
            return waiting.pop(0)
        if request.path in self.files:
            return 200, {"Content-Type": "video/mp4"}, self.files[request.path].read_bytes()
        return 404, {}, b""


@contextmanager
def host_of_videos() -> Iterator[Videos]:
    videos = Videos()
    with serving(videos.answer) as videos.url:
        yield videos


@dataclass
class Endpoint:
    """An OpenAI-compatible endpoint that checks what it is asked, and says what it is told to say."""

    key: str = "sk-test"
    says: list[str] = field(default_factory=lambda: ["We sell more boats than ever.", "We will build new boats."])
    """What it hears in the first piece, in the second … and in all further ones the last."""
    refusals: list[Answer] = field(default_factory=list)
    """Given before anything else, each once."""
    timed: bool = True
    """With the times of segments."""
    analysis: str = '{"summary": "It is about boats.", "key_phrases": ["boats", "new boats"]}'
    asked: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What was wrong with the requests."""
    url: str = ""
    _heard: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            if self.refusals:
                return self.refusals.pop(0)
            try:
                return 200, {"Content-Type": "application/json"}, json.dumps(self._reply(request, body)).encode()
            except AssertionError as error:
                self.wrong.append(f"{request.path}: {error}")
                return 400, {"Content-Type": "application/json"}, b'{"error": {"message": "that is wrong"}}'

    def _reply(self, request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
        assert request.headers["Authorization"] == f"Bearer {self.key}", "the key"
        assert request.command == "POST", request.command
        if request.path == "/v1/audio/transcriptions":
            return self._transcribed(fields_of(request.headers["Content-Type"], body))
        assert request.path == "/v1/chat/completions", request.path
        asked = json.loads(body)
        assert asked["response_format"] == {"type": "json_object"}, asked["response_format"]
        assert [one["role"] for one in asked["messages"]] == ["system", "user"], asked["messages"]
        self.asked.append(asked)
        message = {"role": "assistant", "content": self.analysis}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {"id": "1", "object": "chat.completion", "created": 0, "model": asked["model"], "choices": [choice]}

    def _transcribed(self, fields: dict[str, bytes]) -> dict[str, Any]:
        assert set(fields) == {"file", "model", "response_format"}, sorted(fields)
        assert fields["response_format"] == b"verbose_json", fields["response_format"]
        with wave.open(BytesIO(fields["file"])) as sound:
            assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (1, 16000, 2), "the sound"
            seconds = sound.getnframes() / 16000
        self.asked.append({"model": fields["model"].decode(), "seconds": seconds})
        text = self.says[min(self._heard, len(self.says) - 1)]
        self._heard += 1
        reply: dict[str, Any] = {"task": "transcribe", "language": "english", "duration": seconds, "text": text}
        if self.timed:
            numbers = {"seek": 0, "temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 1.0}
            part = {"id": 0, "start": 0.5, "end": 1.5, "text": f" {text}", "tokens": [], "no_speech_prob": 0.0}
            reply["segments"] = [{**part, **numbers}] if text else []
        return reply


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    with serving(made.answer) as url:
        made.url = f"{url}/v1"
        yield made


def fields_of(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart/form-data request."""
    whole = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    assert whole.get_content_type() == "multipart/form-data", whole.get_content_type()
    found = {}
    for part in whole.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[str(part.get_param("name", header="Content-Disposition"))] = content
    return found
