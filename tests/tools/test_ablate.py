"""A plan is run, continued and summed up; training and test are played by a stand-in that writes chosen figures."""

import argparse
import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from mmwtal.apis.ablation.cells import make_cells
from mmwtal.apis.ablation.read_plan import read_plan
from mmwtal.apis.ablation.runs import write_data
from mmwtal.apis.settings import prepare_config
from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.engine.param_groups import ParamGroupConstructor
from mmwtal.registry import MODELS
from mmwtal.utils.cli import run_tool
from mmwtal.utils.config.digest import config_sha256
from mmwtal.utils.config.options import add_cfg_options
from mmwtal.utils.errors import UserError
from mmwtal.utils.jobs import Failure, Job

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / 'configs' / 'ablations' / 'guidance_embedded.yml'
TIOUS = [0.3, 0.5]
PLAN = {
    'title': 'A small plan',
    'about': 'What is it?',
    'protocol': 'wtal_grid',
    'seeds': {'develop': '0-2', 'report': '10-11'},
    'data': {'embedded': {'recipe': 'embedded'}},
    'options': {'test_evaluator.tious': TIOUS},
    'bases': {
        'co2net': {'embedded': 'configs/quick/co2net{variant}_synthetic.py'},
        'um': {'embedded': 'configs/quick/{base}{variant}_synthetic.py'},
    },
    'references': ['base', 'twin'],
    'per_tiou': True,
    'arms': {
        'base': {'label': 'nothing added'},
        'dual': {'variant': '_dual-prior'},
        'twin': {'extends': 'dual', 'options': {'model.guidance': None}},
        'ceiling': {
            'extends': 'dual',
            'bases': ['co2net'],
            'options': {'model.guidance': {'_delete_': True, 'type': 'GroundTruthOracle', 'data_root': 'x'}},
        },
    },
    'aims': [
        {'aim': 'lift', 'arm': 'dual', 'reference': 'base', 'bases': ['co2net'], 'at_least': 4, 'lower_above': 0},
        {'aim': 'most', 'arm': 'dual', 'reference': 'base', 'above': 0, 'of_bases': 1},
        {'aim': 'all', 'arm': 'dual', 'reference': 'base', 'above': 0},
        {'aim': 'control', 'arm': 'twin', 'reference': 'base', 'no_lift': True},
        {'aim': 'best', 'arm': ['twin', 'dual'], 'reference': 'base', 'bases': ['co2net'], 'at_least': 5},
        {'aim': 'half', 'arm': 'dual', 'reference': 'base', 'ceiling': 'ceiling', 'share': 0.5},
        {'aim': 'nearly', 'arm': 'dual', 'reference': 'base', 'ceiling': 'ceiling', 'share': 0.6},
    ],
}
# Average mAP of the seeds 0, 1, 2. Of the arms with co2net: differences from base of 5 and 1, 0, -1, and 10.
FIGURES = {
    'co2net/base': (30, 32, 34),
    'co2net/dual': (34, 37, 40),
    'co2net/twin': (31, 32, 33),
    'co2net/ceiling': (40, 42, 44),
    'um/base': (50, 50, 50),
    'um/dual': (49, 50, 48),
    'um/twin': (52, 53, 54),
}


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(root, num_train=16, num_test=4)
    return root


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('ablate_tool', ROOT / 'tools/analysis/ablate.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class StandIn:
    """Plays :func:`run_jobs`: writes the results that the commands of a job would write."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.broken: set[str] = set()
        self.interrupt_after: int | None = None

    def __call__(
        self, jobs: list[Job], *, starting: Callable[[Job], None], succeeded: Callable[..., None], **_: Any
    ) -> list[Failure]:
        failures = []
        for job in jobs:
            if self.interrupt_after is not None and len(self.jobs) == self.interrupt_after:
                raise KeyboardInterrupt('by SIGINT')
            self.jobs.append(job)
            starting(job)
            if job.name in self.broken:
                job.log.write_text('error: out of memory\n')
                failures.append(Failure(job=job, step='training', code=2))
                continue
            for step in job.steps:
                getattr(self, step.name)(job, step.command)
                succeeded(job, step, 2.0)
        return failures

    def training(self, job: Job, command: tuple[str, ...]) -> None:
        assert '--resume' in command

    def test(self, job: Job, command: tuple[str, ...]) -> None:
        parser = argparse.ArgumentParser()
        for name in ('python', 'script', 'config', 'checkpoint', '--work-dir', '--data-root'):
            parser.add_argument(name)
        add_cfg_options(parser)
        args = parser.parse_args(command)
        # That the words give the hash of the cell again is what makes a run a finished one.
        cfg = prepare_once(args.config, cfg_options=args.cfg_options)
        _, base, arm = job.name.split(' ')[0].split('/')
        seed = int(job.name.rpartition(' ')[2])
        figure = float(FIGURES[f'{base}/{arm}'][seed % 10])
        mAP = [figure + 10, figure - 10]
        meta = {
            'config': Path(args.config).name,
            'config_sha256': config_sha256(cfg),
            'selection': {'rule': 'last'},
            'seed': seed,
            'iteration': cfg.train_cfg.max_iters,
            'versions': {'mmwtal': '0'},
        }
        result = {
            **{'protocol': 'wtal_grid', 'protocol_hash': 'h', 'tious': TIOUS, 'subset': 'test', 'video_list': None},
            **{'video_list_hash': 'v', 'num_videos': 4, 'num_instances': 9, 'mAP': mAP, 'average': figure},
            **{'per_class': {'Jump': mAP}, 'meta': meta},
        }
        (Path(args.work_dir) / 'result.json').write_text(json.dumps(result))

    def measuring(self, job: Job, command: tuple[str, ...]) -> None:
        script, config, checkpoint, *words = command[1:]
        assert Path(script).name == 'attention_quality.py'
        assert Path(config).parent == ROOT / 'configs/quick'
        assert Path(checkpoint) == job.log.parent / 'iter_300.pth'
        assert words[words.index('--cfg-options') + 1] == 'test_evaluator.tious=[0.3,0.5]'
        assert words[0] == '--data-root'
        key = None if '/base ' in job.name else 0.5
        content = {'incompleteness': 0.25, 'over_completeness': 0.125, 'ap': {'base': 0.75, 'key': key}}
        Path(words[words.index('--out') + 1]).write_text(json.dumps(content))


Call = Callable[..., str]
_prepared: dict[str, Any] = {}


def prepare_once(config: str | Path, *, cfg_options: dict[str, Any]) -> Any:
    """Read the same config with the same options once for all tests."""
    key = f'{config} {sorted(cfg_options.items(), key=str)}'
    if key not in _prepared:
        _prepared[key] = prepare_config(config, cfg_options=cfg_options)
    return _prepared[key]


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr('mmwtal.apis.ablation.runs.run_jobs', stand_in)
    monkeypatch.setattr('mmwtal.apis.ablation.cells.prepare_config', prepare_once)
    return stand_in


@pytest.fixture
def call(tool: ModuleType, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture, runner: StandIn) -> Call:
    """Run the tool with a plan; return what it says."""

    def run(*words: str, code: int = 0, **changes: Any) -> str:
        file = tmp_path / 'plan.yml'
        file.write_text(yaml.safe_dump({**PLAN, **changes}, sort_keys=False))
        own = [str(file), '--work-dir', str(tmp_path / 'w'), '--data', f'embedded={data}']
        with pytest.raises(SystemExit) as end:
            run_tool(tool.main, tool.build_parser(), [*own, *words])
        out, error = capsys.readouterr()
        assert end.value.code == code, out + error
        return error if code else out

    return run


def test_arms_of_a_seed_come_together_and_are_run_once(call: Call, runner: StandIn, tmp_path: Path) -> None:
    said = call('--dry-run')
    assert '21 runs, 0 finished, 21 to run' in said
    assert not (tmp_path / 'w').exists()
    call()
    names = [job.name for job in runner.jobs]
    assert names[:4] == [f'embedded/co2net/{arm} seed 0' for arm in ('base', 'dual', 'twin', 'ceiling')]
    assert names[7] == 'embedded/co2net/base seed 1'
    assert len(names) == len(set(names)) == 21
    assert '21 runs, 21 finished, 0 to run' in call('--dry-run')
    call()
    assert len(runner.jobs) == 21


def test_a_changed_plan_runs_what_is_new(call: Call, runner: StandIn, tmp_path: Path) -> None:
    call('--only', 'co2net/*')
    assert len(runner.jobs) == 12
    arms = {name: dict(arm) for name, arm in PLAN['arms'].items() if name != 'ceiling'}
    arms['dual']['options'] = {'model.guidance.teaching.loss_weight': 1.0}
    arms['bare'] = arms.pop('base')  # renamed: its runs stay
    arms['again'] = {'extends': 'dual'}  # the same config: it shares the runs
    FIGURES['co2net/again'] = FIGURES['co2net/dual']
    changed = {'arms': arms, 'references': ['bare'], 'aims': []}
    said = call('--only', 'co2net/*', **changed)
    assert [job.name for job in runner.jobs[12:]] == [f'embedded/co2net/dual seed {seed}' for seed in range(3)]
    # Runs that two arms share are counted once; those of um are missing.
    report = (tmp_path / 'w/develop/report.md').read_text()
    assert '- Runs: 9; versions' in report
    assert 'training 18 s (9 runs)' in report
    assert '**9 of 18 runs are missing**' in said
    call('--only', 'co2net/dual')
    assert len(runner.jobs) == 15


def test_an_interrupted_plan_goes_on(
    call: Call, runner: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner.interrupt_after = 5
    # The code changes while the plan runs; each run notes that by which it was begun.
    monkeypatch.setattr('mmwtal.apis.ablation.runs.package_sha256', lambda: f'code {len(runner.jobs)}')
    assert (
        call(code=130)
        .rstrip()
        .endswith(f'by SIGINT; 5 of 21 runs are finished in {tmp_path / "w"}; the same command goes on from there')
    )
    assert not (tmp_path / 'w' / 'develop' / 'report.md').exists()
    assert len([*(tmp_path / 'w').rglob('ablation.json')]) == 5
    runner.interrupt_after = None
    assert '21 runs, 5 finished already, 16 to run' in call()
    assert len(runner.jobs) == 21
    notes = [json.loads(file.read_text())['source'] for file in (tmp_path / 'w').rglob('ablation.json')]
    assert sorted(notes) == sorted([f'code {number}'] for number in range(1, 22))


def test_a_run_that_fails_does_not_stop_the_others(call: Call, runner: StandIn, tmp_path: Path) -> None:
    runner.broken = {'embedded/co2net/dual seed 1', 'embedded/um/dual seed 1'}
    error = call(code=2)
    assert error.startswith(
        'error: 2 of 21 runs failed\n  embedded/co2net/dual seed 1: training ended with exit code 2'
    )
    assert 'out of memory (log: ' in error
    assert 'log.txt' in error
    report = (tmp_path / 'w/develop/report.md').read_text()
    assert '**2 of 21 runs are missing**' in report
    assert '| dual | 2 of 3 | 37.00 ± 4.24 | +5.00 [-7.71, +17.71] |' in report
    aims = {aim['aim']: aim['verdict'] for aim in json.loads((tmp_path / 'w/develop/results.json').read_text())['aims']}
    # An aim waits for all of its runs, and one that asks for one of two bases for both of them.
    assert aims == {
        **dict.fromkeys(('lift', 'most', 'all', 'best', 'half', 'nearly'), 'not measured'),
        'control': 'missed',
    }
    runner.broken = set()
    call()
    assert len(runner.jobs) == 23


def test_the_report_has_the_figures_their_differences_and_the_aims(call: Call, tmp_path: Path) -> None:
    said = call('--seeds', 'develop')
    assert said.endswith(f'runs, with checkpoints, predictions and logs: {tmp_path / "w" / "runs"}\n')
    assert 'Note: an interval of 3 pairs says little: t is 4.3' in said
    report = (tmp_path / 'w/develop/report.md').read_text()
    for line in (
        '# A small plan',
        'Note: an interval of 3 pairs says little: t is 4.3, where five pairs have 2.8; add seeds.',
        '| base | 3 | 32.00 ± 2.00 |  | +0.00 [-2.48, +2.48] |',
        '| dual | 3 | 37.00 ± 3.00 | +5.00 [+2.52, +7.48] | +5.00 [+0.03, +9.97] |',
        '| dual | 44.00 ± 3.00 | 24.00 ± 3.00 | 34.00 ± 3.00 |'.replace('44', '47')
        .replace('24', '27')
        .replace('34', '37'),
        '| twin | +0.00 [-2.48, +2.48] | +3.00 [+0.52, +5.48] |',
        '| base | nothing added | co2net, um | `configs/quick/co2net_synthetic.py`, `configs/quick/um_synthetic.py` '
        '| `test_evaluator.tious=[0.3,0.5]` |',
        '- Time: training 42 s (21 runs), test 42 s (21 runs); threads of a run: 1.',
    ):
        assert line in report.splitlines(), line
    assert f'sha256 `{read_plan(tmp_path / "plan.yml").sha256}`' in report
    assert 'python tools/analysis/ablate.py plan.yml --seeds develop' in report
    assert str(tmp_path) not in report
    stored = json.loads((tmp_path / 'w/develop/results.json').read_text())
    aims = {aim['aim']: aim for aim in stored['aims']}
    assert {name: aim['verdict'] for name, aim in aims.items()} == {
        **{'lift': 'met', 'most': 'met', 'all': 'missed', 'control': 'missed', 'best': 'met', 'half': 'met'},
        'nearly': 'missed',
    }
    assert aims['half']['places'][0]['figures'] == ('+5.00 [+2.52, +7.48], 3 pairs; 50 % of the way to ceiling, +10.00')
    assert aims['best']['places'][0]['figures'].startswith('best is dual: +5.00')
    assert 'MISSED' in said
    [cell] = [one for one in stored['cells'] if (one['base'], one['arm']) == ('co2net', 'dual')]
    assert [run['average'] for run in cell['runs']] == [34, 37, 40]
    assert cell['runs'][0]['seconds'] == {'training': 2.0, 'test': 2.0}
    assert cell['runs'][0]['mAP'] == [44, 24]
    assert cell['differences']['base']['low'] == pytest.approx([2.5159] * 3, abs=1e-3)
    assert {'config_sha256', 'versions', 'protocol_hash', 'selection'} <= cell.keys()


def test_the_way_to_the_ceiling_is_that_of_seeds_that_both_have(call: Call, tmp_path: Path) -> None:
    arms = {**PLAN['arms'], 'ceiling': {**PLAN['arms']['ceiling'], 'seeds': {'develop': '0-1'}}}
    # Over the seeds 0 and 1 the arm gains 4.5, over all three 5; of 10 both times.
    aims = [{**PLAN['aims'][5], 'share': share} for share in (0.45, 0.48)]
    call('--only', 'co2net/*', arms=arms, aims=aims)
    found = json.loads((tmp_path / 'w/develop/results.json').read_text())['aims']
    assert [aim['verdict'] for aim in found] == ['met', 'missed']
    figures = '+5.00 [+2.52, +7.48], 3 pairs; 45 % of the way to ceiling, +10.00, over the 2 seeds that both have'
    assert found[0]['places'][0]['figures'] == figures
    call('--only', 'co2net/*', arms={**arms, 'dual': {'variant': '_dual-prior', 'seeds': {'develop': '2'}}}, aims=aims)
    [place] = json.loads((tmp_path / 'w/develop/results.json').read_text())['aims'][0]['places']
    assert (place['verdict'], place['figures']) == ('not measured', '+6.00, 1 pair; ceiling: no runs of these seeds')


def test_bases_are_counted_on_each_data(call: Call, data: Path, tmp_path: Path) -> None:
    bases = {**PLAN['bases'], 'um': {**PLAN['bases']['um'], 'other': PLAN['bases']['um']['embedded']}}
    arms = {name: PLAN['arms'][name] for name in ('base', 'dual')}
    aim = {'aim': 'not much worse', 'arm': 'dual', 'reference': 'base', 'above': -2}
    changes = {'data': {**PLAN['data'], 'other': None}, 'bases': bases, 'arms': arms, 'references': ['base']}
    call('--data', f'other={data}', **changes, aims=[aim])
    [aim] = json.loads((tmp_path / 'w/develop/results.json').read_text())['aims']
    assert aim['verdict'] == 'met'
    places = [('embedded', 'co2net'), ('embedded', 'um'), ('other', 'um')]
    assert [(place['data'], place['base']) for place in aim['places']] == places
    assert 'not much worse (2 of 2, 1 of 1 bases)' in (tmp_path / 'w/develop/report.md').read_text()


@pytest.mark.parametrize(
    ('file', 'keys', 'value', 'message'),
    [
        ('result.json', ('meta', 'seed'), 7, 'is the result of another run: seed is 7, expected 0'),
        ('result.json', ('meta', 'config_sha256'), 'x', 'is the result of another run: hash of the config is x'),
        ('result.json', ('meta', 'iteration'), 5, 'is the result of iteration 5, not of the last, 300'),
        ('result.json', ('meta', 'selection', 'rule'), 'best on test', 'is the result of another run: checkpoint sel'),
        ('ablation.json', ('data',), 'x', 'holds a run on other data than'),
    ],
)
def test_results_of_another_run_are_in_no_table(
    call: Call, tmp_path: Path, file: str, keys: tuple[str, ...], value: Any, message: str
) -> None:
    call('--only', 'um/base')
    [path] = (tmp_path / 'w/runs').glob(f'embedded/um/base-*/seed_0/{file}')
    content = json.loads(path.read_text())
    owner = content
    for key in keys[:-1]:
        owner = owner[key]
    owner[keys[-1]] = value
    path.write_text(json.dumps(content))
    assert message in call('--tables-only', code=2)


def test_tables_are_made_again_without_running(call: Call, runner: StandIn, tmp_path: Path) -> None:
    call('--only', 'um/*')
    first = (tmp_path / 'w/develop/report.md').read_text()
    call('--tables-only')
    assert len(runner.jobs) == 9
    assert (tmp_path / 'w/develop/report.md').read_text() == first
    call('--tables-only', '--seeds', 'report', '--out', str(tmp_path / 'other'))
    assert '**14 of 14 runs are missing**' in (tmp_path / 'other/report.md').read_text()


def test_another_metric_is_compared(call: Call, tmp_path: Path) -> None:
    call('--only', 'um/*', metric=0.5)
    report = (tmp_path / 'w/develop/report.md').read_text()
    assert '| base | 3 | 40.00 ± 0.00 |' in report
    assert 'mAP at tIoU 0.5' in report
    assert 'metric is the tIoU 0.7, the runs of base are scored at [0.3, 0.5]' in call(
        '--tables-only', metric=0.7, code=2
    )


def test_what_is_measured_has_columns_of_its_own(call: Call, runner: StandIn, tmp_path: Path) -> None:
    call('--only', 'um/*')
    call('--only', 'um/*', measure=['attention_quality'])
    # Finished runs are measured without being trained again.
    assert {len(job.steps) for job in runner.jobs[9:]} == {1}
    assert len(runner.jobs) == 18
    report = (tmp_path / 'w/develop/report.md').read_text()
    head = '| arm | n | average mAP | minus base | minus twin | incompleteness | over-completeness | AP base | AP key |'
    assert head in report.splitlines()
    assert '| 0.250 ± 0.000 | 0.125 ± 0.000 | 0.750 ± 0.000 | - |' in report
    call('--only', 'co2net/base', measure=['attention_quality'])
    assert [step.name for step in runner.jobs[-1].steps] == ['training', 'test', 'measuring']


def test_runs_on_other_data_are_refused(call: Call, data: Path, tmp_path: Path) -> None:
    call('--only', 'um/base')
    other = tmp_path / 'other'
    write_synthetic(other, num_train=8, num_test=4, seed=1)
    message = call('--data', f'embedded={other}', '--only', 'um/base', code=2)
    assert 'holds a run on other data' in message


def test_data_without_a_folder_are_left_out(call: Call, runner: StandIn, tmp_path: Path) -> None:
    bases = {'um': {**PLAN['bases']['um'], 'gym': 'configs/quick/um{variant}_synthetic.py'}}
    changes = {'data': {**PLAN['data'], 'gym': None}, 'bases': bases, 'aims': PLAN['aims'][2:3]}
    arms = {name: arm for name, arm in PLAN['arms'].items() if name != 'ceiling'}
    said = call(**changes, arms=arms)
    assert 'data gym: no folder is given, its runs are left out; give --data gym=PATH' in said
    assert len(runner.jobs) == 9
    stored = json.loads((tmp_path / 'w/develop/results.json').read_text())
    assert stored['aims'][0]['verdict'] == 'missed'
    assert [place['verdict'] for place in stored['aims'][0]['places']] == ['missed', 'not measured']
    assert stored['command'].endswith('--data gym=PATH')


def test_the_embedded_dataset_is_written_where_it_is_missing(
    tool: ModuleType, tmp_path: Path, runner: StandIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    written = []

    def write(root: Path, *, overwrite: bool) -> None:
        written.append((root, overwrite))
        write_synthetic(root, num_train=8, num_test=4)

    monkeypatch.setattr('mmwtal.apis.ablation.runs.write_synthetic', write)
    file = tmp_path / 'plan.yml'
    file.write_text(yaml.safe_dump(PLAN))
    for _ in range(2):
        args = tool.build_parser().parse_args([str(file), '--work-dir', str(tmp_path / 'w'), '--only', 'um/base'])
        tool.main(args)
    assert written == [(tmp_path / 'w/data/embedded', False)]
    assert len(runner.jobs) == 3


def test_only_the_tools_own_data_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []
    monkeypatch.setattr(
        'mmwtal.apis.ablation.runs.write_synthetic', lambda root, **words: written.append((root, words))
    )
    file = tmp_path / 'plan.yml'
    file.write_text(yaml.safe_dump(PLAN))
    plan, own = read_plan(file), tmp_path / 'w' / 'data'
    cells = [argparse.Namespace(data='embedded')]
    full, empty, left = tmp_path / 'full', tmp_path / 'empty', own / 'embedded'
    for folder in (full, empty, left):
        folder.mkdir(parents=True)
    for folder in (full, left):
        (folder / 'kept.txt').write_text('of the user')
    with pytest.raises(UserError, match=r'full has no annotations\.json, and is not empty'):
        write_data(plan, cells, {'embedded': full}, own=own, report=str)
    for folder in (empty, left):
        write_data(plan, cells, {'embedded': folder}, own=own, report=str)
    assert written == [(empty, {'overwrite': False}), (left, {'overwrite': True})]


@pytest.mark.parametrize(
    ('words', 'changes', 'message'),
    [
        (['--seeds', 'final'], {}, 'has no such set of seeds; valid are: develop, report'),
        (['--only', 'um/deal'], {}, 'no arm is called so; expected BASE/ARM or DATA/BASE/ARM, such as co2net/base'),
        (['--data', 'gym=.'], {}, 'has no such data; valid are: embedded'),
        (['--data', 'embedded=nowhere'], {}, 'is no folder'),
        ([], {'protocol': 'anet'}, "test_evaluator.protocol is 'wtal_grid', the plan states 'anet'"),
        ([], {'options': {'model.head.dropuot': 1}}, "did you mean 'dropout'?"),
        ([], {'bases': {'co2net': {'embedded': 'configs/{model}.py'}}}, 'expected no place holder but {base}'),
        ([], {'bases': {'co2net': {'embedded': 'configs/none.py'}}}, 'configs/none.py'),
        ([], {'bases': {'um': PLAN['bases']['um']}, 'arms': {'base': {'data': []}}}, 'no arm is run with any base'),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    call: Call, runner: StandIn, words: list[str], changes: dict[str, Any], message: str
) -> None:
    changes = {'aims': [], 'references': ['base'], **changes} if changes else {}
    if 'bases' in changes:
        changes = {'arms': {'base': {}}, **changes}
    assert message in call(*words, **changes, code=2)
    assert runner.jobs == []


@pytest.fixture(scope='module')
def shipped(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    plan = read_plan(SHIPPED)
    return make_cells(plan, chosen='report', repository=ROOT, work_dir=tmp_path_factory.mktemp('w'))


def test_the_shipped_plan_has_a_valid_config_for_every_arm_and_base(shipped: list[Any]) -> None:
    assert {cell.base for cell in shipped} == {'co2net', 'delu', 'ddgnet', 'um', 'basnet'}
    arms = {cell.arm.name for cell in shipped}
    assert arms >= {'base', 'twin', 'template', 'key', 'complete', 'dual', 'constant', 'ceiling', 'wrong_words'}
    assert {cell.arm.name for cell in shipped if cell.base == 'co2net'} == arms
    others = [{cell.arm.name for cell in shipped if cell.base == base} for base in ('delu', 'ddgnet', 'um', 'basnet')]
    assert all(found == {'base', 'twin', 'dual', 'ceiling'} for found in others)
    # Arms that are the same config would be one.
    assert len({cell.folder for cell in shipped}) == len(shipped)


@pytest.mark.parametrize(('name', 'chosen', 'count'), [('quickstart', 'quick', 2), ('guidance_gym', 'report', 14)])
def test_the_other_shipped_plans(name: str, chosen: str, count: int, tmp_path: Path) -> None:
    plan = read_plan(SHIPPED.with_stem(name))
    assert len(make_cells(plan, chosen=chosen, repository=ROOT, work_dir=tmp_path)) == count


def test_every_arm_of_the_shipped_plan_can_be_built(
    shipped: list[Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # mmengine's logger holds on to the stream that an earlier test was captured with.
    monkeypatch.setattr(logging, 'raiseExceptions', False)
    built = {}
    for cell in shipped:
        if cell.base != 'co2net' or cell.arm.name.startswith('aligned'):  # those need a second stream
            continue
        cfg = prepare_config(ROOT / cell.config, cfg_options=_options(cell), data_root=data)
        cfg.model.update(num_classes=8, in_channels=128)
        model = MODELS.build(cfg.model)
        built[cell.arm.name] = type(model.guidance).__name__
        if cfg.optim_wrapper.get('constructor') is not None:
            wrapper = {key: value for key, value in cfg.optim_wrapper.items() if key != 'constructor'}
            options = wrapper.pop('paramwise_cfg')
            ParamGroupConstructor(optim_wrapper_cfg=wrapper, paramwise_cfg=options)(model)
    assert built.pop('ceiling') == 'GroundTruthOracle'
    assert built.pop('base') == built.pop('twin') == 'NoneType'
    assert set(built.values()) == {'DualPriorGuidance'}


def _options(cell: Any) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    return parser.parse_args(['--cfg-options', *cell.options] if cell.options else []).cfg_options
