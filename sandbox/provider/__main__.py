"""python -m sandbox.provider --directory DIR --endpoint URL: serve the engine until stdin closes or the parent dies."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from concurrent import futures
from pathlib import Path
from types import FrameType

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.clock import Clock
from sandbox.provider.server import Provider

WORKERS = 128  # an engine with PULUMI_PARALLEL=64 waits in many creates at once; a second one may run beside it


def serve(endpoint: str, project: Path, clock: Clock) -> tuple[grpc.Server, int]:
    """Start a server on the loopback interface; returns it and its port."""
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(endpoint, project, clock), server)
    bound = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, bound


def main() -> None:
    """Run until told to stop; writes DIR/provider.json when ready."""
    parser = argparse.ArgumentParser(prog="sandbox.provider", description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--endpoint", required=True)
    arguments = parser.parse_args()
    stop = threading.Event()

    def ask(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    directory = arguments.directory.absolute()
    server, port = serve(arguments.endpoint, directory / "project", Clock.of(directory))
    target = directory / "provider.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({"port": port, "pid": os.getpid()}))
    partial.rename(target)
    threading.Thread(target=_until_eof, args=(stop,), daemon=True).start()
    stop.wait()
    server.stop(grace=1).wait()
    os._exit(0)  # threads that still wait for the cloud must not hold the process


def _until_eof(stop: threading.Event) -> None:
    """The parent holds our standard input open: its end, however it comes, is ours."""
    while os.read(0, 4096):  # a thread inside sys.stdin would make Python abort at the end
        pass
    stop.set()


if __name__ == "__main__":
    main()
