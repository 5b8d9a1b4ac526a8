"""Reading checkpoints: what is no checkpoint of ours is named as such."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mmwtal.engine.checkpoint import read_checkpoint, read_resumable
from mmwtal.utils.errors import UserError


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ([1], 'expected a dict with "state_dict", found a list'),
        ({'state_dict': {'weight': 3}}, ".* something else under 'weight'"),
        ({'state_dict': {1: torch.zeros(1)}}, '.* something else under 1'),
        ({'state_dict': {'weight': torch.zeros(2).to_sparse()}}, 'expected "state_dict" to hold a dense tensor'),
        ({'state_dict': {}, 'meta': 'x'}, 'expected a dict under "meta", found a str'),
    ],
)
def test_other_content(tmp_path: Path, content: Any, expected: str) -> None:
    path = tmp_path / 'odd.pth'
    torch.save(content, path)
    with pytest.raises(UserError, match=f'odd.pth: {expected}'):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ('more', 'lacks'),
    [
        ({}, 'optimizer, message_hub'),
        ({'meta': {'iter': 'x'}, 'optimizer': {}, 'message_hub': {}}, 'the iteration'),
        ({'meta': {'iter': 3}, 'optimizer': [], 'message_hub': {}}, 'optimizer'),
    ],
)
def test_weights_alone_cannot_be_resumed(tmp_path: Path, more: dict, lacks: str) -> None:
    path = tmp_path / 'converted.pth'
    torch.save({'state_dict': {'weight': torch.zeros(2)}, **more}, path)
    assert read_checkpoint(path)['state_dict']
    with pytest.raises(UserError, match=f'cannot be resumed, it lacks {lacks}.*load_from='):
        read_resumable(path)
