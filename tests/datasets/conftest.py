"""A web server on this machine, and helpers, for the tests of the loaders."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class FileServer:
    """Serves bytes from a dict; can break off in the middle of a file, for good or a few times."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: dict[str, int] = {}
        self.requests: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.lstrip("/")
                server.requests.append(name)
                if name not in server.files:
                    self.send_error(404)
                    return
                content = server.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if server.breaks.get(name, 0) > 0:
                    server.breaks[name] -= 1
                    content = content[: len(content) // 2]
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A running server without files."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = FileServer()
    yield running
    running.stop()


@pytest.fixture
def dead_url(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address where nothing answers: what a machine without a network sees."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stopped = FileServer()
    stopped.stop()
    return stopped.url


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data home, never the user's."""
    home = tmp_path / "data-home"
    monkeypatch.setenv("SKABA_DATA", str(home))
    return home


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
