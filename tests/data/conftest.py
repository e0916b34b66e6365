"""A web server on the loopback interface that misbehaves as told, for the download tests."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Fault = Callable[[BaseHTTPRequestHandler, bytes], None]


class FaultServer:
    """Serves `bodies`; the first requests of a path meet its `faults`, one each."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, str | None, float]] = []
        self.supports_ranges = True
        self.etag: str | None = '"1"'
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self, path: str, body: bytes, *faults: Fault) -> str:
        self.bodies[path], self.faults[path] = body, list(faults)
        return self.url + path

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of every request for `path`, in order."""
        return [range_ for asked, range_, _ in self.requests if asked == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(server) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with server._lock:
                    server.requests.append((self.path, self.headers.get("Range"), time.monotonic()))
                    pending = server.faults.get(self.path, [])
                    fault = pending.pop(0) if pending else server.answer
                self.close_connection = True
                with suppress(BrokenPipeError, ConnectionResetError):
                    fault(self, server.bodies.get(self.path, b""))

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """The healthy answer: whole, or the rest after a Range header."""
        if handler.path not in self.bodies:
            return self.status(404)(handler, body)
        start = 0
        asked = handler.headers.get("Range")
        fresh = handler.headers.get("If-Range") == self.etag
        if asked is not None and fresh and self.supports_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.finish_headers(handler, len(body) - start)
        handler.wfile.write(body[start:])
        return None

    def finish_headers(self, handler: BaseHTTPRequestHandler, length: int) -> None:
        handler.send_header("Content-Length", str(length))
        if self.etag is not None:
            handler.send_header("ETag", self.etag)
        handler.end_headers()

    def cut(self, after: int, *, stated: int | None = None, pause: float = 0.0) -> Fault:
        """Announce the whole (or `stated`) length and stop, after a pause, after some bytes."""

        def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            handler.send_response(200)
            self.finish_headers(handler, len(body) if stated is None else stated)
            handler.wfile.write(body[:after])
            handler.wfile.flush()
            time.sleep(pause)

        return fault

    def dribble(self, step: int, pause: float, seconds: float) -> Fault:
        """Send a few bytes at a time, for a bounded while."""

        def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            handler.send_response(200)
            self.finish_headers(handler, len(body))
            for index in range(int(seconds / pause)):
                handler.wfile.write(body[index * step : (index + 1) * step])
                handler.wfile.flush()
                time.sleep(pause)

        return fault

    def status(self, code: int, **headers: str) -> Fault:
        """Answer with a status and headers (`Retry_After` for `Retry-After`) and no body."""

        def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
            handler.send_response(code)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        return fault


@pytest.fixture
def fault_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FaultServer()
    yield server
    server.close()
