"""Whatever a converter is given: it converts, or ends with one message and leaves nothing that looks finished."""

import contextlib
import importlib.util
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.formats.annotations import read_annotations
from mmwtal.utils.cli import run_tool

from .data_files import SIDECAR, fuzz, object_array, spoilt, spoilt_npy
from .mutations import spoilt_bytes, spoilt_json, spoilt_tree


def load_tool(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f'fuzzed_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


Exit = Callable[..., int]


@pytest.fixture(scope='module')
def run(repo_root: Path) -> Callable[[str], Exit]:
    """Run a converter in this process; anything but an exit with 0 or 2 is an error of the test."""

    def tool(name: str) -> Exit:
        module = load_tool(repo_root / 'tools' / 'dataset_converters' / f'{name}.py')

        def call(*argv: object) -> int:
            said, error = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(error), pytest.raises(SystemExit) as end:
                run_tool(module.main, module.build_parser(), [str(word) for word in argv])
            assert end.value.code in (0, 2), error.getvalue()
            assert end.value.code == 0 or error.getvalue().startswith('error: ')
            return end.value.code

        return call

    return tool


CSV = {
    'labels.csv': b'video,label\none,jump;run\nlast,run\n',
    'test.csv': b'two,1.0,2.5,run\ntwo,0,1,"jump"\n',
    'durations.csv': b'\xef\xbb\xbfone,2.56\r\ntwo,3.84\r\nlast,3.2\r\n',
}
CELLS = (
    b'one',
    b'two',
    b'',
    b'"',
    b',',
    b';',
    b'nan',
    b'1e999',
    b'-1',
    b'../one',
    b'\0',
    b'\xff',
    b'\xc3\xbc',
    b'Run',
    b'\r',
    b'x' * 300,
)


@fuzz
@given(data=st.data())
def test_custom_converter(root: Path, run: Callable[[str], Exit], data: st.DataObject) -> None:
    source, out = root.parent / 'csv', root.parent / 'converted'
    source.mkdir(exist_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    chosen = data.draw(st.sampled_from([*CSV, 'features.json', 'one.npy']))
    for name, content in CSV.items():
        if name == chosen:
            cells = content.replace(b'\n', b',').split(b',')
            word = data.draw(st.sampled_from([cell for cell in cells if cell]))
            swapped = content.replace(word, data.draw(st.sampled_from(CELLS)), 1)
            content = data.draw(st.just(swapped) | spoilt_bytes(content))
        (source / name).write_bytes(content)
    content = data.draw(spoilt_npy() if chosen == 'one.npy' else spoilt_json(SIDECAR))
    with (
        spoilt(root / 'features' / (chosen if chosen not in CSV else 'one.npy'), content)
        if chosen not in CSV
        else contextlib.nullcontext()
    ):
        options = ['--test-csv', source / 'test.csv', '--durations', source / 'durations.csv']
        code = run('custom')(root / 'features', source / 'labels.csv', out, *options)
    assert (out / 'annotations.json').exists() == (code == 0)


def thumos14_columns() -> dict[str, list]:
    return {
        'videoname': [b'video_validation_0000001', b'video_test_0000003'],
        'subset': [b'validation', b'test'],
        'duration': [6.4, 9.6],
        'segments': [[[1.0, 2.5], [3.0, 4.0]], []],
        'labels': [[b'Diving', b'HighJump'], []],
        'labels_all': [[b'Diving'], []],
        'classlist': [b'Diving', b'HighJump'],
        'extracted_fps': [10, 10],
    }


ODD = st.sampled_from(
    [
        *(None, 0, -1.0, float('nan'), float('inf'), 10**400, True, np.float32(3), np.zeros((2, 2))),
        *(b'\xff', b'', 'x', '\ud800', b'a/b', {}, [], [[]], [1], [None], [b'Diving', b'Diving'], ([1, 2], [3, 4])),
        *([[1, 2, 3]], [['a', 'b']], [[float('nan'), 1]]),
    ]
)


@fuzz
@given(columns=spoilt_tree(thumos14_columns, ODD), features=st.sampled_from(['none', 'sound', 'odd']), odd=ODD)
def test_thumos14_converter(root: Path, run: Callable[[str], Exit], columns: dict, features: str, odd: Any) -> None:
    source, out = root.parent / 'thumos14', root.parent / 'converted'
    for folder in (source, out):
        shutil.rmtree(folder, ignore_errors=True)
    source.mkdir()
    for name, column in columns.items():
        array = object_array(column) if isinstance(column, list) else np.array(column, dtype=object)
        np.save(source / f'{name}.npy', array, allow_pickle=True)
    options = []
    if features != 'none':
        arrays = [np.ones((4, 8), np.float32), np.ones((6, 8), np.float32) if features == 'sound' else odd]
        np.save(source / 'joint.npy', object_array(arrays), allow_pickle=True)
        options = ['--features', source / 'joint.npy']
    code = run('thumos14')(source, out, *options)
    assert (out / 'annotations.json').exists() == (code == 0)
    if code == 0:
        read_annotations(out / 'annotations.json')
