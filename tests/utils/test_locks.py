"""A lock excludes others and ends with its holder."""

import multiprocessing
import time
from pathlib import Path

import pytest

from mmwtal.utils.errors import UserError
from mmwtal.utils.locks import file_lock


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / 'lock'
    with file_lock(path), pytest.raises(UserError, match='taken'), file_lock(path, wait=False, busy='taken'):
        pass
    with file_lock(path, wait=False, busy='taken'):
        pass


def _hold(path: Path, log: Path) -> None:
    with file_lock(path):
        with log.open('a') as file:
            file.write('in\n')
        time.sleep(0.05)
        with log.open('a') as file:
            file.write('out\n')


def test_others_wait(tmp_path: Path) -> None:
    context = multiprocessing.get_context('fork')
    workers = [context.Process(target=_hold, args=(tmp_path / 'lock', tmp_path / 'log')) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert (tmp_path / 'log').read_text().split() == ['in', 'out'] * 4
