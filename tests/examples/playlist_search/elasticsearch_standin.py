"""A stand-in for Elasticsearch that knows the requests the program makes, as the reference describes them, refuses any
other, and answers from what was put in. It is no Elasticsearch: it shows that the requests are well formed and carry
what they are to carry, not that a real server ranks well."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MEDIA = "application/vnd.elasticsearch+{}; compatible-with=9"
API_KEY = "of the tests"


class Wrong(Exception):
    """A request that Elasticsearch would refuse, or that this stand-in does not know."""


def only(given: dict[str, Any], *known: str) -> None:
    if unknown := set(given) - set(known):
        raise Wrong(f"unknown: {', '.join(sorted(unknown))}")


def one(given: dict[str, Any]) -> tuple[str, Any]:
    if len(given) != 1:
        raise Wrong(f"a query has one name, not {len(given)}")
    return next(iter(given.items()))


Document = dict[str, Any]  # as it was put in


def scored(query: dict[str, Any], name: str, document: Document) -> float:
    """How well a document fits; 0: not at all."""
    kind, body = one(query)
    if kind == "bool":
        only(body, "must", "filter", "must_not")
        wanted = [scored(each, name, document) for each in [*body.get("must", []), *body.get("filter", [])]]
        unwanted = any(scored(each, name, document) for each in body.get("must_not", []))
        return 0.0 if unwanted or not all(wanted) else sum(wanted) or 1.0
    if kind == "dis_max":
        only(body, "queries", "tie_breaker")
        return max(scored(each, name, document) for each in body["queries"])
    if kind == "ids":
        only(body, "values")
        return float(name in body["values"])
    if kind == "terms":
        field, values = one(body)
        if not isinstance(values, list) or len(values) > 65_536:
            raise Wrong("terms takes a list of at most 65,536")
        return 1.0 if document[field] in values else 0.0
    field, how = one(body)
    if kind == "term":
        if not isinstance(how, dict):
            return 1.0 if document[field] == how else 0.0
        only(how, "value", "boost")
        return float(how["boost"] * document[field].split().count(how["value"]))
    if kind == "match_phrase_prefix":
        only(how, "query", "boost", "max_expansions")
        if len(how["query"].split()) != 1:
            raise Wrong("this stand-in has no phrases")
        return float(how["boost"] * sum(word.startswith(how["query"]) for word in document[field].split()))
    raise Wrong(f"unknown query {kind}")


class Elasticsearch:
    """The one index that there is."""

    def __init__(self) -> None:
        self.url = ""
        self.mappings: dict[str, Any] | None = None
        self.documents: dict[str, Document] = {}
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        ways: dict[tuple[str, str], Callable[[dict[str, str], Any], tuple[int, Any]]] = {
            ("HEAD", "/passages"): self.exists,
            ("PUT", "/passages"): self.create,
            ("PUT", "/_bulk"): self.bulk,
            ("POST", "/_bulk"): self.bulk,
            ("POST", "/passages/_delete_by_query"): self.delete,
            ("POST", "/passages/_search"): self.search,
        }
        if (method, path) not in ways:
            raise Wrong(f"no such request: {method} {path}")
        with self.lock:
            return ways[method, path](asked, body)

    def exists(self, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        return (404 if self.mappings is None else 200), None

    def create(self, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        only(body, "mappings")
        only(body["mappings"], "dynamic", "properties")
        if self.mappings is not None:
            return 400, {"error": {"type": "resource_already_exists_exception"}, "status": 400}
        self.mappings = body["mappings"]["properties"]
        return 200, {"acknowledged": True, "shards_acknowledged": True, "index": "passages"}

    def bulk(self, asked: dict[str, str], lines: list[Any]) -> tuple[int, Any]:
        only(asked, "refresh")
        assert self.mappings is not None
        items = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            kind, head = one(action)
            if kind != "index" or set(head) != {"_index", "_id"} or head["_index"] != "passages":
                raise Wrong(f"unknown action {action}")
            if unmapped := set(document) - set(self.mappings):
                raise Wrong(f"strict_dynamic_mapping_exception: {unmapped}")
            self.documents[head["_id"]] = document
            items.append({"index": {"_id": head["_id"], "status": 201}})
        return 200, {"errors": False, "took": 1, "items": items}

    def delete(self, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        only(asked, "refresh", "conflicts")
        only(body, "query")
        gone = [name for name, document in self.documents.items() if scored(body["query"], name, document)]
        for name in gone:
            del self.documents[name]
        return 200, {"deleted": len(gone), "failures": []}

    def search(self, asked: dict[str, str], body: Any) -> tuple[int, Any]:
        only(asked, "_source_includes")
        only(body, "query", "size", "collapse")
        found = [(scored(body["query"], name, document), name) for name, document in self.documents.items()]
        ranked = sorted(((score, name) for score, name in found if score), reverse=True)
        best: dict[str, tuple[float, str]] = {}
        for score, name in ranked:
            best.setdefault(self.documents[name][body["collapse"]["field"]], (score, name))
        fields = asked["_source_includes"].split(",")
        hits = [
            {
                "_index": "passages",
                "_id": name,
                "_score": score,
                "_source": {field: self.documents[name][field] for field in fields},
            }
            for score, name in list(best.values())[: body["size"]]
        ]
        return 200, {"took": 1, "timed_out": False, "hits": {"hits": hits}}


def handler(elasticsearch: Elasticsearch) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            where = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(where.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            try:
                if self.headers.get("Authorization") != f"ApiKey {API_KEY}":
                    raise Wrong("no API key")
                status, answer = elasticsearch.answer(self.command, where.path, asked, self.read(where.path, body))
            except Wrong as error:
                status, answer = 400, {"error": {"type": "parsing_exception", "reason": str(error)}, "status": 400}
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", MEDIA.format("json"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = serve

        def read(self, path: str, body: bytes) -> Any:
            kind = "x-ndjson" if path == "/_bulk" else "json"
            given = self.headers.get("Content-Type", "").replace(";c", "; c")
            if body and given != MEDIA.format(kind):
                raise Wrong(f"content type {given}")
            if kind == "json":
                return json.loads(body) if body else None
            return [json.loads(line) for line in body.splitlines()]

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving() -> Iterator[Elasticsearch]:
    """The stand-in on a free port of 127.0.0.1."""
    elasticsearch = Elasticsearch()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(elasticsearch))
    server.daemon_threads = True
    elasticsearch.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield elasticsearch
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
