"""A job over a server that fails in all ways: nothing is lost or doubled, the store is that of an undisturbed run."""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mmwtal.offline import runner
from mmwtal.offline.folder import run_folder
from mmwtal.offline.job import VideoEntry
from mmwtal.offline.plan import Plan
from mmwtal.priors.dialogue import Dialogue
from mmwtal.priors.engines import openai_compatible
from mmwtal.priors.engines.base import Clip, Frame, Reply
from mmwtal.priors.generation import PriorGeneration
from mmwtal.priors.store import PriorStore
from mmwtal.utils.errors import UserError

from .fault_server import Fault, FaultServer

pytest.importorskip('openai')

TOO_LONG = '{"error": {"message": "This model\'s maximum context length is 10 tokens."}}'


DESCRIBED = {
    'preparation': ['The person steps forward slowly.'],
    'execution': ['The arms swing upwards.', 'The body turns around.'],
    'result': ['The person stands still.'],
    'key_words': ['swing', 'turns'],
}
SEEN = {'visible': True, 'occurrences': 1, 'motion': 'The arms swing upwards.', 'verbs': ['swing'], 'objects': []}


def good(body: Mapping[str, Any]) -> Reply:
    """Answers whatever is asked as it should be answered."""
    asked = body['response_format']['json_schema']['schema']['properties'].get('actions')
    actions = asked and {'context': 'The place is a green field.', 'actions': dict.fromkeys(asked['properties'], SEEN)}
    return Reply(text=json.dumps(actions or DESCRIBED), complete=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    videos = {f'v{n}': {'subset': 'training', 'labels': ['HighJump', 'PoleVault']} for n in range(3)}
    (tmp_path / 'annotations.json').write_text(json.dumps({'database': videos}))
    for video in videos:
        (tmp_path / f'{video}.mp4').touch()
    return tmp_path


@pytest.fixture(autouse=True)
def quick_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_compatible, '_FIRST_PAUSE', 0.01)
    monkeypatch.setattr(runner, '_FIRST_PAUSE', 0.05)


async def read_clip(start: float, end: float, max_frames: int) -> Clip:
    frames = tuple(Frame(time=start + n, jpeg=b'a picture') for n in range(4))
    return Clip(path=Path('video.mp4'), start=start, end=end, duration=end, fps=25.0, frames=frames)


def run(root: Path, name: str, server: FaultServer) -> dict:
    """Ask about the videos; return what is said of each pair, each once, without how it came about."""
    engine = {'type': 'OpenAICompatible', 'model': server.model, 'base_url': server.url, 'retries': 2, 'timeout': 0.4}
    job = PriorGeneration(engine=engine, dialogue=Dialogue(), data_root=root, store=root / name)
    job._read = lambda entry, *stretch: read_clip(*stretch)
    # One video after the other, so that the script says which question fails.
    job.concurrency = 1
    PriorStore(root / name).begin(job.identity)
    entries = [VideoEntry(video=video, path=root / f'{video}.mp4', duration=20.0, fps=25.0) for video in job.wanted]
    run_folder(job, Plan(root=root, entries=tuple(entries)), root / name)
    return said(root / name)


def said(store: Path) -> dict:
    """Return what is said of each pair, each once, without how it came about."""
    lines = [line for path in store.glob('*.jsonl') for line in path.read_text().splitlines()]
    records = PriorStore(store).read()
    assert len(lines) == len(records)
    return {pair: (one.state, one.text, dict(one.faults)) for pair, one in records.items()}


def test_nothing_is_lost_and_nothing_doubled(root: Path) -> None:
    with FaultServer(answer=good) as server:
        expected = run(root, 'undisturbed', server)
        assert [state for state, *_ in expected.values()] == ['ok'] * 6
        questions = len(server.asked)
        faults = (
            Fault(status=429, headers={'Retry-After': '0'}),
            Fault(status=503),
            Fault(drop=True),
            Fault(cut=True),
            Fault(hang=1),
            Fault(content='{"context": "A gre'),
            Fault(finish='length', content='{'),
            Fault(status=400, body=TOO_LONG),
        )
        # Each question but the last has one of them, and is then answered.
        server.script = [one for fault in faults for one in (fault, Fault())]
        assert run(root, 'disturbed', server) == expected
        assert server.script == []
        assert len(server.asked) == 2 * questions + len(faults)


def test_a_server_that_dies_in_the_middle(root: Path) -> None:
    died = threading.Event()

    def answer(body: Mapping[str, Any]) -> Reply:
        if len(server.asked) == 4 and not died.is_set():
            died.set()
            server.stop()
            threading.Timer(0.3, server.start).start()
        return good(body)

    with FaultServer(answer=answer) as server:
        there = run(root, 'died', server)
        assert died.is_set()
        assert there == run(root, 'undisturbed', server)


def test_a_server_that_wants_us_no_more(root: Path) -> None:
    with FaultServer(answer=good) as server:
        server.script = [*[Fault()] * 4, Fault(status=401)]
        with pytest.raises(UserError, match='asks for a key'):
            run(root, 'stopped', server)
        assert len(server.asked) == 5
        assert said(root / 'stopped').keys() == {('v0', 'HighJump'), ('v0', 'PoleVault')}
        assert run(root, 'stopped', server) == run(root, 'undisturbed', server)
