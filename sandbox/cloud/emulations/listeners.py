"""The sockets of the emulated load balancers: one loopback port for each listener, TLS where AWS has TLS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from sandbox.cloud.emulations.endpoints import Request, Response

Answer = Callable[[Request], Response | None]  # None: the packet was dropped, nobody answers
MAX_BODY_BYTES = 1_000_000
CLIENT_TIMEOUT_SECONDS = 10.0


class Listener(ThreadingHTTPServer):
    """Answers HTTP(S) on 127.0.0.1 with `answer` until `close`. `port` 0 takes any free port."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, answer: Answer, aws_port: int, context: ssl.SSLContext | None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.aws_port = aws_port
        self.scheme = "https" if context else "http"
        self._context = context
        self._thread = threading.Thread(target=self.serve_forever, args=(0.2,), name="alb", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The loopback port."""
        return int(self.server_address[1])

    def get_request(self) -> tuple[Any, Any]:
        """Accept; the TLS handshake happens later, on the connection's own thread."""
        connection, address = super().get_request()
        connection.settimeout(CLIENT_TIMEOUT_SECONDS)
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away or fails the handshake is its own affair."""

    def close(self) -> None:
        """Stop listening; new connections are refused from now on."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection: reads a request, lets the load balancer answer it, closes."""

    protocol_version = "HTTP/1.1"
    server: Listener

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.close_connection = True
        if length > MAX_BODY_BYTES:
            self._send(Response(413), "awselb/2.0")
            return
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            host=self.headers.get("Host", ""),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
            scheme=self.server.scheme,
            port=self.server.aws_port,
        )
        response = self.server.answer(request)
        if response is not None:
            self._send(response, "awselb/2.0")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names set by the base class

    def _send(self, response: Response, server: str) -> None:
        head = {
            "Server": server,
            "Content-Type": response.content_type,
            "Content-Length": str(len(response.body)),
            "Connection": "close",
            **response.headers,
        }
        lines = [f"HTTP/1.1 {response.status} {responses.get(response.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in head.items()]
        body = b"" if self.command == "HEAD" else response.body
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)

    def log_message(self, format: str, *args: Any) -> None:
        """No access log."""
