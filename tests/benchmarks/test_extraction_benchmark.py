"""The benchmark of extraction: all readers see the same film, and the table judges what it says it does."""

from pathlib import Path

import pytest

from benchmarks.extraction import to_markdown
from benchmarks.extraction_cases import DECODERS, decoding
from benchmarks.extraction_video import write_film
from mmwtal.video.probe import probe_video

pytest.importorskip('av', reason='needs PyAV: pip install "mmwtal[priors]"')


def test_readers_of_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_film(tmp_path / 'film.mp4', seconds=0.4, size=(160, 120))
    assert probe_video(film).frames == 10
    # With a clock that goes on by a second at each look, the rates are the numbers of frames.
    clock = iter(range(1000))
    monkeypatch.setattr('benchmarks.extraction_cases.time.perf_counter', lambda: float(next(clock)))
    assert decoding(film, rounds=2) == {side: [10.0, 10.0] for side in DECODERS}


@pytest.mark.parametrize(('job', 'verdict'), [(1.69, 'missed'), (1.71, '✓')])
def test_the_share_of_the_network_is_judged(job: float, verdict: str) -> None:
    machine = {'processor': 'A', 'cores': 2, 'memory_gib': 8, 'system': 'Linux', 'python': '3.11', 'packages': {}}
    row = {
        'name': 'rgb',
        'number': 1,
        'values': {'snippets': 30, 'job': [job] * 3, 'alone': [2.0] * 3},
        'machine': {**machine, 'threads': 1, 'device_name': None, 'load_at_start': 0.0},
        'workers': 0,
        'revisions': {'mmwtal': 'abc'},
    }
    line = to_markdown([row]).splitlines()[-1]
    assert line.endswith(f'| >= 85% {verdict} |'), line
