"""The way to the public internet: an HTTP proxy (CONNECT) that knows the names in the emulated hosted zones, and those
of emulated hosts outside of AWS.

With HTTPS_PROXY set to the cloud's address, any program reaches the platform under its public name as people do: the
name is resolved by the emulated Route 53 at that moment, TLS runs between the program and the load balancer.
"""

from __future__ import annotations

import select
import socket
from typing import Any, NoReturn

from sandbox.cloud.context import BadRequest, Cloud

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
NO_SUCH_NAME = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
IDLE_SECONDS = 60.0  # real
CHUNK = 65536


def carry(cloud: Cloud, environ: dict[str, Any]) -> NoReturn:
    """Serve one CONNECT request on its socket to the end."""
    client: socket.socket = environ["werkzeug.socket"]
    host, _, port = str(environ["REQUEST_URI"]).partition(":")
    try:
        target = _connect(cloud, host, port)
    except (BadRequest, OSError) as error:
        client.sendall(NO_SUCH_NAME)
        _end(client, f"no way to {host}:{port}: {error}")
    with target:
        client.sendall(ESTABLISHED)
        _exchange(client, target)
    _end(client, f"tunnel to {host}:{port} ended")


def _connect(cloud: Cloud, host: str, port: str) -> socket.socket:
    resolve = cloud.handler("GET", "resolve")
    if resolve is None or port != "443":
        raise BadRequest("only HTTPS to what is emulated")
    if host in cloud.hosts:
        return socket.create_connection(("127.0.0.1", cloud.hosts[host]), timeout=IDLE_SECONDS)
    found = resolve({"name": host})
    if found["port"] is None:
        raise BadRequest("nobody listens")
    return socket.create_connection((found["address"], found["port"]), timeout=IDLE_SECONDS)


def _exchange(client: socket.socket, target: socket.socket) -> None:
    """Copy both ways until one side ends."""
    other = {client: target, target: client}
    while True:
        ready, _, _ = select.select([client, target], [], [], IDLE_SECONDS)
        if not ready:
            return
        for side in ready:
            data = side.recv(CHUNK)
            if not data:
                return
            other[side].sendall(data)


def _end(client: socket.socket, why: str) -> NoReturn:
    client.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError(why)  # the server takes it as a client that went away
