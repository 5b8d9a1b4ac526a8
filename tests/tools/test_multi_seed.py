"""Several seeds in child processes: interrupted, continued, refused, failed, and summed up."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmwtal.datasets.synthetic import write_synthetic
from mmwtal.evaluation.runs import read_runs
from mmwtal.utils.cli import run_tool
from mmwtal.utils.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/quick/co2net_synthetic.py'
SHORT = [
    'train_cfg.max_iters=6',
    'default_hooks.checkpoint.interval=1',
    'train_dataloader.dataset.pipeline.1.length=30',
]


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('data') / 'synthetic'
    write_synthetic(root, num_train=16, num_test=4)
    return root


@pytest.fixture(scope='module')
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location('multi_seed_tool', ROOT / 'tools/analysis/multi_seed.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def command(work_dir: Path, data: Path, *words: object) -> list[str]:
    own = ['--work-dir', work_dir, '--data-root', data, '--threads', 1]
    return [sys.executable, str(ROOT / 'tools/analysis/multi_seed.py'), CONFIG, *map(str, (*own, *words))]


@pytest.fixture
def call(
    tool: ModuleType, data: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run the tool in this process, for what starts no child; return what it says."""
    monkeypatch.chdir(ROOT)

    def run(work_dir: Path, *words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as end:
            run_tool(tool.main, tool.build_parser(), command(work_dir, data, *words)[2:])
        out, error = capsys.readouterr()
        assert end.value.code == code, out + error
        return error if code else out

    return run


@pytest.fixture(scope='module')
def first(data: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess:
    """Two seeds and, between them, one that cannot start."""
    work_dir = tmp_path_factory.mktemp('undisturbed')
    (work_dir / 'seed_1').mkdir()
    (work_dir / 'seed_1' / 'iter_3.pth').write_text('no checkpoint')
    words = command(work_dir, data, '--seeds', '0-2', '--jobs', 2, '--cfg-options', *SHORT)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    done.work_dir = work_dir
    return done


@pytest.fixture(scope='module')
def undisturbed(first: subprocess.CompletedProcess) -> Path:
    return first.work_dir


def test_a_seed_that_fails_does_not_stop_the_others(first: subprocess.CompletedProcess, undisturbed: Path) -> None:
    assert first.returncode == 2, first.stdout + first.stderr
    assert first.stderr.startswith('error: 1 of 3 seeds failed\n  seed 1: training ended with exit code 2: ')
    assert str(undisturbed / 'seed_1' / 'log.txt') in first.stderr
    assert 'iter_3.pth' in first.stderr.split('(log')[0]
    assert 'Traceback' not in first.stderr
    assert 'seed 1: training FAILED' in first.stdout
    assert read_runs(undisturbed).seeds == (0, 2)
    assert f'\n--cfg-options {" ".join(SHORT)}\n' in first.stdout


def test_each_seed_is_a_run_of_its_own(undisturbed: Path) -> None:
    for seed in (0, 2):
        result = json.loads((undisturbed / f'seed_{seed}' / 'result.json').read_text())
        assert result['meta']['seed'] == seed
        assert result['meta']['iteration'] == 6
        log = (undisturbed / f'seed_{seed}' / 'log.txt').read_text()
        assert 'tools/train.py' in log
        assert 'tools/test.py' in log
    zero, two = read_runs(undisturbed).runs
    assert zero.mAP != two.mAP
    assert read_runs(undisturbed / 'seed_2').runs == (two,)


def test_the_summary_is_what_its_runs_make_and_names_no_machine(undisturbed: Path) -> None:
    text = (undisturbed / 'summary.json').read_text()
    summary = json.loads(text)
    averages = [run.average for run in read_runs(undisturbed).runs]
    assert summary['mean']['average'] == pytest.approx(np.mean(averages), abs=1e-4)
    assert summary['sd']['average'] == pytest.approx(np.std(averages, ddof=1), abs=1e-4)
    assert [run['seed'] for run in summary['runs']] == [0, 2]
    assert (summary['config'], summary['protocol'], summary['selection']) == (CONFIG, 'wtal_grid', 'last')
    assert summary['threads'] == 1
    assert summary['command'].startswith(f'python tools/analysis/multi_seed.py {CONFIG} --seeds 0,2 --threads 1')
    assert summary['command'].endswith(' '.join(SHORT))
    assert str(undisturbed.parent) not in text
    markdown = (undisturbed / 'summary.md').read_text()
    assert '| mean |' in markdown
    assert summary['video_list_hash'] in markdown
    options = f'--cfg-options {" ".join(SHORT)}'
    assert options in markdown.splitlines()
    assert summary['cfg_options'] == SHORT


def test_an_interrupted_run_goes_on_and_ends_alike(
    undisturbed: Path, call: Callable[..., str], data: Path, tmp_path: Path
) -> None:
    words = ['--seeds', '0', '--cfg-options', *SHORT]
    process = subprocess.Popen(
        command(tmp_path, data, *words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob('seed_0/iter_*.pth')) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == (
        f'interrupted: by SIGINT; 0 of 1 seeds are finished in {tmp_path}; the same command goes on from there'
    )
    assert not (tmp_path / 'summary.json').exists()
    # What is there is not continued with other settings.
    message = call(tmp_path, *words, 'model.head.dropout=0.1', code=2)
    assert 'config.model.head.dropout: 0.1, 0.3' in message
    assert 'choose another --work-dir' in message
    call(tmp_path, *words)
    assert read_runs(tmp_path).runs == read_runs(undisturbed / 'seed_0').runs
    assert json.loads((tmp_path / 'summary.json').read_text())['sd'] is None


def test_finished_seeds_are_skipped(undisturbed: Path, call: Callable[..., str], tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.glob('seed_*/result.json')}
    out = tmp_path / 'stored.json'
    said = call(undisturbed, '--seeds', '2,0', '--out', out, '--cfg-options', *SHORT)
    assert said.count('finished already') == 2
    assert {path: path.stat().st_mtime_ns for path in undisturbed.glob('seed_*/result.json')} == before
    assert out.read_text() == (undisturbed / 'summary.json').read_text()


def test_a_finished_run_of_something_else_is_refused(undisturbed: Path, call: Callable[..., str]) -> None:
    words = ['--seeds', '0', '--cfg-options', *SHORT]
    assert 'select_on_test: True, False' in call(undisturbed, '--select-on-test', *words, code=2)
    assert 'data_root.0: ' in call(undisturbed, '--data-root', undisturbed, *words, code=2)
    file = undisturbed / 'seed_0' / 'result.json'
    content = file.read_text()
    for old, new, message in (
        ('"seed": 0', '"seed": 5', 'seed is 5, expected 0'),
        ('"config_sha256": "', '"config_sha256": "0', 'hash of the config is 0'),
        ('"rule": "last"', '"rule": "best on the test split"', 'selected on the test split is True, expected False'),
        ('"iteration": 6', '"iteration": 3', 'of iteration 3, not of the last, 6; delete this file'),
    ):
        assert old in content
        file.write_text(content.replace(old, new))
        found = call(undisturbed, *words, code=2)
        assert message in found
        assert str(file) in found
    file.write_text(content)


def test_settings_of_runs_that_got_nowhere_do_not_bind(tool: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / tool.SETTINGS_NAME
    for root in ('wrong', 'right'):
        tool._check_settings(file, {'data_root': [root]})
        assert json.loads(file.read_text()) == {'data_root': [root]}
    (tmp_path / 'seed_0').mkdir()
    (tmp_path / 'seed_0' / 'iter_1.pth').touch()
    with pytest.raises(UserError, match=r"data_root.0: 'other', 'right'"):
        tool._check_settings(file, {'data_root': ['other']})


def test_settings_bind_results_whose_checkpoints_were_deleted(tool: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / tool.SETTINGS_NAME
    tool._check_settings(file, {'data_root': ['earlier']})
    (tmp_path / 'seed_0').mkdir()
    (tmp_path / 'seed_0' / 'result.json').touch()
    with pytest.raises(UserError, match=r"data_root.0: 'other', 'earlier'"):
        tool._check_settings(file, {'data_root': ['other']})


def test_changed_code_of_the_users_own_is_refused(
    tool: ModuleType, call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, work_dir = tmp_path / 'own', tmp_path / 'w'
    own.mkdir()
    (own / 'wtal_seeded.py').write_text('RATE = 1\n')
    (own / 'own.py').write_text(f"_base_ = [{str(ROOT / CONFIG)!r}]\ncustom_imports = dict(imports=['wtal_seeded'])\n")
    monkeypatch.syspath_prepend(own)
    monkeypatch.setattr(sys.modules[__name__], 'CONFIG', str(own / 'own.py'))
    monkeypatch.setattr(tool, 'run_jobs', lambda *_, **__: [])
    monkeypatch.setattr(tool, '_sum_up', lambda *_: None)
    call(work_dir, '--seeds', '0')
    (work_dir / 'seed_0' / 'iter_1.pth').touch()
    call(work_dir, '--seeds', '0')
    (own / 'wtal_seeded.py').write_text('RATE = 2\n')
    message = call(work_dir, '--seeds', '0', code=2)
    assert 'source of custom_imports.wtal_seeded: ' in message
    assert 'choose another --work-dir' in message


def test_children_of_a_killed_run_keep_the_folder_locked(
    tool: ModuleType, call: Callable[..., str], tmp_path: Path
) -> None:
    with tool._locked(tmp_path) as lock:
        assert 'runs are under way in it' in call(tmp_path, '--seeds', '0', code=2)
        child = subprocess.Popen(['sleep', '60'], pass_fds=(lock,))
    try:
        assert 'runs are under way in it' in call(tmp_path, '--seeds', '0', code=2)
    finally:
        child.kill()
        child.wait()
    with tool._locked(tmp_path):
        pass


def test_selection_on_the_test_split_scores_that_checkpoint(tool: ModuleType, tmp_path: Path) -> None:
    words = [CONFIG, '--seeds', '7', '--select-on-test', '--cfg-options', 'a.b=[1,2]', 'c=x y']
    args = tool.build_parser().parse_args(words)
    train, test = tool._job(args, tmp_path, 7).steps
    assert train.command[2:] == (
        *(CONFIG, '--seed', '7', '--resume', '--select-on-test', '--work-dir', str(tmp_path / 'seed_7')),
        *('--cfg-options', 'a.b=[1,2]', 'c=x y'),
    )
    assert test.command[3] == str(tmp_path / 'seed_7' / 'best_on_test.pth')
    assert "--select-on-test --cfg-options 'a.b=[1,2]' 'c=x y'" in tool._command(args, CONFIG, (7,))


@pytest.mark.parametrize(
    ('text', 'seeds'), [('0-4', (0, 1, 2, 3, 4)), ('0,2,7', (0, 2, 7)), ('10-12,3', (10, 11, 12, 3)), ('5', (5,))]
)
def test_seeds(tool: ModuleType, text: str, seeds: tuple[int, ...]) -> None:
    assert tool.parse_seeds(text) == seeds
    assert tool.parse_seeds(tool.seeds_text(seeds)) == seeds


@pytest.mark.parametrize('text', ['', 'x', '4-0', '1,', '0-', '-1', '0,0', '0-3,2', '0-99999999', '4294967296', '1.5'])
def test_seeds_that_are_none(tool: ModuleType, text: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as end:
        tool.build_parser().parse_args([CONFIG, f'--seeds={text}'])
    assert end.value.code == 2
    assert '--seeds: expected' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--jobs', '0'], '--jobs'),
        (['--threads', 'x'], '--threads: expected a whole number from 1, found'),
        (['--cfg-options', 'randomness.seed=3'], 'the seeds are given with --seeds'),
        (['--cfg-options', 'train_cfg.max_itres=3'], 'max_iters'),
        (['--out', 'no/such/folder.json'], 'expected a file in an existing folder'),
        (['--out', CONFIG], 'not the config itself'),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    call: Callable[..., str], tmp_path: Path, words: list[str], message: str
) -> None:
    assert message in call(tmp_path / 'w', '--seeds', '0', *words, code=2)
    assert not list(tmp_path.rglob('seed_*'))


def test_threads_of_the_environment_that_are_no_number(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv('OMP_NUM_THREADS', 'many')
    words = [str(ROOT / CONFIG), '--seeds', '0', '--work-dir', str(tmp_path / 'w')]
    with pytest.raises(UserError, match="OMP_NUM_THREADS is 'many', expected a whole number"):
        tool.main(tool.build_parser().parse_args(words))
    assert not (tmp_path / 'w').exists()


def test_threads_share_the_cores(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr(tool, 'run_jobs', lambda jobs, *, environment, **_: asked.append(environment) or [])
    monkeypatch.setattr(tool, '_sum_up', lambda *_: None)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: range(8), raising=False)
    for words, of_environment, threads in (
        (['--jobs', '3'], None, '2'),
        (['--jobs', '20'], None, '1'),
        (['--jobs', '3'], '5', '5'),
        (['--jobs', '3'], '5,2', '5'),
        (['--threads', '4'], '5', '4'),
    ):
        if of_environment is None:
            monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
        else:
            monkeypatch.setenv('OMP_NUM_THREADS', of_environment)
        arguments = [str(ROOT / CONFIG), '--seeds', '0', '--work-dir', str(tmp_path), *words]
        tool.main(tool.build_parser().parse_args(arguments))
        assert asked[-1]['OMP_NUM_THREADS'] == threads
