"""The page of results is that of the metafiles and stored results, and these are those of the configs as they are."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from mmwtal.apis.metafiles import read_metafiles
from mmwtal.apis.model_zoo import build_page, check_page, expected_tolerance
from mmwtal.apis.settings import prepare_config
from mmwtal.evaluation.runs import read_runs, to_text
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.digest import config_sha256

QUICK = 'configs/quick/metafile.yml'
RESULTS = 'configs/quick/results/co2net_synthetic.json'
CONFIG = 'configs/quick/co2net_synthetic.py'
# What it inherits its schedule from.
SHARED = 'configs/_base_/quick_run.py'


def test_the_page_is_not_stale(repo_root: Path) -> None:
    problems = check_page(repo_root)
    assert not problems, '\n'.join(problems)


@pytest.fixture
def root(repo_root: Path, tmp_path: Path) -> Path:
    """A copy of CO2-Net's configs alone, sound whatever the repository's own state."""
    for name in ('_base_', 'co2net'):
        shutil.copytree(repo_root / 'configs' / name, tmp_path / 'configs' / name)
    for name in (CONFIG, RESULTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(repo_root / name, tmp_path / name)
    content = json.loads((tmp_path / RESULTS).read_text())
    content['config_sha256'] = config_sha256(prepare_config(tmp_path / CONFIG))
    (tmp_path / RESULTS).write_text(to_text(content))
    models = yaml.safe_load((repo_root / QUICK).read_text())['Models']
    kept = {'Models': [model for model in models if model['Config'] == CONFIG]}
    (tmp_path / QUICK).write_text(yaml.safe_dump(kept))
    page, problems = build_page(tmp_path)
    assert problems == []
    (tmp_path / 'configs/README.md').write_text(page)
    assert check_page(tmp_path) == []
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_measured_and_published_figures_stand_apart(root: Path) -> None:
    page = (root / 'configs/README.md').read_text()
    measured, published = page.split('## Published figures')
    found = read_runs(root / RESULTS)
    spread = found.spread()
    assert f'{spread.mean[-1]:.2f} ± {spread.sd[-1]:.2f} |' in measured
    assert found.facts['video_list_hash'] in measured
    assert 'rotocol wtal_grid (hash ' in measured
    assert '44.6' not in measured
    [row] = [line for line in published.splitlines() if '44.6' in line]
    cells = [cell.strip() for cell in row.strip('|').split('|')]
    assert cells[1:4] == ['THUMOS14', '`wtal_grid`', 'best on the test split']
    assert cells[4] == '70.1'
    assert cells[-2] == "the paper's comparison on THUMOS14"
    assert cells[-1] == 'not measured'


def test_a_measured_result_of_a_published_config_stands_beside_it(root: Path) -> None:
    edit(
        root / 'configs/co2net/metafile.yml',
        '    Config: configs/co2net/co2net_thumos14-i3d.py\n',
        f'    Config: configs/co2net/co2net_thumos14-i3d.py\n    Results: {RESULTS}\n',
    )
    [problem] = check_page(root)
    assert 'co2net_thumos14-i3d' in problem
    assert 'is stale: made with config hash' in problem
    # As if it had been made with that config.
    content = json.loads((root / RESULTS).read_text())
    content['config_sha256'] = config_sha256(prepare_config(root / 'configs/co2net/co2net_thumos14-i3d.py'))
    (root / 'own.json').write_text(json.dumps(content))
    edit(root / 'configs/co2net/metafile.yml', RESULTS, 'own.json')
    page, problems = build_page(root)
    assert problems == []
    [row] = [line for line in page.splitlines() if '44.6' in line]
    average = read_runs(root / RESULTS).spread().mean[-1]
    assert row.split('|')[-2].strip().startswith(f'{average:.2f} ± ')
    assert '(`wtal_grid`, last, 5 seeds)' in row


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'message'),
    [
        (SHARED, 'max_iters=300', 'max_iters=301', 'is stale: made with config hash'),
        (CONFIG, 'average=', 'average=1', 'write that into it'),
        (CONFIG, 'tolerance=', 'tolerance=1', 'write that into it'),
        (
            CONFIG,
            '_expected',
            '_other',
            'the config states nothing, its stored results make _expected = dict(protocol=',
        ),
        (RESULTS, '"protocol_hash": "', '"protocol_hash": "x', 'is stale: made by protocol wtal_grid with hash x'),
        (RESULTS, '"seed": 4', '"seed": 9', 'expected the seeds 0, 1, 2, 3, 4, found 0, 1, 2, 3, 9'),
        (RESULTS, '"mAP"', '"map"', 'under "mAP"'),
        (RESULTS, '{', '', 'is not valid JSON'),
        ('configs/README.md', 'mean', 'mode', 'configs/README.md is not what metafiles and stored results make'),
        ('configs/co2net/metafile.yml', '44.6', '44.5', 'configs/README.md is not what'),
        ('configs/co2net/metafile.yml', '44.6', '54.6', 'Average: 54.6 is not the mean of mAP, 44.57'),
    ],
)
def test_what_is_stale_is_named(root: Path, file: str, old: str, new: str, message: str) -> None:
    edit(root / file, old, new)
    [problem] = check_page(root)
    assert message in problem


def test_a_result_that_is_missing_is_told_with_the_command_that_makes_it(root: Path) -> None:
    edit(root / QUICK, f'  Results: {RESULTS}\n', '')
    [problem] = check_page(root)
    command = f'python tools/analysis/multi_seed.py {CONFIG} --seeds 0-4 --threads 1 --out {RESULTS}'
    assert problem == f'{QUICK}: co2net_synthetic: Results is missing; make them: {command}'


PUBLISHED = {
    'Dataset': 'X',
    'Protocol': 'anet',
    'Selection': 'last',
    'tIoU': [0.5, 0.75],
    'mAP': [30.0, 20.0],
    'Source': 'a table',
}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda m: m.update(Confg='x'), "unknown key 'Confg'; did you mean 'Config'?"),
        (lambda m: m.pop('Name'), 'Name is missing'),
        (lambda m: m.update(Name=5), 'Name: expected text, found 5'),
        (lambda m: m.update(Config='configs/none.py'), 'Config: there is no file configs/none.py'),
        (lambda m: m.update(Results='none.json'), 'Results: there is no file none.json'),
        (lambda m: m.update(Results='../outside.json'), 'Results: ../outside.json leads out of the repository'),
        (lambda m: m.update(Config=__file__), f'Config: {__file__} leads out of the repository'),
        (lambda m: m.update({'In Collection': 'CO2Net'}), "no collection is called 'CO2Net'; did you mean 'CO2-Net'?"),
        (lambda m: m.update(Name='co2net_custom'), 'define the model co2net_custom more than once'),
        (lambda m: m.update(Config='configs/co2net/co2net_custom.py'), 'found 2 times'),
        (lambda m: m.update(Published=5), 'Published: expected keys and values or a list, found 5'),
        (lambda m: m.update(Published=[5]), 'Published 1: expected keys and values, found 5'),
        (lambda m: m.update(Published={**PUBLISHED, 'Protocol': 'wtalgrid'}), "did you mean 'wtal_grid'?"),
        (lambda m: m.update(Published={**PUBLISHED, 'Source': ''}), 'Published: Source: expected text'),
        (lambda m: m.update(Published={**PUBLISHED, 'mAP': [30.0]}), 'mAP: expected 2 numbers in percent'),
        (lambda m: m.update(Published={**PUBLISHED, 'mAP': [30.0, 'x']}), 'mAP: expected 2 numbers in percent'),
        (lambda m: m.update(Published={**PUBLISHED, 'mAP': [30.0, 120]}), 'mAP: expected 2 numbers in percent'),
        (lambda m: m.update(Published={**PUBLISHED, 'tIoU': [0.5, 7]}), 'tIoU: tIoU thresholds'),
        (lambda m: m.update(Published={**PUBLISHED, 'Average': 21}), 'Average: 21 is not the mean of mAP, 25.00'),
        (lambda m: m.update(Published={k: v for k, v in PUBLISHED.items() if k != 'mAP'}), 'both are missing'),
        (
            lambda m: m.update(Published={**PUBLISHED, 'Average': 21, 'Average over': 'all'}),
            'Average over: tIoU thresholds',
        ),
    ],
)
def test_faults_of_a_model(root: Path, change: Callable[[dict], object], message: str) -> None:
    content = yaml.safe_load((root / QUICK).read_text())
    change(content['Models'][0])
    (root / QUICK).write_text(yaml.safe_dump(content))
    problems = check_page(root)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith(('configs/', 'metafiles define')) for problem in problems)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('Models: 5', 'expected a list under Models, found 5'),
        ('Models: [5]', 'Models, entry 1: expected keys and values, found 5'),
        ('5', 'expected the keys Collections and Models at the top'),
        ('Models: [', 'is not valid YAML'),
        ('Collections: [{Name: X, Code: c, README: configs/none.md, Paper: {Title: t}}]', 'Paper: URL is missing'),
        ('Collections: [{Name: X, Code: c, README: none.md, Paper: {Title: t, URL: u}}]', 'README: there is no file'),
        ('Collections: [{Name: X}]', 'Collections, X: Paper is missing'),
        ('', 'configs/quick/co2net_synthetic.py: expected once as Config under Models of configs/quick/metafile.yml'),
    ],
)
def test_faults_of_a_metafile(root: Path, text: str, message: str) -> None:
    (root / QUICK).write_text(text)
    problems = check_page(root)
    assert any(message in problem for problem in problems), problems


def test_only_an_average_or_several_sources_are_all_right(root: Path) -> None:
    content = yaml.safe_load((root / QUICK).read_text())
    average = {**PUBLISHED, 'Average': 21, 'Average over': '0.5:0.95:0.05'}
    alone = {key: value for key, value in average.items() if key not in ('mAP', 'Average over')}
    content['Models'][0]['Published'] = [PUBLISHED, average, alone]
    (root / QUICK).write_text(yaml.safe_dump(content))
    models, problems = read_metafiles(root)
    assert problems == []
    assert len(next(model for model in models if model.config == CONFIG).published) == 3
    page, problems = build_page(root)
    assert problems == []
    assert '| 30.0 | 20.0 | 21.0 (over 0.5:0.95:0.05) | a table |' in page
    assert '| – | – | 21.0 | a table |' in page


def test_the_tolerance_is_a_deviation_in_steps_of_half_a_point(root: Path) -> None:
    found = read_runs(root / RESULTS)
    sd = float(found.spread().sd[-1])
    assert 0 <= expected_tolerance(found) - max(2, sd) < 0.5
    assert (2 * expected_tolerance(found)).is_integer()


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location('model_zoo_tool', repo_root / 'tools/analysis/model_zoo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tool_writes_and_checks(tool: ModuleType, root: Path, capsys: pytest.CaptureFixture) -> None:
    def call(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            run_tool(tool.main, tool.build_parser(), ['--root', str(root), *words])
        return end.value.code, capsys.readouterr().out

    page = root / 'configs/README.md'
    good = page.read_text()
    page.write_text('stale')
    assert call('--check')[0] == 1
    assert page.read_text() == 'stale'
    assert call() == (0, f'written to {page}\n')
    assert page.read_text() == good
    assert call('--check') == (0, '')
    edit(root / SHARED, 'max_iters=300', 'max_iters=301')
    code, said = call()
    assert code == 1
    assert 'is stale' in said
    assert page.read_text() == good
