from collections.abc import Callable
from pathlib import Path

import pytest

from mmwtal.priors.tiny_mllm import write_tiny_mllm


@pytest.fixture(scope='session')
def tiny_mllm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the folder of a tiny model of a family; each is written once."""
    root = tmp_path_factory.mktemp('tiny')

    def folder(family: str = 'qwen3_vl') -> Path:
        out = root / family
        if not out.exists():
            write_tiny_mllm(out, family=family)
        return out

    return folder
