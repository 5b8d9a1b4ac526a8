"""Every value of a merged config is traced to the line that wrote it; what cannot be read is one message."""

import re
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.utils.config.origin import COMMAND_LINE, load_config
from mmwtal.utils.errors import UserError


@pytest.fixture
def write(tmp_path):
    def write_file(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip('\n'), encoding='utf-8')
        return path

    return write_file


def leaves(node, path=()):
    if isinstance(node, dict | list | tuple) and node:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path, node


def assert_every_line_holds_its_value(path):
    cfg, origins = load_config(path)
    found = list(leaves(cfg.to_dict()))
    for keys, value in found:
        origin = origins.value(keys)
        assert origin.line is not None, (keys, origin)
        line = Path(origin.source).read_text(encoding='utf-8').splitlines()[origin.line - 1]
        assert re.search(rf'(?<!\w){re.escape(repr(value))}(?!\w)', line), (keys, value, str(origin), line)
    return found


def test_inheritance_helpers_unpacking_and_references(write):
    write(
        'base/model.py',
        """
        _width = 11
        _common = dict(rate=12,
                       depth=13)
        model = dict(
            type='a',
            width=_width,
            head=dict(**_common, losses=dict(first=dict(k=14), second=dict(k=15))),
            stages=[
                dict(n=16),
                dict(n=17),
            ],
        )
        """,
    )
    write('base/inner/deep.py', "runtime = dict(\n    log='b',\n    every=21,\n)\n")
    write('base/runtime.py', "_base_ = './inner/deep.py'\nruntime = dict(every=22)\nseed = 23\n")
    write('base/guidance.py', "_guidance = dict(\n    weight=31,\n    kind='c')\n_list = [32,\n  33]\n")
    leaf = write(
        'leaf/leaf.py',
        """
        _base_ = [
            '../base/model.py', '../base/runtime.py',
            '../base/guidance.py',
        ]
        _extra = [
            dict(n=41)]
        model = dict(
            guidance={{_base_._guidance}},
            head=dict(
                rate=42,
                losses=dict(second=dict(_delete_=True,
                                        j=43),
                            third={'k': 44})),
            stages=_base_.model.stages + _extra,
        )
        pair = (
            45,
            -46)
        numbers = [*_base_._list,
                   47]
        model['width'] = 48
        runtime = dict(every=_base_.runtime.every, deep=_base_.model['head'])
        part = _extra[0]
        table = {'x': 49} | dict(
            y=50)
        table |= dict(z=51)
        """,
    )
    found = dict(assert_every_line_holds_its_value(leaf))
    assert found['model', 'head', 'losses', 'second', 'j'] == 43
    assert ('model', 'head', 'losses', 'second', 'k') not in found
    assert found['model', 'stages', 2, 'n'] == 41
    assert found['model', 'guidance', 'weight'] == 31
    assert found['runtime', 'deep', 'losses', 'first', 'k'] == 14
    assert found['table', 'z'] == 51
    assert len(found) > 35

    _, origins = load_config(leaf)
    # the key was written in the leaf, its value in a base
    assert origins.key(('model', 'guidance')).source.endswith('leaf.py')
    assert origins.value(('model', 'guidance')).source.endswith('guidance.py')
    assert origins.key(('model', 'head', 'losses', 'third')).line == 13


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_random_inheritance(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('random')
    names, count = st.sampled_from(['a', 'b', 'c', 'd']), iter(range(1000, 100000))

    def literal(depth):
        if depth == 0 or data.draw(st.booleans()):
            return str(next(count))
        keys = sorted(data.draw(st.sets(names, min_size=1)))
        return 'dict(\n' + ',\n'.join(f'{key}={literal(depth - 1)}' for key in keys) + ')'

    def merged_over(text, base):
        return text.replace('dict(', 'dict(_delete_=True, ') if base else text

    for level in range(3):
        lines = [f"_base_ = './level{level - 1}.py'"] if level else []
        lines += [
            f'{name} = {merged_over(literal(3), level > 0)}' for name in sorted(data.draw(st.sets(names, min_size=1)))
        ]
        (folder / f'level{level}.py').write_text('\n'.join(lines))
    # `_delete_` within a dict that is new stays in the config, as mmengine has it: its value is True
    assert assert_every_line_holds_its_value(folder / 'level2.py')


def test_what_the_source_does_not_show_is_known_by_expression_or_file(write):
    path = write(
        'a.py',
        """
        made = [dict(n=i) for i in range(3)]
        words = str(
            7)
        changed = dict(x=1)
        if words:
            changed['x'] = 2
            late = 3
        for number in range(2):
            pass
        updated = dict(x=1)
        updated.update(x=2)
        gone = 1
        del gone
        """,
    )
    cfg, origins = load_config(path)
    assert cfg.made[2].n == 2
    assert origins.value(('made', 2, 'n')).line == 1
    assert origins.value(('words',)).line == 2
    for keys in (('changed', 'x'), ('late',), ('number',), ('updated', 'x')):
        origin = origins.value(keys)
        assert (origin.source, origin.line) == (str(path), None)


def test_file_name_templates_and_environment_variables(write, monkeypatch):
    monkeypatch.setenv('WTAL_TEST_WIDTH', '17')
    path = write(
        'run7.py',
        "name = '{{ fileBasenameNoExtension }}'\nwidth = {{'$WTAL_TEST_WIDTH:3'}}\nn = {{$WTAL_N:5}}\nlast = 1\n",
    )
    cfg, origins = load_config(path)
    assert (cfg.name, cfg.width, cfg.n) == ('run7', 17, 5)
    assert [origins.value((key,)).line for key in ('name', 'width', 'n', 'last')] == [1, 2, 3, 4]


def test_paths_are_shown_from_the_current_folder(write, tmp_path, monkeypatch):
    write('configs/_base_/b.py', 'b = 1\n')
    path = write('configs/x/leaf.py', "_base_ = ['../_base_/b.py']\n")
    monkeypatch.chdir(tmp_path)
    assert str(load_config(path)[1].value(('b',))) == str(Path('configs/_base_/b.py:1'))
    assert str(load_config('configs/x/leaf.py')[1].value(('b',))) == str(Path('configs/_base_/b.py:1'))


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('a = dict(\n  b=1\nc = 2\n', ['leaf.py:1: syntax error', "'(' was never closed"]),
        ("_base_ = ['./base.py',\n  './missing.py']\n", ['leaf.py:2: base config', 'missing.py', 'No such file']),
        ("_base_ = ['./base.py', './other.py']\n", ["set 'model'", 'base.py:2', 'other.py:1', '_base_._model']),
        ("_base_ = './broken.py'\n", ['broken.py:2: syntax error']),
        ("_base_ = './latin.py'\n", ['latin.py:2: not UTF-8 (byte 0xe9)']),
        ("_base_ = './leaf.py'\n", ['leaf.py:1: ', 'inherits from this file in turn']),
        ("_base_ = 'a' + 'b'\n", ['leaf.py:1: _base_ must be a path or a list']),
        ('_base_ = [3]\n', ['leaf.py:1: _base_ must hold paths', 'found 3']),
        ("_base_ = 'mmaction::x.py'\n", ['leaf.py:1: _base_ must hold paths']),
        ("_base_ = './base.yaml'\n", ['base.yaml', 'text config with the suffix .py']),
        ('a = 1\nb = a + c\n', ['leaf.py:2: ', "NameError: name 'c' is not defined"]),
        ("_base_ = './runs_wrong.py'\n", ['runs_wrong.py:2: ', 'ZeroDivisionError']),
        (
            "_base_ = './base.py'\n\nmodel = dict(a={{_base_._modl}})\n",
            ['leaf.py:3: ', "'_modl'", "did you mean '_model'?"],
        ),
        ("_base_ = './base.py'\nmodel = dict(a={{_base_.model.zz}})\n", ['leaf.py: ', "KeyError: 'zz'"]),
        (
            "_base_ = './base.py'\nmodel = dict(a=1,\n  depth=dict(n=1))\n",
            ['leaf.py:3: model.depth is a dict here', 'base.py:2', '_delete_=True'],
        ),
        ('from torch import nn\n', ['leaf.py:1: ', 'standard library only']),
        ('from .base import *\n', ['leaf.py:1: ', '_base_ = [...]']),
        (
            "custom_imports = dict(imports=['no_such_module_x'])\n",
            ['leaf.py:1: ', 'no module no_such_module_x'],
        ),
        ("custom_imports = dict(import_=['x'])\n", ['leaf.py:1: custom_imports must be dict(imports=']),
        ('custom_imports = dict(imports=[3])\n', ['leaf.py:1: custom_imports must be dict(imports=']),
        ('filename = 3\n', ['leaf.py: ', 'filename']),
        ('a = {{$WTAL_UNSET_VARIABLE:}}\n', ['leaf.py: ', 'WTAL_UNSET_VARIABLE']),
    ],
)
def test_what_cannot_be_read_is_one_message_with_its_place(write, text, words):
    write('base.py', "_model = dict(x=1)\nmodel = dict(type='x', depth=3)\n")
    write('other.py', "model = dict(type='y')\n")
    write('broken.py', 'x = 1\ny = = 2\n')
    write('runs_wrong.py', 'x = 0\ny = 1 / x\n')
    write('base.yaml', 'a: 1\n')
    write('latin.py', '').write_bytes(b'a = 1\nb = "caf\xe9"\n')
    with pytest.raises(UserError) as caught:
        load_config(write('leaf.py', text))
    for word in words:
        assert word in str(caught.value)
    assert 'Temp' not in str(caught.value)


