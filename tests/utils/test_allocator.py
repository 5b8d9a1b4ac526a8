import subprocess
import sys

import pytest

from mmwtal.utils import allocator

COUNT = """
import resource, sys
import numpy as np
from mmwtal.utils.allocator import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == 'keep' else None
for _ in range(3):
    np.ones(1 << 22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.ones(1 << 22)
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch):
    for name in allocator._OWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)


def faults(choice):
    done = subprocess.run([sys.executable, '-c', COUNT, choice], capture_output=True, text=True, check=True)
    result, count = done.stdout.split()
    return result, int(count)


def test_memory_is_used_again_instead_of_being_asked_for_again():
    kept, few = faults('keep')
    if kept != 'True':
        pytest.skip('the C library is not glibc')
    _, many = faults('leave')
    assert few < many / 10


def test_nothing_is_done_with_another_library_or_under_settings_of_the_user(monkeypatch):
    monkeypatch.setattr(allocator.ctypes, 'CDLL', lambda name: pytest.fail('the allocator was touched'))
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '1000')
    assert not allocator.keep_freed_memory()
    monkeypatch.delenv('MALLOC_TRIM_THRESHOLD_')
    monkeypatch.setattr(allocator.platform, 'libc_ver', lambda: ('', ''))
    assert not allocator.keep_freed_memory()
