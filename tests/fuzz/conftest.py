"""The long run, of minutes: ``pytest tests/fuzz --hypothesis-profile=long --timeout=0`` tries 5000 of each kind."""

from pathlib import Path

import pytest
from hypothesis import settings

from .data_files import write_root

settings.register_profile('long', max_examples=5000)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp('fuzz') / 'root')
