"""The cost of guidance: its made-up texts, an arm's iteration, what is stored, the page."""

import json

import pytest

from benchmarks import guidance_cost, guided
from benchmarks.guidance_cost import main, parser, to_markdown
from benchmarks.guided import ARMS, BASE, guided_step, video_ids, write_texts
from benchmarks.operation import Spec
from mmwtal.utils.errors import UserError


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(guided, 'VOCABULARY', 200)
    monkeypatch.setattr(guided, 'VIDEOS', 12)
    monkeypatch.setattr(guided, 'TWO_LABELS', 2)


def spec(scratch, side):
    return Spec(
        side=side,
        operation='guided_step',
        method='co2net',
        length=3,
        checkout=scratch,
        scratch=scratch,
        device='cpu',
        threads=1,
        workers=0,
    )


def test_the_texts_are_as_long_as_they_are_said_to_be(tmp_path):
    write_texts(tmp_path / 'texts')
    texts = json.loads((tmp_path / 'texts' / 'texts.json').read_text())
    assert list(texts) == video_ids()
    lengths = [len(text['complete'].split()) for labels in texts.values() for text in labels.values()]
    assert guided.SHORTEST <= min(lengths) < max(lengths) <= guided.LONGEST
    assert sum(len(labels) == 2 for labels in texts.values()) in (1, 2)
    before = (tmp_path / 'texts' / 'annotations.json').stat().st_mtime_ns
    write_texts(tmp_path / 'texts')
    assert (tmp_path / 'texts' / 'annotations.json').stat().st_mtime_ns == before


def test_an_iteration_of_an_arm(tmp_path):
    operation = guided_step(spec(tmp_path, 'light'))
    terms = operation.run()
    assert {'loss_mil', 'loss_complete_ctr', 'loss_base_teaching'} <= terms.keys()
    assert 'nll_inverse' not in terms
    base, added, vocabulary = operation.outcome()
    assert base > 30e6
    assert added > 5e6
    assert 100 < vocabulary < 220


@pytest.mark.parametrize('side', ARMS)
def test_each_arm_is_a_config(tmp_path, side):
    cfg = guided._config(spec(tmp_path, side))
    assert (cfg.model.get('guidance') is None) == (side == BASE)
    assert cfg.train_dataloader.batch_size == 10


def stored(light, **options):
    seconds = {BASE: [1.0, 2.0, 1.0], 'light': light, 'dual': [2.5, 5.0, 2.5]}
    return {
        side: {'seconds': values, 'outcome': [34e6, 0 if side == BASE else 10e6, 2000], 'peak_memory_mib': 1234.4}
        | {'peak_device_memory_mib': None, **options}
        for side, values in seconds.items()
    }


@pytest.mark.parametrize(
    ('light', 'ratio', 'aim'),
    [
        ([1.5, 3.0, 1.5], '**1.50** (1.50 to 1.50)', '1.6 ✓'),
        ([1.5, 3.4, 1.7], '**1.70** (1.60 to 1.70)', '1.6 within the spread'),
        ([1.7, 3.4, 1.7], '**1.70** (1.70 to 1.70)', '1.6 missed'),
    ],
)
def test_the_page_has_ratios_of_pairs(tmp_path, monkeypatch, capsys, light, ratio, aim):
    monkeypatch.setattr(guidance_cost, 'measure', lambda sides, start, *, rounds: stored(light))
    main(parser().parse_args(['--out', str(tmp_path / 'out'), '--threads', '1']))
    rows = json.loads((tmp_path / 'out.json').read_text())['rows']
    assert [row['name'] for row in rows] == ['T = 320, cpu, threads: 1']
    page = (tmp_path / 'out.md').read_text()
    assert page == to_markdown(rows)
    assert page in capsys.readouterr().out
    (line,) = (line for line in page.splitlines() if 'dual_light' in line)
    assert [cell.strip() for cell in line.strip('|').split('|')][1:] == [
        f'{1e3 * sorted(light)[1]:,.0f} ({1e3 * min(light):,.0f})',
        *(ratio, aim, '34.0 + 10.0', '1,234'),
    ]
    assert '| CO2-Net alone | 1,000 (1,000) |  |  | 34.0 | 1,234 |' in page
    assert '**2.50** (2.50 to 2.50)' in page


def test_what_cannot_be_measured(monkeypatch):
    asked = []

    def fail(sides, start, *, rounds):
        asked.append((sides, rounds))
        return {BASE: {'failure': 'no such thing'}}

    monkeypatch.setattr(guidance_cost, 'measure', fail)
    with pytest.raises(UserError, match='base: cannot be run: no such thing'):
        main(parser().parse_args(['--threads', '1', '--only', 'dual', '--rounds', '3']))
    assert asked == [([BASE, 'dual'], 3)]
    with pytest.raises(UserError, match='--rounds and --length of at least 1'):
        main(parser().parse_args(['--rounds', '0']))


def test_every_arm_has_a_line():
    assert guidance_cost.WHAT.keys() == ARMS.keys()
