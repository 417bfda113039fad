"""The server below the page: requests of bounded size and time, and so many at once.

Whoever connects holds a thread until the request has come and its answer is taken. A connection
that is idle is let go; a request has some seconds to begin with and then comes at some least rate;
more bytes than any request has are not read, however long it goes on. Further requests wait in the
system's queue.
"""

import io
import socket
import sys
import time
from threading import BoundedSemaphore
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

MOST_REQUESTS = 16  # at once; one browser opens six
_IDLE_S = 2.0  # until a request begins: browsers connect ahead of need, and each holds a thread
_FIRST_S = 20.0  # without being fast
_LEAST_RATE = 1 << 18  # bytes per second, from then on
_ANSWER_S = 60.0  # until an answer is taken
_HEAD_BYTES = 1 << 20  # of the lines before a body, at most


class BoundedServer(ThreadedWSGIServer):
    """Serves an application of werkzeug's kind from a socket that listens."""

    def __init__(self, app: Any, listening: socket.socket, most_body_bytes: int) -> None:
        """Prepare to serve.

        Args:
            app: the WSGI application.
            listening: where requests come.
            most_body_bytes: of a request's body; what exceeds it is not read.
        """
        host, port = listening.getsockname()[:2]
        super().__init__(host, port, app, handler=_Handler, fd=listening.fileno())
        self.most_bytes = most_body_bytes + _HEAD_BYTES
        self._free = BoundedSemaphore(MOST_REQUESTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a request as soon as there may be one more."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Body of the thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A request that is none is a line, not a traceback."""
        print(f"a request was not understood: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)


class _Handler(WSGIRequestHandler):
    """Says nothing of requests; failures are said by the application."""

    server: BoundedServer

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Arriving(self.connection, self.server.most_bytes))

    def log(self, type: str, message: str, *args: object) -> None:
        pass


class _Arriving(io.RawIOBase):
    """What comes through a connection, until it is too much or too slow."""

    def __init__(self, connection: socket.socket, most_bytes: int) -> None:
        self._connection, self._most = connection, most_bytes
        self._came, self._began_s = 0, time.monotonic()
        connection.settimeout(_ANSWER_S)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """As of any stream; it ends after the most bytes.

        Raises:
            TimeoutError: the request comes too slowly.
        """
        room = memoryview(buffer)[: self._most - self._came]
        if not room:
            return 0
        allowed_s = _FIRST_S + self._came / _LEAST_RATE if self._came else _IDLE_S
        until_s = self._began_s + allowed_s
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the request comes too slowly")
        self._connection.settimeout(left_s)
        try:
            count = self._connection.recv_into(room)
        finally:
            self._connection.settimeout(_ANSWER_S)  # the same socket takes the answer
        self._came += count
        return count
