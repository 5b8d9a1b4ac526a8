"""What an import brings in and costs, each tried in fresh processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Extras, or slow to import: a tool that needs one imports it when it does.
HEAVY = {'transformers', 'mmaction', 'av', 'ray', 'matplotlib', 'h5py'}


def run(script: str, repo_root: Path) -> list[str]:
    """Run a script in a fresh interpreter; return what it prints, split at white space."""
    environment = {**os.environ, 'PYTHONPATH': str(repo_root), 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, env=environment, timeout=240
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.split()


def test_the_package_brings_in_nothing_beyond_mmengine(repo_root):
    script = 'import sys, mmengine; before = set(sys.modules); import mmwtal; print(*set(sys.modules) - before)'
    new = {name.split('.')[0] for name in run(script, repo_root)}
    assert 'mmwtal' in new
    assert new - sys.stdlib_module_names == {'mmwtal'}


def test_the_package_and_its_registry_import_nothing_heavy(repo_root):
    script = 'import sys, mmwtal.registry; print(*{name.split(".")[0] for name in sys.modules})'
    loaded = set(run(script, repo_root))
    assert {'mmwtal', 'mmengine'} <= loaded
    assert not loaded & HEAVY


def test_the_import_takes_less_than_a_third_of_a_second_beyond_mmengine(repo_root):
    script = """
import time, mmengine
start = time.perf_counter()
import mmwtal
print(time.perf_counter() - start)
"""
    assert min(float(run(script, repo_root)[0]) for _ in range(3)) < 0.3


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
def test_every_module_imports_by_itself_and_without_the_extras(repo_root):
    # Each import happens in a fork that has the third-party packages but no module of mmwtal, so neither a cycle nor a
    # missing import hides behind the order of the imports.
    script = f"""
import importlib, os, sys, traceback
import mmcv, mmengine.runner
extras = {HEAVY} - sys.modules.keys()  # mmengine itself imports some where they are installed
names = []
for folder, _, files in sorted(os.walk('mmwtal')):
    parts = folder.split(os.sep)
    names += ['.'.join(parts + [file[:-3]] * (file != '__init__.py')) for file in sorted(files) if file.endswith('.py')]
for name in names:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            importlib.import_module(name)
            code = 3 if extras & sys.modules.keys() else 0
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        sys.exit(f'import {{name}} failed' if status != 3 else f'import {{name}} brings in an extra')
print(len(names))
"""
    environment = {**os.environ, 'PYTHONPATH': str(repo_root), 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, env=environment, cwd=repo_root, timeout=240
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == len(list((repo_root / 'mmwtal').rglob('*.py')))
