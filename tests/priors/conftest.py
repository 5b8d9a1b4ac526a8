"""An engine that answers by a script, and clips without pictures."""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mmwtal.priors.engines.base import BaseEngine, Clip, Frame, Reply, Request

Answer = Mapping[str, Any] | str | Reply | Exception


class ScriptedEngine(BaseEngine):
    """Answers each request by what a function makes of it, and keeps the requests."""

    concurrency = 2
    name = 'scripted'

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    @property
    def identity(self) -> Mapping[str, Any]:
        return {'model': self.name}

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def healthy(self) -> bool:
        return True

    async def ask(self, request: Request) -> Reply:
        self.requests.append(request)
        found = self.answer(request)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, Reply):
            return found
        text = found if isinstance(found, str) else json.dumps(found)
        return Reply(text=text, complete=True, prompt_tokens=100, reply_tokens=10)


@pytest.fixture
def scripted_engine() -> type[ScriptedEngine]:
    return ScriptedEngine


@pytest.fixture
def read_clip() -> Callable[[float, float, int], Awaitable[Clip]]:
    """Eight frames, or as many as there may be, of whatever part of a video of 1,000 s."""

    async def read(start: float, end: float, max_frames: int) -> Clip:
        count = min(8, max_frames)
        frames = tuple(Frame(time=start + (end - start) * (n + 0.5) / count, jpeg=b'') for n in range(count))
        return Clip(path=Path('video.mp4'), start=start, end=end, duration=1000.0, fps=25.0, frames=frames)

    return read
