"""A step of the guidance has as many operations for many videos and long texts as for few and short ones."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .guided import MadeUpTexts, build_guidance, csr_config, made_output, reconstructor, samples


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[str(func)] += 1
        return func(*args, **(kwargs or {}))


class RepeatedTexts(MadeUpTexts):
    """Descriptions several times as long."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def batch(self, *args: Any, **options: Any) -> Any:
        texts = super().batch(*args, **options)
        for name in ('words', 'word_ids', 'word_weights', 'word_mask'):
            setattr(texts, name, torch.cat([getattr(texts, name)] * self.times, dim=1))
        return texts


def operations(videos: int, times: int, csr: dict) -> Counter[str]:
    guidance = build_guidance(texts=RepeatedTexts(times), csr=csr).train()
    inputs, output = made_output([5 + number % 3 for number in range(videos)])
    labels = torch.eye(3)[torch.arange(videos) % 3]
    counted = Operations()
    with counted:
        terms = guidance(inputs, output, samples(labels))
        sum(term for name, term in terms.items() if 'loss' in name).backward()
    return counted.counts


@pytest.mark.parametrize('weighted', ['cross', 'both'])
def test_no_loop_over_videos_or_words(weighted: str) -> None:
    csr = csr_config(reconstructor=reconstructor(weighted=weighted), loss={'type': 'CSRLoss', 'negatives': 'both'})
    few = operations(3, 1, csr)
    assert few.total() > 100
    assert operations(12, 1, csr) == few
    assert operations(3, 6, csr) == few
