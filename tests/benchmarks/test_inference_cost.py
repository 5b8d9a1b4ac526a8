"""The cost of inference: what is measured, and the page."""

import json

import pytest

from benchmarks.inference import made_up, main, parser, to_markdown
from mmwtal.utils.errors import UserError


def test_a_measurement_is_stored(tmp_path, capsys, monkeypatch):
    options = ['--methods', 'um', '--minutes', '0.2', '--rounds', '2', '--threads', '1']
    main(parser().parse_args([*options, '--out', str(tmp_path / 'out')]))
    (row,) = json.loads((tmp_path / 'out.json').read_text())['rows']
    assert (row['name'], row['snippets']) == ('um, 0.2 minutes, threads: 1', 19)
    assert len(row['seconds']) == 2
    assert 50 < row['peak_memory_mib'] < 4000
    page = (tmp_path / 'out.md').read_text()
    assert page == to_markdown([row])
    assert page in capsys.readouterr().out
    with pytest.raises(UserError, match='--minutes above 0'):
        main(parser().parse_args(['--minutes', '0']))


def test_features_are_like_those_of_a_video():
    features = made_up(400)
    assert features.shape == (400, 2048)
    assert (features >= 0).all()
    # Half a second later they are much the same, ten seconds later others.
    near, far = (abs(features[lag:] - features[:-lag]).mean() for lag in (1, 16))
    assert near < 0.7 * far


@pytest.mark.parametrize(
    ('method', 'minutes', 'seconds', 'peak', 'expected'),
    [
        ('co2net', 10, [0.4, 0.6, 0.5], 900, ['**0.50** (0.40)', '< 1 ✓', '900', '']),
        ('co2net', 10, [1.4], 900, ['**1.40** (1.40)', '< 1 missed', '900', '']),
        ('delu', 10, [1.4], 900, ['**1.40** (1.40)', '', '900', '']),
        ('delu', 120, [9.0], 2500, ['**9.00** (9.00)', '', '2,500', '< 2048 missed']),
        ('co2net', 120, [9.0], 1300, ['**9.00** (9.00)', '', '1,300', '< 2048 ✓']),
    ],
)
def test_the_page_has_seconds_memory_and_aims(method, minutes, seconds, peak, expected):
    machine = {'processor': 'p', 'cores': 2, 'memory_gib': 4, 'system': 's', 'python': '3', 'packages': {}}
    row = {
        **{'name': 'n', 'number': 1, 'method': method, 'minutes': minutes, 'snippets': 938, 'actions': 5000},
        **{'seconds': seconds, 'peak_memory_mib': peak, 'workers': 0, 'revisions': {'mmwtal': 'abc'}},
        'machine': {**machine, 'threads': 2, 'device_name': None, 'load_at_start': 0.1},
    }
    (line,) = [line for line in to_markdown([row]).splitlines() if line.startswith('| [1]')]
    cells = [cell.strip() for cell in line.strip('|').split('|')]
    assert cells == [f'[1] {method}', str(minutes), '938', '5,000', *expected]
