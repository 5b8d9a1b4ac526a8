"""The remedies, each tried on the fault itself; what alters an interpreter for good runs in one of its own."""

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmwtal.utils import compat
from mmwtal.utils.errors import UserError

CONVERTER = 'tools/model_converters/official.py'


@pytest.fixture
def python(repo_root: Path, tmp_path: Path):
    """Run a script in a fresh interpreter whose path starts with the folder `fakes` of the test."""

    def run(script: str, *launcher: str, **env: str) -> subprocess.CompletedProcess:
        path = tmp_path / 'script.py'
        path.write_text(textwrap.dedent(script))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(('SLURM_', 'OMPI_'))}
        for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
            environment.pop(name, None)
        environment |= {'PYTHONPATH': f'{tmp_path / "fakes"}{os.pathsep}{repo_root}', 'OMP_NUM_THREADS': '1'}
        environment |= {'CUDA_VISIBLE_DEVICES': '', **env}
        command = [sys.executable, *launcher, str(path)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120)

    return run


def passes(result: subprocess.CompletedProcess) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def fake_module(tmp_path: Path, name: str, text: str) -> None:
    folder = tmp_path / 'fakes' / name
    folder.mkdir(parents=True)
    (folder / '__init__.py').write_text(textwrap.dedent(text))


# OpenCV


@pytest.mark.parametrize(('library', 'package'), [('libGL.so.1', 'libgl1'), ('libgthread-2.0.so.0', 'libglib2.0-0')])
def test_a_missing_system_library_is_named_with_its_package(python, tmp_path, library, package):
    fake_module(tmp_path, 'cv2', f"raise ImportError('{library}: cannot open shared object file')")
    script = """
        from mmwtal.utils import compat, errors
        try:
            compat.prepare()
        except errors.UserError as error:
            print(error)
    """
    message = passes(python(script))
    assert library in message
    assert f'apt-get install {package}' in message


def test_another_failure_of_opencv_stays_what_it_is(python, tmp_path):
    fake_module(tmp_path, 'cv2', "raise ImportError('numpy is too old')")
    result = python('from mmwtal.utils import compat; compat.importable_cv2()')
    assert result.returncode == 1
    assert 'ImportError: numpy is too old' in result.stderr


def test_a_working_opencv_is_left_alone():
    compat.importable_cv2()


# torchvision

BROKEN_TORCHVISION = """
    import torch
    import torchvision.extension  # stays in sys.modules when the next lines fail
    for operator in ('nms', 'qnms'):
        torch.library.register_fake(f'torchvision::{operator}')(lambda dets, scores, threshold: dets)
"""


def test_a_torchvision_without_its_operators_becomes_importable(python, tmp_path):
    fake_module(tmp_path, 'torchvision', BROKEN_TORCHVISION)
    (tmp_path / 'fakes' / 'torchvision' / 'extension.py').touch()
    failed = python('import torchvision')
    assert 'operator torchvision::nms does not exist' in failed.stderr
    script = """
        from mmwtal.utils import compat
        compat.usable_torchvision()
        compat.usable_torchvision()
        import torch, torchvision
        try:
            torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
        except NotImplementedError:
            print('declared only')
    """
    assert passes(python(script)) == 'declared only\n'


def test_another_failure_of_torchvision_stays_what_it_is(python, tmp_path):
    fake_module(tmp_path, 'torchvision', "raise RuntimeError('compiled with different CUDA versions')")
    result = python('from mmwtal.utils import compat; compat.usable_torchvision()')
    assert result.returncode == 1
    assert 'RuntimeError: compiled with different CUDA versions' in result.stderr


def test_a_working_torchvision_gets_no_operators(python, tmp_path):
    fake_module(tmp_path, 'torchvision', '')
    script = """
        from mmwtal.utils import compat
        compat.usable_torchvision()
        import torch
        print(hasattr(torch.ops.torchvision, 'nms'))
    """
    assert passes(python(script)) == 'False\n'


@pytest.mark.skipif(find_spec('torchvision') is None, reason='torchvision is not installed')
def test_the_installed_torchvision_lets_a_runner_report_its_environment(python):
    script = """
        from mmwtal.utils import compat
        compat.usable_torchvision()
        from mmengine.utils.dl_utils import collect_env
        print(collect_env()['TorchVision'])
    """
    assert passes(python(script)).strip()


# mmaction2


