"""A server on real sockets that does whatever a test needs: answers, stalls, breaks, goes away."""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import threading
import time

from harness.testing.server import ChatHandler, ChatServer, completion
from harness.testing.server import serving as answering

KEY = "sk-very-secret"
FILTERED = {"error": {"code": "content_filter", "message": f"not with {KEY}"}}
TOO_LONG = {"error": {"code": 400, "message": f"prompt too long for {KEY}"}}
CUT, DROP, EMPTY, HALF, HANG = "cut", "drop", "empty", "half", "hang"
"""Names of what a ``rate`` can do instead of answering: see ``Handler.misbehave``."""


class Handler(ChatHandler):
    def do_GET(self):
        if self.path == "/version":
            self.send(200, {"version": self.server.version})
        else:
            model = {"id": self.server.model, "root": "somebody/weights", "owned_by": "fake"}
            listed = [{**model, **self.server.tells}]
            listed += [{"id": f"{self.server.model}@{told}"} for told in self.server.aliases]
            self.send(self.server.models_status, {"data": listed})

    def reply(self, body):
        server = self.server
        question = json.dumps(body["messages"])
        if server.rate is None:
            question = body["messages"][-1]["content"]
        with server.lock:
            server.asked[question] += 1
            server.headers.append(dict(self.headers))
            server.in_flight += 1
            server.peak = max(server.peak, server.in_flight)
        try:
            self.answer(body, question, server.asked[question])
        finally:
            with server.lock:
                server.in_flight -= 1

    def answer(self, body, question, time_asked):
        if self.server.rate is None:
            getattr(self, "on_" + question.split()[0])(question, time_asked)
        else:
            found = self.server.rate(body)
            status, payload = found if isinstance(found, tuple) else (200, found)
            if not status:
                return self.misbehave(payload)
            self.send(status, completion(payload) if isinstance(payload, str) else payload)

    def misbehave(self, how):
        """A stream cut off or dropped, an empty body or half of one, or no answer in time."""
        if how == CUT:
            self.send_half()
        elif how == DROP:
            self.on_drop()
        elif how == HANG:
            self.on_hang()
        else:
            body = b"" if how == EMPTY else b'{"choices": [{"message": {"content": "1'
            self.send_bytes(200, body)

    def on_echo(self, question, _):
        self.send(200, completion(question))

    def on_slow(self, question, _):
        time.sleep(0.03)
        self.send(200, completion(question))

    def on_hang(self, *_):
        self.server.ends.wait(60)
        self.on_drop()

    def on_busy(self, question, time_asked):
        if time_asked <= 2:
            self.send(429, {"error": {"message": "slow down"}}, **{"Retry-After": "0"})
        else:
            self.send(200, completion(question))

    def on_wait(self, question, time_asked):
        if time_asked == 1:
            self.send(503, {}, **{"Retry-After": "1"})
        else:
            self.send(200, completion(question))

    def on_broken(self, *_):
        self.send(500, {"error": {"message": f"no luck with {KEY}"}})

    def on_drop(self, *_):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def on_cut(self, question, time_asked):
        if time_asked == 1:
            self.send_half()
        else:
            self.send(200, completion(question))

    def send_half(self):
        self.send_response(200)
        self.send_header("Content-Length", "9999")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.on_drop()

    def on_garbage(self, *_):
        self.send(200, {"choices": []})

    def on_filter(self, *_):
        self.send(200, completion(None, reason="content_filter"))

    def on_refuse(self, *_):
        self.send(200, completion(None, refusal="I would rather not."))

    def on_block(self, *_):
        self.send(400, FILTERED)

    def on_long(self, *_):
        self.send(400, TOO_LONG)

    def on_surrogate(self, *_):
        self.send(200, completion("half \ud83d pair"))

    def on_forbidden(self, *_):
        self.send(401, {"error": {"message": f"wrong key {KEY}"}})

    def on_missing(self, *_):
        self.send(404, {"error": {"message": "no such model"}})

    def on_last(self, question, _):
        self.server.shutdown()
        self.server.server_close()
        self.send(200, completion(question), Connection="close")

    def on_probabilities(self, *_):
        answer = completion("A")
        tops = [{"token": t, "logprob": p} for t, p in (("B", -0.1), ("A", -2.0), ("C", -9999.0))]
        content = [{"token": "A", "logprob": -2.0, "top_logprobs": tops}]
        answer["choices"][0]["logprobs"] = {"content": content}
        self.send(200, answer)


class FakeServer(ChatServer):
    """A server that can do more than answer.

    ``rate`` answers: from the request to the text, to a whole completion, to a status and its
    payload, or to 0 and what goes wrong. Without it the first word of the question says what
    happens.
    """

    handler = Handler

    def __init__(self, rate=None):
        super().__init__(rate)
        self.rate = rate
        self.version = "1.0"
        self.model = "m"
        self.tells = {}
        self.aliases = []
        self.asked = collections.Counter()
        self.headers = []
        self.in_flight = self.peak = 0
        self.models_status = 200
        self.lock = threading.Lock()
        self.ends = threading.Event()

    def handle_error(self, request, client_address):
        """Clients are killed here: their broken pipes are no news."""


@contextlib.contextmanager
def serving(rate=None):
    """A fake that answers until the block ends."""
    with answering(FakeServer(rate)) as fake:
        try:
            yield fake
        finally:
            fake.ends.set()
