"""What asking a server costs: how many of 16 requests in flight stay so, and the client's CPU time for each.

Example: python -m benchmarks.mllm_client --out mine-client
"""

import argparse
import asyncio
import base64
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.delayed_server import MODEL
from benchmarks.machine import describe, revision
from benchmarks.measure import spread
from benchmarks.session import ROOT
from benchmarks.store import Store, conditions
from mmwtal.priors.engines.base import Clip, Frame, Request
from mmwtal.priors.engines.media import time_stamp
from mmwtal.priors.engines.openai_compatible import OpenAICompatible
from mmwtal.priors.patterns import SENTENCE
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

Row = Mapping[str, Any]
Ask = Callable[[Request], Awaitable[object]]

IN_FLIGHT = 16
# An offline job works on more videos than it has requests in flight, so that one is ready when another is done.
ASKERS = IN_FLIGHT + 4
DELAY = 0.05
BUSY_AIM = 0.9
CPU_AIM = 5e-3

ENGINE, CLIENT = 'OpenAICompatible', 'openai'
WHAT = {ENGINE: '`OpenAICompatible`', CLIENT: "the openai client's own method"}
INTRODUCTION = (
    f'{ASKERS} videos at a time, {IN_FLIGHT} requests in flight against a server in a process of its own that answers '
    f'each {1e3 * DELAY:.0f} ms after it has come in and looks at none. Busy: the share of these requests that the '
    f'server works on, {1e3 * DELAY:.0f} ms / ({IN_FLIGHT} x time for one); the rest of the time they are on '
    "their way or with the client. CPU: the client's process, for a request: its JSON with the frames' base64, "
    'sending, receiving, reading the reply; the frames are in memory as JPEG. Medians over the rounds, in which the '
    'sides took turns, in brackets the quartiles.'
)


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--out', type=Path, metavar='PREFIX', help='write PREFIX.json and PREFIX.md; what they hold already is kept'
    )
    parser.add_argument('--frames', nargs='+', type=int, default=[0, 16, 32], metavar='N', help='default: 0, 16 and 32')
    parser.add_argument('--bytes', type=int, default=20_000, help='of a JPEG; default: 20000')
    parser.add_argument('--requests', type=int, default=640, metavar='N', help='of a round; default: 640')
    parser.add_argument('--rounds', type=int, default=7, metavar='N', help='default: 7')
    return parser


def main(args: argparse.Namespace) -> None:
    """Measure, print the table and write it."""
    if min(args.requests, args.rounds, args.bytes) < 1 or min(args.frames) < 0:
        raise UserError('expected --requests, --rounds and --bytes of at least 1 and --frames of at least 0')
    store = Store(args.out, order=[row_name(frames, args) for frames in args.frames], render=to_markdown)
    for frames in args.frames:
        sys.stderr.write(f'{row_name(frames, args)}\n')
        store.put(asyncio.run(measured_row(frames, args)))
    print(store.page())


def row_name(frames: int, args: argparse.Namespace) -> str:
    """Return the name of a row."""
    return f'{frames} frames of {args.bytes / 1e3:g} kB' if frames else 'text alone'