@pytest.mark.skipif(find_spec('mmaction') is None, reason='mmaction2 is not installed (extra: features)')
def test_backbones_of_mmaction_are_built_in_the_presence_of_transformers(python, tmp_path):
    # The metadata alone decides whether mmaction2 imports its multimodal models.
    metadata = tmp_path / 'fakes' / 'transformers-5.0.dist-info' / 'METADATA'
    metadata.parent.mkdir(parents=True)
    metadata.write_text('Metadata-Version: 2.1\nName: transformers\nVersion: 5.0\n')
    build = """
        import mmaction.models
        from mmaction.registry import MODELS
        model = MODELS.build(dict(type='ResNet3d', depth=18, pretrained=None, pretrained2d=False, norm_eval=False))
        import torch
        print(model(torch.zeros(1, 3, 4, 32, 32)).shape[1])
    """
    shimmed = 'from mmwtal.utils import compat\ncompat.importable_mmaction()\ncompat.importable_mmaction()\n'
    assert passes(python(shimmed + textwrap.dedent(build))) == '512\n'
    assert python(build).returncode == 1, 'the remedy is no longer needed: drop it'


@pytest.mark.parametrize('cause', ["ImportError('no mmcv')", "AssertionError('MMCV==2.2.0 is incompatible')"])
def test_an_unusable_mmaction_names_the_extra(python, tmp_path, cause):
    fake_module(tmp_path, 'mmaction', f'raise {cause}')
    script = """
        from mmwtal.utils import compat, errors
        try:
            compat.importable_mmaction()
        except errors.UserError as error:
            print(error)
    """
    message = passes(python(script))
    assert 'mmwtal[features]' in message
    assert cause.split("'")[1] in message


# Checkpoints


def test_a_checkpoint_of_tensors_and_plain_values_loads(tmp_path):
    path = tmp_path / 'plain.pth'
    torch.save({'state_dict': {'w': torch.arange(3)}, 'meta': {'seed': 0, 'classes': ('a', 'b')}}, path)
    loaded = compat.load_from_local(str(path), 'cpu')
    assert torch.equal(loaded['state_dict']['w'], torch.arange(3))
    assert loaded['meta'] == {'seed': 0, 'classes': ('a', 'b')}


