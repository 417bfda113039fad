"""Laws of the sockets below the page: slow and endless requests end, others are answered."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from evaluation.simulation.page import server as served
from evaluation.simulation.page.server import BoundedServer

MOST = 1 << 16


@Request.application
def echo(request: Request) -> Response:
    """Says how long a body is."""
    return Response(str(len(request.get_data())))


@contextlib.contextmanager
def serving(app: Any = echo) -> Iterator[int]:
    """The port of a server in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = BoundedServer(app, listening, MOST)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.shutdown()
            thread.join(30)


def answer_to(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """What comes back for what is sent piece by piece; the server may end it at any time."""
    came = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                came += piece
    return came


def posted(length: int) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_request_is_answered_and_its_connection_ends() -> None:
    with serving() as port:
        answer = answer_to(port, posted(5000), b"a" * 5000)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n5000")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"G"] * 40,  # a head without end, a byte at a time
        [b"GET / HTTP/1.1\r\n"] + [b"A: b\r\n"] * 40,
        [posted(1000)] + [b"a"] * 40,
        [],  # nothing at all
    ],
)
def test_a_slow_request_ends_though_every_byte_comes_in_time(
    pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "_FIRST_S", 0.2)
    monkeypatch.setattr(served, "_IDLE_S", 0.2)
    with serving() as port:
        began = time.monotonic()
        answer = answer_to(port, *pieces, pause_s=0.02)
        assert time.monotonic() - began < 10, "the server's choice, not the client's 30 s"
        assert b"200" not in answer[:20]
        assert answer_to(port, posted(1), b"a").endswith(b"1")


def test_connections_that_ask_for_nothing_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "MOST_REQUESTS", 2)
    monkeypatch.setattr(served, "_IDLE_S", 0.2)
    with serving() as port, contextlib.ExitStack() as idle:
        for _ in range(4):
            idle.enter_context(socket.create_connection(("127.0.0.1", port)))
        began = time.monotonic()
        assert answer_to(port, posted(1), b"a").endswith(b"1")
        assert time.monotonic() - began < 10, "half of what a request has to begin with"


def test_what_comes_fast_enough_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "_FIRST_S", 0.2)
    monkeypatch.setattr(served, "_LEAST_RATE", 1000)
    with serving() as port:
        answer = answer_to(port, posted(6000), *[b"a" * 1000] * 6, pause_s=0.1)
    assert answer.endswith(b"6000")


def test_an_endless_request_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application reads none of it; the server would, so that the client sees the answer."""
    monkeypatch.setattr(served, "_HEAD_BYTES", 0)
    sent = 0
    refuse = Response("too much", 413)
    with (
        serving(refuse) as port,
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
    ):
        connection.sendall(posted(1 << 40))
        with contextlib.suppress(ConnectionError):
            while sent < 1 << 28:
                sent += connection.send(bytes(1 << 16))
    assert sent < 1 << 28


def test_no_more_requests_are_at_work_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "MOST_REQUESTS", 3)
    lock, counts, most = threading.Lock(), [0], [0]

    @Request.application
    def slow(_: Request) -> Response:
        with lock:
            counts[0] += 1
            most[0] = max(most[0], counts[0])
        time.sleep(0.05)
        with lock:
            counts[0] -= 1
        return Response("done")

    answers = []
    with serving(slow) as port:
        threads = [
            threading.Thread(target=lambda: answers.append(answer_to(port, posted(0))))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert most[0] == 3
    assert len(answers) == 10
    assert all(answer.endswith(b"done") for answer in answers)


@pytest.mark.parametrize(
    "request_line",
    [
        b"",
        b"\x00\xff\n",
        b"GET",
        b"GET http://[ HTTP/1.1",
        b"GET / HTTP/9.9",
        b"GET " + b"a" * 70_000,
    ],
)
def test_what_is_no_request_is_no_traceback(
    request_line: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving() as port:
        answer_to(port, request_line + b"\r\n\r\n")
        assert answer_to(port, posted(1), b"a").endswith(b"1")
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert not re.search(r"\n.", told), "a line at most"
