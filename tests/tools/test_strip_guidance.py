"""The small checkpoint of a guided training, and the checks of where it goes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from mmwtal.engine.checkpoint import load_matching, read_checkpoint, read_resumable
from mmwtal.utils.errors import UserError


@pytest.fixture(scope='module')
def tool(repo_root: Path) -> ModuleType:
    path = repo_root / 'tools/model_converters/strip_guidance.py'
    spec = importlib.util.spec_from_file_location('strip_guidance', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def guided(tmp_path: Path) -> Path:
    shared = torch.arange(4000.0)
    weights = {'head.weight': shared[:3], 'guidance.key.weight': shared, 'guidance_like.weight': torch.ones(2)}
    path = tmp_path / 'iter_7.pth'
    torch.save({'state_dict': weights, 'meta': {'iter': 7, 'seed': 3}, 'optimizer': {}, 'message_hub': {}}, path)
    return path


def strip(tool: ModuleType, *arguments: object) -> None:
    tool.main(tool.build_parser().parse_args(list(map(str, arguments))))


@pytest.mark.parametrize('as_work_dir', [False, True])
def test_keeps_what_testing_needs(
    tool: ModuleType, guided: Path, tmp_path: Path, capsys: pytest.CaptureFixture, as_work_dir: bool
) -> None:
    target = tmp_path / 'new' / 'small.pth'
    strip(tool, tmp_path if as_work_dir else guided, target)
    small = read_checkpoint(target)
    assert small.keys() == {'state_dict', 'meta'}
    assert small['state_dict'].keys() == {'head.weight', 'guidance_like.weight'}
    assert torch.equal(small['state_dict']['head.weight'], torch.arange(3.0))
    assert small['meta'] == {'iter': 7, 'seed': 3, 'stripped_from': 'iter_7.pth'}
    assert target.stat().st_size < 4000
    told = capsys.readouterr().out
    assert 'dropped: guidance, 1 tensors, 4,000 parameters' in told
    assert 'dropped: optimizer' in told
    with pytest.raises(UserError, match=r'cannot be resumed.*load_from='):
        read_resumable(target)
    strip(tool, target, tmp_path / 'smaller.pth')
    assert 'nothing was dropped' in capsys.readouterr().out


def test_where_it_may_not_go(tool: ModuleType, guided: Path, tmp_path: Path) -> None:
    before = guided.read_bytes()
    (tmp_path / 'link.pth').symlink_to(guided)
    for target, words in ((guided, 'OUT is IN'), (tmp_path / 'link.pth', 'OUT is IN'), (tmp_path, 'is a folder')):
        with pytest.raises(UserError, match=words):
            strip(tool, guided, target, '--overwrite')
    (tmp_path / 'old.pth').write_text('old')
    with pytest.raises(UserError, match='exists already'):
        strip(tool, guided, tmp_path / 'old.pth')
    assert (tmp_path / 'old.pth').read_text() == 'old'
    strip(tool, guided, tmp_path / 'old.pth', '--overwrite')
    assert read_checkpoint(tmp_path / 'old.pth')['state_dict']
    assert guided.read_bytes() == before
    assert not list(tmp_path.glob('.*.tmp'))


def test_a_foreign_file(tool: ModuleType, tmp_path: Path) -> None:
    torch.save({'weight': torch.ones(1)}, tmp_path / 'foreign.pth')
    with pytest.raises(UserError, match=r'foreign\.pth: expected a dict with "state_dict"'):
        strip(tool, tmp_path / 'foreign.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


class Guided(torch.nn.Module):
    def __init__(self, *, guided: bool) -> None:
        super().__init__()
        self.head = torch.nn.Linear(2, 2)
        self.guidance = torch.nn.Linear(2, 2) if guided else None


def test_the_report_of_a_start_from_other_guidance() -> None:
    base, guided = Guided(guided=False), Guided(guided=True)
    report = load_matching(guided, {'state_dict': base.state_dict()}, 'base.pth')
    assert report.splitlines()[1:] == ['  the guidance starts anew: its 2 weights are not in the checkpoint']
    report = load_matching(base, {'state_dict': guided.state_dict()}, 'guided.pth')
    assert report.splitlines()[1:] == ['  not used, the model has no guidance: 2 weights']
    # Guidance of another kind is told weight by weight.
    other = {**base.state_dict(), 'guidance.weight': torch.ones(2, 2), 'guidance.old': torch.ones(1)}
    report = load_matching(guided, {'state_dict': other}, 'other.pth')
    assert report.splitlines()[1:] == [
        '  starts anew, not in the checkpoint: guidance.bias (2,)',
        '  not used, the model has no such weight: guidance.old',
    ]