def truncated(path: Path) -> None:
    torch.save({'w': torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


BAD_CHECKPOINTS = {
    'missing': (lambda path: None, 'no checkpoint file'),
    'folder': (lambda path: path.mkdir(), 'no checkpoint file'),
    'empty': (lambda path: path.touch(), 'damaged, cut short or no checkpoint'),
    'truncated': (truncated, 'damaged, cut short or no checkpoint'),
    'text': (lambda path: path.write_text('not a checkpoint'), 'damaged, cut short or no checkpoint'),
    'buffer': (lambda path: torch.save({'log': HistoryBuffer([1.0], [1])}, path), 'HistoryBuffer'),
    'class': (lambda path: torch.save({'where': Path('x')}, path), 'pathlib'),
}


@pytest.mark.parametrize('case', BAD_CHECKPOINTS)
def test_a_checkpoint_that_cannot_be_trusted_or_read_is_refused(tmp_path, case):
    write, expected = BAD_CHECKPOINTS[case]
    path = tmp_path / f'{case}.pth'
    write(path)
    with pytest.raises(UserError) as caught:
        compat.load_from_local(str(path), 'cpu')
    message = str(caught.value)
    assert str(path) in message
    assert expected in message
    assert CONVERTER in message
    assert '\n' not in message


def test_a_checkpoint_cut_short_anywhere_is_refused_with_one_line(tmp_path):
    whole = tmp_path / 'whole.pth'
    torch.save({'state_dict': {'w': torch.zeros(200)}}, whole)
    content = whole.read_bytes()
    for length in range(0, len(content), 97):
        path = tmp_path / f'cut_at_{length}.pth'
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=f'cut_at_{length}.pth is damaged'):
            compat.load_from_local(str(path), 'cpu')


def test_mmengine_loads_files_and_addresses_without_running_code(python, tmp_path):
    script = """
        import os, pickle, torch
        from mmwtal.utils import compat, errors
        compat.enforce_weights_only()
        compat.enforce_weights_only()
        from mmengine.runner.checkpoint import CheckpointLoader, load_url

        class Payload:
            def __reduce__(self):
                return os.mkdir, ('harmed',)

        torch.save({'w': Payload()}, 'evil.pth')
        torch.save({'w': torch.ones(2)}, 'good.pth')
        assert CheckpointLoader.load_checkpoint('good.pth')['w'].sum() == 2
        for load in (CheckpointLoader.load_checkpoint, lambda name: load_url(f'file://{os.getcwd()}/{name}', 'cache')):
            try:
                load('evil.pth')
            except (errors.UserError, pickle.UnpicklingError) as error:
                print('refused:', type(error).__name__)
    """
    refusals = [line for line in passes(python(script)).splitlines() if line.startswith('refused')]
    assert refusals == ['refused: UserError', 'refused: UnpicklingError']
    assert not (tmp_path / 'harmed').exists()


# Distributed training without a GPU

TRAIN = """
    import torch
    from mmengine.model import BaseModel
    from mmengine.runner import Runner
    from mmwtal.utils import compat

    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1, bias=False)
            torch.nn.init.zeros_(self.layer.weight)

        def forward(self, inputs, mode='tensor'):
            return {'loss': self.layer(torch.stack(inputs)).sum()}

    compat.prepare()
    compat.init_process_group('pytorch')
    compat.init_process_group('pytorch')
    rank = torch.distributed.get_rank()
    data = [{'inputs': torch.tensor([1.0, 2.0])}, {'inputs': torch.tensor([3.0, 4.0])}]
    runner = Runner(
        Model(), work_dir='work', launcher='pytorch', default_scope='mmengine', log_level='ERROR',
        cfg={'model_wrapper_cfg': compat.ddp_wrapper_cfg()},
        train_dataloader={'dataset': data, 'batch_size': 1, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}},
        train_cfg={'by_epoch': False, 'max_iters': 1}, optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 1.0}},
        default_hooks={'logger': None, 'checkpoint': None},
    )
    runner.train()
    with open(f'rank{rank}.txt', 'w') as file:
        print(torch.distributed.get_backend(), runner.model.module.layer.weight.tolist(), file=file)
    # The group's threads end with the last object that holds it, as where a Runner is a function's own.
    del runner
"""


def test_two_processes_without_a_gpu_train_through_a_runner(python, tmp_path):
    passes(python(TRAIN, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node=2'))
    for rank in range(2):  # the mean of the two samples is subtracted once
        assert (tmp_path / f'rank{rank}.txt').read_text() == 'gloo [[-2.0, -3.0]]\n'


IDENTIFY = """
    import sys, torch
    from mmwtal.utils import compat, errors
    launcher = '{launcher}'
    try:
        compat.init_process_group(launcher)
    except errors.UserError as error:
        sys.exit(str(error))
    if torch.distributed.is_initialized():
        import os
        print(torch.distributed.get_world_size(), *(os.environ[k] for k in ('RANK', 'LOCAL_RANK', 'MASTER_ADDR')))
    else:
        print('alone')
"""
SLURM = {'SLURM_PROCID': '0', 'SLURM_LOCALID': '0', 'SLURM_NTASKS': '1', 'SLURM_NODELIST': 'node[1-2]'}
MPI = {'OMPI_COMM_WORLD_RANK': '0', 'OMPI_COMM_WORLD_LOCAL_RANK': '0', 'OMPI_COMM_WORLD_SIZE': '1'}
PORT = {'MASTER_PORT': '0'}


def test_slurm_and_mpi_number_the_processes(python, tmp_path):
    scontrol = tmp_path / 'bin' / 'scontrol'
    scontrol.parent.mkdir()
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostname node[1-2]" ] && printf "127.0.0.1\\nnode2\\n"\n')
    scontrol.chmod(0o755)
    path = f'{scontrol.parent}{os.pathsep}{os.environ["PATH"]}'
    assert passes(python(IDENTIFY.format(launcher='slurm'), PATH=path, **SLURM, **PORT)) == '1 0 0 127.0.0.1\n'
    env = {'MASTER_ADDR': '127.0.0.1', **MPI, **PORT}
    assert passes(python(IDENTIFY.format(launcher='mpi'), **env)) == '1 0 0 127.0.0.1\n'


@pytest.mark.parametrize(
    ('launcher', 'env', 'expected'),
    [
        ('pytorch', {}, 'RANK'),
        ('pytorch', {'RANK': '0', 'LOCAL_RANK': '0', 'WORLD_SIZE': '1'}, 'MASTER_ADDR'),
        ('slurm', {}, 'SLURM_PROCID'),
        ('slurm', {**SLURM, 'PATH': ''}, 'set MASTER_ADDR'),
        ('mpi', MPI, 'MASTER_ADDR'),
    ],
)
def test_a_process_that_no_launcher_started_is_told_so(monkeypatch, launcher, env, expected):
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', *SLURM, *MPI):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(compat, '_on_cpu', lambda: True)
    with pytest.raises(UserError, match=expected):
        compat.init_process_group(launcher)
    assert not torch.distributed.is_initialized()


def test_nothing_is_initialised_for_one_process_or_with_a_gpu(monkeypatch):
    compat.init_process_group('none')
    monkeypatch.setattr(compat, '_on_cpu', lambda: False)
    compat.init_process_group('pytorch')
    assert not torch.distributed.is_initialized()
    assert compat.ddp_wrapper_cfg() is None


def test_importing_the_shims_imports_none_of_the_packages(python):
    script = """
        import sys
        import mmwtal.utils.compat
        print([name for name in ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmaction', 'cv2') if name in sys.modules])
    """
    assert passes(python(script)) == '[]\n'


@pytest.mark.parametrize('content', [b'\x80\x02(X', b'\x80\x02\x8a\x00.', b'PK\x03\x04', b'\x80\x02}q\x00K\x01s.'])
def test_pickles_that_break_off(tmp_path, content):
    path = tmp_path / 'cut.pth'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'cut\.pth'):
        compat.load_from_local(str(path))