async def measured_row(frames: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the row of one number of frames: seconds and CPU seconds for a request, in each side's rounds."""
    machine = describe('cpu', 1)
    machine['packages']['openai'] = metadata.version('openai')
    shown = clip(frames, args.bytes) if frames else None
    requests = [question(shown, seed) for seed in range(args.requests)]
    sides: dict[str, dict[str, list[float]]] = {side: {'seconds': [], 'cpu_seconds': []} for side in WHAT}
    with server() as url:
        async with asked(url) as ways:
            for side in ways:
                await timed(ways[side], requests[: 4 * IN_FLIGHT])
            for number in range(args.rounds):
                for side in list(ways)[:: -1 if number % 2 else 1]:
                    seconds, cpu = await timed(ways[side], requests)
                    sides[side]['seconds'].append(seconds)
                    sides[side]['cpu_seconds'].append(cpu)
    return {
        'name': row_name(frames, args),
        'requests': args.requests,
        'sides': sides,
        'machine': machine,
        'workers': 0,
        'revisions': {'mmwtal': revision(ROOT)},
    }


async def timed(ask: Ask, requests: Sequence[Request]) -> tuple[float, float]:
    """Ask all, as many at a time as a job does; return the seconds and the CPU seconds for a request.

    The seconds are those of the stretch in which all that can be in flight are, without the beginning and the end.
    """
    left, stamps = iter(requests), [time.perf_counter()]

    async def slot() -> None:
        for request in left:
            await ask(request)
            stamps.append(time.perf_counter())

    cpu = time.process_time()
    await asyncio.gather(*(slot() for _ in range(ASKERS)))
    cpu = time.process_time() - cpu
    ends = min(2 * IN_FLIGHT, len(requests) // 4)
    steady = stamps[ends : len(stamps) - ends]
    return (steady[-1] - steady[0]) / (len(steady) - 1), cpu / len(requests)


@asynccontextmanager
async def asked(url: str) -> AsyncIterator[dict[str, Ask]]:
    """Give both ways to ask the server."""
    import openai

    engine = OpenAICompatible(model=MODEL, base_url=url, concurrency=IN_FLIGHT)
    slots = asyncio.Semaphore(IN_FLIGHT)
    client = openai.AsyncOpenAI(api_key='none', base_url=url, max_retries=0)

    async def plainly(request: Request) -> object:
        content: list[dict[str, Any]] = []
        for frame in request.clip.frames if request.clip else ():
            data = f'data:image/jpeg;base64,{base64.b64encode(frame.jpeg).decode("ascii")}'
            content += [
                {'type': 'text', 'text': time_stamp(frame.time)},
                {'type': 'image_url', 'image_url': {'url': data}},
            ]
        content.append({'type': 'text', 'text': request.prompt})
        schema: Any = {'name': 'answer', 'strict': True, 'schema': request.schema}
        messages: Any = [{'role': 'system', 'content': request.system}, {'role': 'user', 'content': content}]
        async with slots:
            return await client.chat.completions.create(
                model=MODEL,
                messages=messages,
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                seed=request.seed,
                response_format={'type': 'json_schema', 'json_schema': schema},
            )

    try:
        await engine.open()
        yield {ENGINE: engine.ask, CLIENT: plainly}
    finally:
        await engine.close()
        await client.close()


@contextmanager
def server() -> Iterator[str]:
    """Give the address of a server that runs meanwhile."""
    command = [sys.executable, '-m', 'benchmarks.delayed_server', str(DELAY)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        try:
            yield f'http://127.0.0.1:{int(process.stdout.readline())}/v1'
        finally:
            process.terminate()


def clip(frames: int, size: int) -> Clip:
    """Return a clip of so many frames; what they show plays no part."""
    chance = random.Random(0)
    shown = tuple(Frame(time=2.0 * number, jpeg=chance.randbytes(size)) for number in range(frames))
    end = 2.0 * frames
    return Clip(path=Path('video.mp4'), start=0.0, end=end, duration=end, fps=25.0, frames=shown)


def question(clip: Clip | None, seed: int) -> Request:
    """Return a question such as is asked about a video."""
    sentences = {'type': 'array', 'items': {'type': 'string', 'pattern': SENTENCE}, 'minItems': 3, 'maxItems': 8}
    return Request(
        system='You describe what is seen in videos.',
        prompt='Describe the high jump in this video from preparation to result. ' * 20,
        schema={'type': 'object', 'properties': {'sentences': sentences}, 'required': ['sentences']},
        clip=clip,
        max_tokens=1024,
        temperature=0.0,
        seed=seed,
    )


def to_markdown(rows: Sequence[Row]) -> str:
    """Return the page for the rows that are stored."""
    lines = ['# What asking a server costs', '', *conditions(rows), '', INTRODUCTION, '']
    lines += [
        '| | a question with | requests | busy | aim | CPU, ms | aim |',
        '|---|---|---|---|---|---|---|',
    ]
    for row in rows:
        for side, times in row['sides'].items():
            first = f'[{row["number"]}] {WHAT[side]} | {row["name"]} | {row["requests"]}'
            lines.append(f'| {first} | {_cells(side, times)} |')
    return '\n'.join([*lines, ''])


def _cells(side: str, times: Mapping[str, Sequence[float]]) -> str:
    busy = spread([DELAY / IN_FLIGHT / seconds for seconds in times['seconds']])
    cpu = spread(times['cpu_seconds'])
    aims = ['', '']
    if side == ENGINE:
        aims[0] = f'> {BUSY_AIM:.0%} {"✓" if busy["median"] > BUSY_AIM else "missed"}'
        aims[1] = f'< {1e3 * CPU_AIM:g} {"✓" if cpu["median"] < CPU_AIM else "missed"}'
    return (
        f'**{busy["median"]:.0%}** ({busy["low"]:.0%} to {busy["high"]:.0%}) | {aims[0]} | '
        f'**{1e3 * cpu["median"]:.2f}** ({1e3 * cpu["low"]:.2f} to {1e3 * cpu["high"]:.2f}) | {aims[1]}'
    )


if __name__ == '__main__':
    run_tool(main, parser())
