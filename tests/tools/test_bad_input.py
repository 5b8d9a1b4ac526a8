"""Every tool with bad input: one message, exit code 2, no traceback, and nothing half-written.

A further tool is one more entry of the table in ``bad_input_table.py``.
"""

import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mmwtal.utils.cli import run_tool

from .bad_input_table import CONFIG, ROOT, TOOLS, Tool, write_sound_inputs


@pytest.fixture(scope='module')
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The inputs of all tools, sound."""
    return write_sound_inputs(tmp_path_factory.mktemp('sound'))


@pytest.fixture(scope='module')
def modules() -> dict[str, ModuleType]:
    loaded = {}
    for name, tool in TOOLS.items():
        spec = importlib.util.spec_from_file_location(f'bad_input_{name}', ROOT / 'tools' / tool.path)
        loaded[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
    return loaded


Refuse = Callable[..., str]


@pytest.fixture
def refuse(
    modules: dict[str, ModuleType],
    sound: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Refuse:
    """Run a tool that must refuse its input, with some of the files replaced; return the message."""
    monkeypatch.chdir(ROOT)
    # mmengine's logger holds on to the stream that an earlier run was captured with.
    monkeypatch.setattr(logging, 'raiseExceptions', False)

    def run(name: str, *options: str, at: str = '', **replaced: object) -> str:
        tool, module = TOOLS[name], modules[name]
        files = {**sound, 'out': tmp_path / 'out', **replaced}
        words = [word.format_map(files) for word in (*tool.argv.split(), *options)]
        out = Path(str(files['out']))
        before = snapshot(out)
        parser = module.parser() if hasattr(module, 'parser') else module.build_parser()
        with pytest.raises(SystemExit) as end:
            run_tool(module.main, parser, words)
        said, error = capsys.readouterr()
        assert end.value.code == 2, said + error
        assert 'Traceback' not in said + error
        if tool.reports_on_stdout and not error:
            assert 'cannot be read' in said or 'problem' in said
            return said
        if error.startswith('usage: '):
            error = error[error.index('error: ') :]
        assert error.startswith('error: ') or name in ('train', 'test')
        assert error.count('error: ') == 1
        check_unchanged(tool, out, before)
        return error

    return run


def snapshot(path: Path) -> dict[str, bytes] | None:
    try:
        if path.is_file():
            return {'': path.read_bytes()}
        return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob('*') if file.is_file()}
    except OSError:
        return None


def check_unchanged(tool: Tool, out: Path, before: dict[str, bytes] | None) -> None:
    after = snapshot(out)
    if tool.path in ('train.py', 'test.py'):  # logs of the attempt may stay
        after = {name: content for name, content in (after or {}).items() if name.endswith(('.pth', '.json'))}
        before = {name: content for name, content in (before or {}).items() if name.endswith(('.pth', '.json'))}
        after = {name: content for name, content in after.items() if 'vis_data' not in name}
    assert after == before
    assert not list(out.parent.glob('.*.tmp'))


def spoilt_as(kind: str, path: Path, folder: Path) -> Path:
    """Make the input of a kind: a file or folder that stands for ``path``."""
    target = folder / path.name
    if kind == 'empty':
        target.mkdir() if path.is_dir() else target.touch()
    elif kind == 'folder for file, file for folder':
        target.touch() if path.is_dir() else target.mkdir()
    elif kind == 'broken link':
        target.symlink_to(folder / 'nowhere')
    elif kind == 'link to itself':
        target.symlink_to(target)
    elif kind != 'absent':
        change = {'cut': cut, 'not UTF-8': lambda content: b'\xff\xfe' + content, 'other type': lambda _: b'[1, 2]'}[
            kind
        ]
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, target)
        for file in [target, *target.rglob('*.*')]:
            if file.is_file():
                file.write_bytes(change(file.read_bytes()))
    return target


def cut(content: bytes) -> bytes:
    """Cut a file in the middle, a CSV file or a config before a delimiter, as their halves may be sound."""
    if content.isascii() and content and not content.startswith(b'{'):
        return content[: content.rindex(b'(') + 1] if b'(' in content else content[: content.rindex(b',')]
    return content[: len(content) // 2]


KINDS = ('empty', 'folder for file, file for folder', 'cut', 'not UTF-8', 'other type', 'broken link', 'link to itself')
INPUTS = [(name, slot) for name, tool in TOOLS.items() for slot in tool.inputs]


@pytest.mark.parametrize(('name', 'slot'), INPUTS)
@pytest.mark.parametrize('kind', ['absent', *KINDS])
def test_an_input_that_is_not_what_it_should_be(
    name: str, slot: str, kind: str, refuse: Refuse, sound: dict[str, Path], tmp_path: Path
) -> None:
    if (kind, slot) in TOOLS[name].takes:
        pytest.skip('this is all right for the tool')
    (tmp_path / 'given').mkdir()
    spoilt = spoilt_as(kind, sound[slot], tmp_path / 'given')
    message = refuse(name, **{slot: spoilt})
    assert 'given' in message or '[1.npy' in message, 'the message names the file, or the video that it names'


ODD_NAMES = ('with space', 'ünïcode 动作', 'new\nline', '-dash', 'x' * 300, 'a/' * 3000, '\udcff', '.', '*', '{}', '%s')


@pytest.mark.parametrize(('name', 'slot'), INPUTS)
def test_names_that_are_odd(name: str, slot: str, refuse: Refuse, tmp_path: Path) -> None:
    for odd in ODD_NAMES:
        refuse(name, **{slot: odd if odd == '-dash' else tmp_path / odd / 'absent'})


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read and write everything')
@pytest.mark.parametrize(('name', 'slot'), INPUTS)
def test_an_input_that_may_not_be_read(
    name: str, slot: str, refuse: Refuse, sound: dict[str, Path], tmp_path: Path
) -> None:
    target = tmp_path / 'given' / sound[slot].name
    target.parent.mkdir()
    shutil.copytree(sound[slot], target) if sound[slot].is_dir() else shutil.copy(sound[slot], target)
    target.chmod(0)
    try:
        assert 'given' in refuse(name, **{slot: target})
    finally:
        target.chmod(0o755)


@pytest.mark.parametrize(('name', 'option'), [(name, option) for name, tool in TOOLS.items() for option in tool.wrong])
def test_an_option_that_is_wrong(name: str, option: str, refuse: Refuse) -> None:
    refuse(name, *option.split())


@pytest.mark.parametrize(
    ('name', 'option', 'expected'),
    [
        ('train', 'randomness.seed=-1', 'randomness.seed must be from 0 to 2^32 - 1, found -1'),
        ('test', 'randomness.seed=4294967296', 'randomness.seed must be from 0 to 2^32 - 1, found 4294967296'),
        ('train', 'train_cfg.max_iters=0', 'train_cfg.max_iters must be at least 1, found 0'),
        ('train', 'model.head.dropout=2', 'dropout probability has to be between 0 and 1, but got 2'),
        ('train', 'train_dataloader.num_workers=-1', 'num_workers option should be non-negative'),
        ('check_config', 'model.head.² =1', 'model.head'),
    ],
)
def test_a_value_that_is_out_of_range(name: str, option: str, expected: str, refuse: Refuse) -> None:
    assert expected in refuse(name, '--cfg-options', option)


def test_subsets_that_share_no_video(refuse: Refuse, tmp_path: Path) -> None:
    message = refuse('test', '--cfg-options', 'test_evaluator.subset=training')
    assert "test_evaluator subset 'training', and no video is in both" in message
    assert not list((tmp_path / 'out').rglob('predictions.json'))


@pytest.mark.parametrize('name', TOOLS)
def test_unknown_arguments(name: str, refuse: Refuse) -> None:
    refuse(name, '--no-such-option')
    refuse(name, 'one', 'too', 'many', 'words', 'here')


WRITERS = [name for name, tool in TOOLS.items() if tool.output is not None]


@pytest.mark.parametrize('name', WRITERS)
def test_an_output_that_cannot_be_written(name: str, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('kept')
    (tmp_path / 'folder').mkdir()
    outputs = [tmp_path / 'file' / 'below', Path('/dev/null/x'), Path('/proc/nowhere/x'), tmp_path / ('x' * 300)]
    outputs.append(tmp_path / 'folder' if TOOLS[name].output_is_file else tmp_path / 'file')
    for out in outputs:
        refuse(name, out=out)
    assert (tmp_path / 'file').read_text() == 'kept'


@pytest.mark.parametrize(('name', 'slot'), [(name, slot) for name, slot in INPUTS if name in WRITERS])
def test_an_output_that_is_an_input(
    name: str, slot: str, refuse: Refuse, sound: dict[str, Path], tmp_path: Path
) -> None:
    if name in ('train', 'test') and sound[slot].is_dir():
        pytest.skip('logs and checkpoints may lie beside anything')
    if (name == 'custom' and slot == 'features') or (name == 'thumos14' and slot == 'thumos14'):
        pytest.skip('a data root may be made in a folder that holds other files')
    content = snapshot(sound[slot])
    refuse(name, out=sound[slot])
    assert snapshot(sound[slot]) == content


@pytest.mark.parametrize('argv', [['tools/train.py', CONFIG, '--data-root', '\udcff'], ['tools/evaluate.py', '-', '-']])
def test_in_a_process_of_its_own(argv: list[str], tmp_path: Path) -> None:
    extra = ['--work-dir', str(tmp_path)] if 'train' in argv[0] else ['--protocol', 'anet']
    environment = {'PYTHONPATH': str(ROOT), 'PATH': os.environ['PATH'], 'LC_ALL': 'C', 'PYTHONUTF8': '0'}
    done = subprocess.run(
        [sys.executable, *argv, *extra], cwd=ROOT, env=environment, capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(b'error: ')
    assert b'Traceback' not in done.stderr
