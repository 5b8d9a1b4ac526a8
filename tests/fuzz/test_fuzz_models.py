"""Whatever is in a checkpoint or a config: it is used, or a UserError says what is wrong."""

import contextlib
import copy
import io
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.engine.checkpoint import load_matching, load_weights, read_checkpoint
from mmwtal.utils.compat import load_from_local
from mmwtal.utils.config.check import inspect_config
from mmwtal.utils.config.origin import load_config
from mmwtal.utils.errors import UserError

from .data_files import fuzz
from .mutations import spoilt_bytes, spoilt_tree


def checkpoint() -> dict[str, Any]:
    return {
        'state_dict': {'weight': torch.zeros(2, 3), 'bias': torch.zeros(2)},
        'meta': {'iter': 3, 'seed': 0, 'num_classes': 2, 'in_channels': 3, 'dataset_meta': {'classes': ['a', 'b']}},
        'optimizer': {'state': {}, 'param_groups': [{'lr': 0.1}]},
        'message_hub': {'log_scalars': {}, 'runtime_info': {'iter': 3}, 'resumed_keys': {}},
    }


def saved(legacy: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(checkpoint(), buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


@fuzz
@given(content=spoilt_bytes(saved(False)) | spoilt_bytes(saved(True)))
@pytest.mark.filterwarnings('ignore')
def test_bytes_of_a_checkpoint(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / 'spoilt.pth'
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        load_from_local(str(path), map_location='cpu')


ODD = st.sampled_from(
    [
        *(None, 0, -1, 2.5, float('nan'), 'x', [], {}, [1], ('a', 'b'), True, {1: 2}),
        *(torch.zeros(0), torch.zeros(2, 3, dtype=torch.int8), torch.zeros(2, 3, dtype=torch.complex64)),
        *(torch.zeros(2, 3).to_sparse(), torch.zeros(3, 2).T),
    ]
)


@fuzz
@given(content=spoilt_tree(checkpoint, ODD) | ODD)
def test_content_of_a_checkpoint(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / 'odd.pth'
    torch.save(content, path)
    with contextlib.suppress(UserError):
        read = read_checkpoint(path)
        for load in (load_weights, load_matching):
            with contextlib.suppress(UserError):
                load(torch.nn.Linear(3, 2), read, path)


BASE = """default_scope = 'mmwtal'
_sizes = [3, 4]
model = dict(type='torch.nn.Linear', in_features=_sizes[0], out_features=4)
"""
LEAF = """_base_ = ['./base.py']
import os.path
model = dict(bias=False, out_features={{_base_._sizes.1}})
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
helper = [i * 2 for i in range(3)]
if helper:
    test_cfg = None
"""
# Pieces of Python that mutating characters does not come upon.
PIECES = (
    *(
        'return 1\n',
        'yield 1\n',
        'raise ValueError\n',
        'x = 1 / 0\n',
        'x = [][0]\n',
        "x = {}['a']\n",
        'del model\n',
        'pass\n',
        '\0',
    ),
    *(
        'import torch\n',
        'from . import a\n',
        "_base_ = './leaf.py'\n",
        "_base_ = './absent.py'\n",
        '_base_ = 3\n',
        '_base_ = x\n',
    ),
    *(
        "_base_ = ['base.py', 'base.py']\n",
        "_base_ = ['a\\0b.py']\n",
        '_base_ = [*[]]\n',
        "_base_ = 'http://x.y/z.py'\n",
        "_base_ = '.'\n",
    ),
    *(
        'model = dict(_delete_=True)\n',
        'model = 5\n',
        'model = [dict(type=3)]\n',
        'model.x = 1\n',
        'model = dict(type=dict)\n',
    ),
    *(
        '{{_base_.x.y}}\n',
        '{{ fileDirname }}\n',
        "a = '{{$HOME:/x}}'\n",
        '{{$NO:}}\n',
        'f = lambda: 0\n',
        'class A:\n    pass\n',
    ),
    *(
        "custom_imports = dict(imports=['os'])\n",
        'custom_imports = 3\n',
        "custom_imports = dict(imports='absent_module')\n",
    ),
    *(
        "custom_imports = dict(imports=['.a'])\n",
        "custom_imports = dict(imports=[''])\n",
        'filename = 3\n',
        'text = 1\n',
        'env_variables = 1\n',
    ),
    *(
        'x = ' + '(' * 150 + ')' * 150 + '\n',
        'x = ' + '[' * 5000 + '\n',
        'x = ' + '-' * 20000 + '1\n',
        'x = ' + '9' * 5000 + '\n',
    ),
    *(
        "x = '\\ud800'\n",
        '# -*- coding: latin-1 -*-\n',
        '# coding: nonsense\n',
        '\ufeff',
        'async def f():\n    await f\n',
        'nonlocal x\n',
    ),
    *(
        'x: int = 3\n',
        'model |= dict(a=1)\n',
        'model = dict(**None)\n',
        '(model) = 1\n',
        'a = b = dict(x=1)\n',
        'for model in (1, 2): pass\n',
    ),
)


@st.composite
def spoilt_config(draw: st.DrawFn, text: str) -> bytes:
    lines = text.splitlines(keepends=True)
    if draw(st.booleans()):
        return draw(spoilt_bytes(text.encode()))
    for _ in range(draw(st.integers(1, 2))):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(PIECES)))
    return ''.join(lines).encode('utf-8', 'surrogatepass')


OPTIONS = st.dictionaries(
    st.sampled_from(
        ['model', 'model.bias', 'model.bias.x', 'custom_hooks.0.momentum', 'custom_hooks.1', 'custom_hooks.²', 'x.y.z']
    )
    | st.sampled_from(
        [
            '.',
            'model.',
            '.model',
            'custom_hooks',
            'default_scope',
            '_sizes.0',
            'custom_imports',
            'model..bias',
            'helper.0',
        ]
    ),
    st.sampled_from([None, 1, 'x', [], {}, {'_delete_': True}, [{'type': 'EMAHook'}], True, ()]),
    max_size=2,
)


@fuzz
@given(base=st.just(BASE.encode()) | spoilt_config(BASE), leaf=spoilt_config(LEAF), options=st.just({}) | OPTIONS)
@pytest.mark.filterwarnings('ignore')
def test_config(tmp_path_factory: pytest.TempPathFactory, base: bytes, leaf: bytes, options: dict) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / 'base.py').write_bytes(base)
    (folder / 'leaf.py').write_bytes(leaf)
    with contextlib.suppress(UserError):
        cfg, origins = load_config(folder / 'leaf.py', copy.deepcopy(options))
        report = inspect_config(cfg, origins)
        assert all(str(problem) for problem in (*report.problems, *report.notes))


@fuzz
@given(options=OPTIONS)
def test_options_over_a_sound_config(tmp_path_factory: pytest.TempPathFactory, options: dict) -> None:
    folder: Path = tmp_path_factory.getbasetemp()
    (folder / 'base.py').write_text(BASE)
    (folder / 'leaf.py').write_text(LEAF)
    with contextlib.suppress(UserError):
        inspect_config(*load_config(folder / 'leaf.py', options))
