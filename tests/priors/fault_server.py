"""A server of chat completions on 127.0.0.1 that fails as it is told to, over a real model or scripted replies.

    with FaultServer(answer=over_model(loaded_model)) as server:
        server.script += [Fault(status=429, headers={'Retry-After': '1'}), Fault(drop=True)]
        engine = OpenAICompatible(model=server.model, base_url=server.url)

Each question takes the next fault of the script, if there is one left. ``stop()`` kills the server with all its
connections, ``start()`` brings it back on the same port.
"""

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mmwtal.priors.engines.base import Clip, Frame, Reply, Request, RequestTooLarge
from mmwtal.priors.engines.loaded_model import LoadedModel

Answer = Callable[[Mapping[str, Any]], Reply]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with a question; the first that is set.

    Args:
        hang: Seconds without a reply; then the connection is dropped.
        drop: Whether the connection is dropped before anything is sent.
        cut: Whether it is dropped in the middle of the reply.
        status: HTTP status of a refusal.
        headers: Headers of a refusal or reply.
        body: The body, instead of the one that a refusal or a reply has.
        finish: The reply's ``finish_reason``.
        content: The reply's text.
    """

    hang: float = 0.0
    drop: bool = False
    cut: bool = False
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    finish: str | None = None
    content: str | None = None


class FaultServer:
    """See above.

    Args:
        answer: Gives the reply for the body of a question; ``{}`` by default.
        model: The name of the model that it offers.
        most_images: More images than so many do not fit its context; None for no limit.
        key: The key that it asks for; None for none.
    """

    def __init__(
        self,
        *,
        answer: Answer | None = None,
        model: str = 'tiny',
        most_images: int | None = None,
        key: str | None = None,
    ) -> None:
        self.answer = answer or (lambda body: Reply(text='{}', complete=True, prompt_tokens=3, reply_tokens=1))
        self.model = model
        self.most_images = most_images
        self.key = key
        #: Faults to come, of questions and of the list of models.
        self.script: list[Fault] = []
        self.models_script: list[Fault] = []
        #: The bodies of all questions, those that only ask whether it answers, and the number of connections.
        self.asked: list[dict[str, Any]] = []
        self.greetings: list[dict[str, Any]] = []
        self.connections = 0
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self._port}/v1'

    def __enter__(self) -> 'FaultServer':
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._stopping.clear()
        outer = self

        class Handler(_Handler):
            owner = outer

        self._server = ThreadingHTTPServer(('127.0.0.1', self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self._server is None:
            return
        self._stopping.set()
        self._server.shutdown()
        self._server.socket.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server = None

    def wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def next_fault(self, script: list[Fault]) -> Fault:
        with self._lock:
            return script.pop(0) if script else Fault()

    def seen(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
            self.connections += 1

    def gone(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def completion(self, body: dict[str, Any], fault: Fault) -> tuple[int, str]:
        """Return status and body of the answer to a question."""
        if body.get('model') != self.model:
            return 404, _error(f'The model `{body.get("model")}` does not exist.', 'NotFoundError', 404)
        if not _parts(body):
            return 200, _completion(self.model, Reply(text='Hello', complete=True), fault)
        images = sum(part['type'] == 'image_url' for part in _parts(body))
        if self.most_images is not None and images > self.most_images:
            return _too_long(99 * images, 99 * self.most_images)
        try:
            reply = self.answer(body)
        except RequestTooLarge:
            return _too_long(99999, 8192)
        return 200, _completion(self.model, reply, fault)


class _Handler(BaseHTTPRequestHandler):
    owner: FaultServer
    protocol_version = 'HTTP/1.1'
    # Else each reply waits for the acknowledgement of its headers.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.owner.seen(self.connection)

    def finish(self) -> None:
        self.owner.gone(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        fault = self.owner.next_fault(self.owner.models_script)
        listed = json.dumps({'object': 'list', 'data': [{'id': self.owner.model, 'object': 'model'}]})
        self._send(200, listed, fault)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        fault = self.owner.next_fault(self.owner.script)
        (self.owner.asked if _parts(body) else self.owner.greetings).append(body)
        if fault.hang or fault.drop or fault.status:
            self._send(fault.status, _error('so the script says', 'Scripted', fault.status), fault)
        else:
            self._send(*self.owner.completion(body, fault), fault)

    def _send(self, status: int, body: str, fault: Fault) -> None:
        if fault.hang:
            self.owner.wait(fault.hang)
        if fault.hang or fault.drop:
            self._drop()
            return
        if self.owner.key is not None and self.headers['Authorization'] != f'Bearer {self.owner.key}':
            status, body = 401, _error('Unauthorized', 'AuthenticationError', 401)
        content = (body if fault.body is None else fault.body).encode()
        self.send_response(fault.status or status)
        for name, value in {'Content-Type': 'application/json', **fault.headers}.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if fault.cut else content)
        self.wfile.flush()
        if fault.cut:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def over_model(model: LoadedModel) -> Answer:
    """Return an answer that a model in this process gives; one at a time."""
    lock = threading.Lock()

    def answer(body: Mapping[str, Any]) -> Reply:
        with lock:
            return model.answer(request_of(body))

    return answer


def request_of(body: Mapping[str, Any]) -> Request:
    """Return the question that the body of an HTTP request asks."""
    parts = _parts(body)
    frames, times = [], []
    for part in parts[:-1]:
        if part['type'] == 'text':
            times.append(float(part['text'].strip('<>').removesuffix(' seconds')))
        else:
            content = base64.b64decode(part['image_url']['url'].partition(',')[2], validate=True)
            frames.append(Frame(time=times[-1], jpeg=content))
    clip = None
    if frames:
        end = times[-1] + 1.0
        clip = Clip(path=Path('sent.mp4'), start=0.0, end=end, duration=end, fps=25.0, frames=tuple(frames))
    systems = [message['content'] for message in body['messages'] if message['role'] == 'system']
    return Request(
        system=systems[0] if systems else '',
        prompt=parts[-1]['text'],
        schema=body['response_format']['json_schema']['schema'],
        clip=clip,
        max_tokens=body['max_tokens'],
        temperature=body['temperature'],
        seed=body['seed'],
    )


def _parts(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the parts of a question, none of one that is a text by itself."""
    content = next(message['content'] for message in body['messages'] if message['role'] == 'user')
    return [] if isinstance(content, str) else content


def _completion(model: str, reply: Reply, fault: Fault) -> str:
    choice = {
        'index': 0,
        'message': {'role': 'assistant', 'content': reply.text if fault.content is None else fault.content},
        'finish_reason': fault.finish or ('stop' if reply.complete else 'length'),
    }
    usage = {'prompt_tokens': reply.prompt_tokens, 'completion_tokens': reply.reply_tokens}
    return json.dumps({'object': 'chat.completion', 'model': model, 'choices': [choice], 'usage': usage})


def _error(message: str, kind: str, code: int) -> str:
    return json.dumps({'error': {'message': message, 'type': kind, 'param': None, 'code': code}})


def _too_long(length: int, limit: int) -> tuple[int, str]:
    message = f'The decoder prompt (length {length}) is longer than the maximum model length of {limit}.'
    return 400, _error(message, 'BadRequestError', 400)
