"""A question as an OpenAI-compatible server reads it, written as bytes.

Pictures are put into the JSON as base64 makes them: to look through them for what has to be escaped, as an encoder of
JSON does, and to turn them from text to bytes cost as much as all the rest of a request.
"""

import base64
import json
import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmwtal.priors.engines.base import Frame, Request
from mmwtal.priors.engines.media import time_stamp
from mmwtal.priors.engines.structured import adapted

GREETING = {'messages': [{'role': 'user', 'content': 'Hello'}], 'max_tokens': 1}
"""A question that no server fails at."""


def shown_frames(frames: Sequence[Frame]) -> list[bytes]:
    """Return the parts of a message that show frames, each behind its time."""
    parts = []
    for frame in frames:
        parts.append(_part({'type': 'text', 'text': time_stamp(frame.time)}))
        parts.append(_data('image_url', 'image/jpeg', frame.jpeg))
    return parts


def shown_video(path: Path) -> list[bytes]:
    """Return the part of a message that shows a video file.

    Raises:
        OSError: If it cannot be read.
    """
    return [_data('video_url', mimetypes.guess_type(path.name)[0] or 'video/mp4', path.read_bytes())]


def payload(request: Request, *, model: str, shown: Sequence[bytes], extra: Mapping[str, Any]) -> bytes:
    """Return the body of an HTTP request.

    Args:
        request: The question.
        model: The server's name of the model.
        shown: What is shown, from one of the functions above; empty for a question on text alone.
        extra: More fields.
    """
    schema = {'name': 'answer', 'strict': True, 'schema': adapted(request.schema)}
    fields = {
        'model': model,
        'max_tokens': request.max_tokens,
        'temperature': request.temperature,
        'seed': request.seed,
        'response_format': {'type': 'json_schema', 'json_schema': schema},
        **extra,
    }
    system = _part({'role': 'system', 'content': request.system}) + b',' if request.system else b''
    content = b','.join([*shown, _part({'type': 'text', 'text': request.prompt})])
    # Before the brace that closes it.
    return b''.join([_part(fields)[:-1], b',"messages":[', system, b'{"role":"user","content":[', content, b']}]}'])


def _part(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode('ascii')


def _data(kind: str, media: str, content: bytes) -> bytes:
    return b'{"type":"%b","%b":{"url":"data:%b;base64,%b"}}' % (
        kind.encode('ascii'),
        kind.encode('ascii'),
        media.encode('ascii'),
        base64.b64encode(content),
    )
