"""A WebSocket server on the loopback that does, connection by connection, what a script says."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

# No test waits for longer, in seconds.
LIMIT = 20.0


@dataclass(frozen=True)
class Answer:
    """Answers the request with a status in place of a stream."""

    status: str
    headers: str = ""


@dataclass(frozen=True)
class Close:
    """Closes the WebSocket with a code."""

    code: int = 1001


@dataclass(frozen=True)
class Drop:
    """Ends the connection without a word."""


@dataclass(frozen=True)
class Gate:
    """Waits until the test opens the gate."""


Step = bytes | Answer | Close | Drop | Gate


@dataclass
class Server:
    """Serves each connection by the next part of the script; the last part is for all that follow.

    A connection whose steps are done stays open.
    """

    script: Sequence[Sequence[Step]]
    requests: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    closed: list[threading.Event] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.gate.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive()

    @property
    def cursors(self) -> list[int | None]:
        """What each request asked for."""
        found: list[int | None] = []
        for request in self.requests:
            query = request.partition("?")[2].split("&")
            asked = [pair.partition("=")[2] for pair in query if pair.startswith("cursor=")]
            found.append(int(asked[0]) if asked else None)
        return found

    def _accept(self) -> None:
        number = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(connection)
            closed = threading.Event()
            self.closed.append(closed)
            steps = self.script[min(number, len(self.script) - 1)]
            number += 1
            thread = threading.Thread(
                target=self._serve, args=(connection, steps, closed), daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _serve(
        self, connection: socket.socket, steps: Sequence[Step], closed: threading.Event
    ) -> None:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                got = connection.recv(4096)
                if not got:
                    return
                head += got
            lines = head.decode().split("\r\n")
            self.requests.append(lines[0].split()[1])
            if steps and isinstance(steps[0], Answer):
                answer = steps[0]
                connection.sendall(
                    f"HTTP/1.1 {answer.status}\r\n{answer.headers}content-length: 0\r\n\r\n".encode()
                )
                connection.shutdown(socket.SHUT_RDWR)
                return
            keys = [
                line.split(": ", 1)[1]
                for line in lines
                if line.lower().startswith("sec-websocket-key")
            ]
            token = keys[0].strip() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(token.encode()).digest()).decode()
            connection.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                f"sec-websocket-accept: {accept}\r\n\r\n".encode()
            )
            for step in steps:
                if isinstance(step, bytes):
                    connection.sendall(websocket(0x82, step))
                elif isinstance(step, Close):
                    connection.sendall(websocket(0x88, struct.pack(">H", step.code)))
                elif isinstance(step, Gate):
                    self.gate.wait(LIMIT)
                elif isinstance(step, Drop):
                    connection.shutdown(socket.SHUT_RDWR)
                    return
            while connection.recv(4096):
                pass
        except OSError:
            pass
        finally:
            closed.set()


def websocket(first: int, payload: bytes) -> bytes:
    """A frame of the WebSocket protocol, not masked."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    if size < 1 << 16:
        return bytes([first, 126]) + size.to_bytes(2, "big") + payload
    return bytes([first, 127]) + size.to_bytes(8, "big") + payload


def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