def test_a_missing_config(tmp_path):
    with pytest.raises(UserError, match=r'config .*nowhere\.py cannot be read: No such file'):
        load_config(tmp_path / 'nowhere.py')


def test_a_folder_is_no_config(tmp_path):
    (tmp_path / 'folder.py').mkdir()
    with pytest.raises(UserError, match='cannot be read: Is a directory'):
        load_config(tmp_path / 'folder.py')


def test_custom_imports_are_imported(write, tmp_path, monkeypatch):
    write('wtal_test_plugin.py', 'LOADED = True\n')
    monkeypatch.syspath_prepend(tmp_path)
    load_config(write('leaf.py', "custom_imports = dict(imports=['wtal_test_plugin'])\n"))
    assert sys.modules.pop('wtal_test_plugin').LOADED


@pytest.mark.parametrize(
    ('name', 'text', 'words', 'without'),
    [
        ('wtal_absent', None, ['no module wtal_absent', 'on PYTHONPATH'], 'wtal_absent.py'),
        ('wtal_own.py', 'x = 1\n', ["imports=['wtal_own']", 'without .py'], 'PYTHONPATH'),
        ('wtal_dir/wtal_own.py', 'x = 1\n', ["imports=['wtal_dir.wtal_own']"], 'PYTHONPATH'),
        (
            'wtal_syntax',
            'x = 1\nclass A(B)\n    pass\n',
            ['wtal_syntax.py:2: syntax error', 'class A(B)'],
            'PYTHONPATH',
        ),
        ('wtal_needs', 'import wtal_lacking\n', ['wtal_needs.py:1', "No module named 'wtal_lacking'"], 'PYTHONPATH'),
        (
            'wtal_name',
            'from mmwtal.models.layers import maskd\n',
            ['wtal_name.py:1', "import name 'maskd'"],
            'PYTHONPATH',
        ),
    ],
)
def test_custom_imports_that_fail_name_the_cure(write, tmp_path, monkeypatch, name, text, words, without):
    monkeypatch.syspath_prepend(tmp_path)
    if text is not None:
        (tmp_path / f'{name.removesuffix(".py").rpartition("/")[2]}.py').write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(write('leaf.py', f'custom_imports = dict(imports=[{name!r}])\n'))
    message = str(caught.value)
    for word in ['leaf.py:1: custom_imports', *words]:
        assert word in message
    assert without not in message


def test_a_value_replaced_later_comes_from_the_command_line(write):
    _, origins = load_config(write('leaf.py', 'model = dict(a=1, b=2)\n'))
    origins.replace(('model', 'a'))
    origins.replace(('new', 'deep', 'key'))
    assert origins.value(('model', 'a')) == COMMAND_LINE
    assert origins.value(('model', 'b')).line == 1
    assert origins.key(('new',)) == COMMAND_LINE
