"""Fixtures for real data that lie beside the checkout; a test that needs them skips, with the reason, where they are absent."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _shared(name: str) -> Path:
    path = ROOT.parent / 'shared' / name
    if not path.is_dir():
        pytest.skip(f'real data for tests are absent: no folder ../shared/{name} beside the checkout')
    return path


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return ROOT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    return _shared('data')


@pytest.fixture(scope='session')
def shared_golden() -> Path:
    return _shared('golden')


@pytest.fixture(scope='session')
def shared_bench() -> Path:
    return _shared('bench')
