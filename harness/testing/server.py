"""A server of a language model on real sockets that answers what a test says."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias, TypeVar

__all__ = ["MODEL", "ChatHandler", "ChatServer", "completion", "serve_chat", "serving"]

MODEL = "m"
"""The one model that it serves."""

Answer: TypeAlias = Callable[[Mapping[str, Any]], str | tuple[int, object]]
S = TypeVar("S", bound="ChatServer")


class ChatHandler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of one connection as its ``ChatServer`` says."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for an acknowledgement
    server: ChatServer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests have output of their own."""

    def do_GET(self) -> None:
        """Which models are served."""
        self.send(200, {"data": [{"id": MODEL, "root": "somebody/weights", "owned_by": "test"}]})

    def do_POST(self) -> None:
        """Keep the request and answer it."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.reply(body)

    def reply(self, body: Mapping[str, Any]) -> None:
        """Send what the server's ``answer`` gives."""
        found = self.server.answer(body)
        if isinstance(found, str):
            self.send(200, completion(found))
        else:
            self.send(*found)

    def send(self, status: int, payload: object, **headers: str) -> None:
        """Send a payload as JSON."""
        self.send_bytes(status, json.dumps(payload).encode(), **headers)

    def send_bytes(self, status: int, data: bytes, **headers: str) -> None:
        """Send a body as it is."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class ChatServer(http.server.ThreadingHTTPServer):
    """Chat completions as OpenAI's interface has them, on a free port of this machine.

    Args:
        answer: From the body of a request to the text of the answer, or to a status and its
            payload.

    Attributes:
        bodies: Every request so far, in the order in which they came.
        handler: What answers requests; a subclass may have another.
    """

    daemon_threads = True
    request_queue_size = 128
    handler: ClassVar[type[ChatHandler]] = ChatHandler

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), self.handler)
        self.answer = answer
        self.bodies: list[Mapping[str, Any]] = []

    @property
    def url(self) -> str:
        """The base URL that ``--server`` takes."""
        return f"http://127.0.0.1:{self.server_port}/v1"


def completion(
    text: str | None, *, reason: str = "stop", refusal: str | None = None
) -> dict[str, Any]:
    """The payload of one finished answer."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return {"choices": [{"message": message, "finish_reason": reason}], "usage": usage}


@contextmanager
def serving(server: S) -> Iterator[S]:
    """The server, which answers until the block ends and is closed then."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serve_chat(answer: Answer) -> Iterator[ChatServer]:
    """A server that answers until the block ends. See ``ChatServer``."""
    with serving(ChatServer(answer)) as server:
        yield server
