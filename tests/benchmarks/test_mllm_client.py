"""The cost of asking a server: the server's time, what is measured, the page."""

import asyncio
import json

import pytest

from benchmarks import mllm_client
from benchmarks.mllm_client import ASKERS, CLIENT, DELAY, ENGINE, clip, main, parser, question, timed, to_markdown
from mmwtal.utils.errors import UserError

pytest.importorskip('openai')


def test_a_measurement_is_stored(tmp_path, capsys):
    options = ['--out', str(tmp_path / 'out'), '--frames', '1', '--bytes', '50', '--requests', '2', '--rounds', '2']
    main(parser().parse_args(options))
    (row,) = json.loads((tmp_path / 'out.json').read_text())['rows']
    assert row['name'] == '1 frames of 0.05 kB'
    for times in row['sides'].values():
        assert len(times['seconds']) == len(times['cpu_seconds']) == 2
        assert min(times['seconds']) >= DELAY / 2
    page = (tmp_path / 'out.md').read_text()
    assert page == to_markdown([row])
    assert page in capsys.readouterr().out


@pytest.mark.parametrize(
    ('wall', 'cpu', 'expected'),
    [
        ([2.0, 2.5, 2.1], [1.0, 2.0, 1.5], ['**95%** (', '> 90% ✓', '**2.34** (', '< 5 ✓']),
        ([3.0, 2.5, 4.0], [4.0, 3.5, 9.0], ['**67%** (', '> 90% missed', '**6.25** (', '< 5 missed']),
    ],
)
def test_the_page_has_shares_and_milliseconds(wall, cpu, expected):
    times = {name: [value / 640 for value in values] for name, values in (('seconds', wall), ('cpu_seconds', cpu))}
    machine = {'processor': 'p', 'cores': 2, 'memory_gib': 4, 'system': 's', 'python': '3', 'packages': {}}
    row = {
        'name': 'text alone',
        'number': 1,
        'requests': 640,
        'sides': {ENGINE: times, CLIENT: times},
        'machine': {**machine, 'threads': 1, 'device_name': None, 'load_at_start': 0.1},
        'workers': 0,
        'revisions': {'mmwtal': 'abc'},
    }
    lines = [line for line in to_markdown([row]).splitlines() if line.startswith('| [1]')]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    assert [line[0] for line in cells] == ['[1] `OpenAICompatible`', "[1] the openai client's own method"]
    for found, wanted in zip(cells[0][3:], expected, strict=True):
        assert found.startswith(wanted)
    assert cells[1][4] == cells[1][6] == ''


def test_as_many_are_asked_about_as_are_said():
    under_way, most = [], []

    async def ask(request):
        under_way.append(request)
        most.append(len(under_way))
        await asyncio.sleep(0)
        under_way.remove(request)

    shown = clip(2, 10)
    requests = [question(shown, seed) for seed in range(40)]
    seconds, cpu = asyncio.run(timed(ask, requests))
    assert max(most) == ASKERS
    assert len(most) == 40
    assert min(seconds, cpu) >= 0
    assert [len(frame.jpeg) for frame in requests[0].clip.frames] == [10, 10]


def test_what_cannot_be_measured():
    with pytest.raises(UserError, match='expected --requests'):
        main(parser().parse_args(['--requests', '0']))


def test_every_side_has_a_line():
    assert mllm_client.WHAT.keys() == {ENGINE, CLIENT}
