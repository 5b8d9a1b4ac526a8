"""A server of chat completions that answers any question after a set time and looks at none.

Example: python -m benchmarks.delayed_server 0.05   # prints its port
"""

import asyncio
import json
import sys

MODEL = 'delayed'

_REPLY = {
    'object': 'chat.completion',
    'model': MODEL,
    'choices': [
        {
            'index': 0,
            'message': {'role': 'assistant', 'content': json.dumps({'sentence': 'The athlete runs. ' * 60})},
            'finish_reason': 'stop',
        }
    ],
    'usage': {'prompt_tokens': 4000, 'completion_tokens': 300, 'total_tokens': 4300},
}
_MODELS = {'object': 'list', 'data': [{'id': MODEL, 'object': 'model'}]}


class Connection(asyncio.Protocol):
    """Counts the bytes of a request, so that the server takes next to nothing of the machine.

    Args:
        delay: Seconds from the end of a question to its reply.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._head = b''
        self._missing: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; a client sends the next one after the reply to the last."""
        if self._missing is None:
            self._head += data
            head, end, rest = self._head.partition(b'\r\n\r\n')
            if not end:
                return
            self._missing, data = _length(head), rest
        self._missing -= len(data)
        if self._missing <= 0:
            question = self._head.startswith(b'POST')
            self._head, self._missing = b'', None
            asyncio.get_running_loop().call_later(
                self._delay if question else 0.0, self._send, _REPLY if question else _MODELS
            )

    def _send(self, reply: object) -> None:
        content = json.dumps(reply).encode()
        self._transport.write(
            b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b'
            % (len(content), content)
        )


def _length(head: bytes) -> int:
    for line in head.split(b'\r\n'):
        name, _, value = line.partition(b':')
        if name.lower() == b'content-length':
            return int(value)
    return 0


async def serve(delay: float) -> None:
    """Serve until the process is ended, on a free port of 127.0.0.1, which is written to standard output."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(delay), '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == '__main__':
    asyncio.run(serve(float(sys.argv[1])))
