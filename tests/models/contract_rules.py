"""How the contract test says which of its rules a model breaks, in the words of the page that states them."""

from typing import Any

import torch
from mmengine.structures import InstanceData

PAGE = 'docs/concepts.md'
SECTION = 'What the contract test asks of a model'


def broken(rule: str, what: str) -> str:
    """Return the message of an assertion.

    Args:
        rule: The bold words with which an item of the section starts.
        what: What was seen.
    """
    return f"breaks the rule '{rule}': {what}; see {PAGE}, '{SECTION}'"


def assert_same(found: Any, expected: Any, rule: str, what: str, **tolerance: Any) -> None:
    """Assert that tensors, or containers of them, are close."""
    torch.testing.assert_close(found, expected, msg=lambda text: f'{broken(rule, what)}\n{text}', **tolerance)


def check_segments(found: InstanceData, duration: float, num_classes: int) -> None:
    """Assert that what was predicted for a video can be evaluated."""
    start, end = found.segments.reshape(-1, 2).unbind(dim=1)
    for sound, what in (
        (found.segments.shape == (len(found.scores), 2), f'their shape is {tuple(found.segments.shape)}'),
        (found.labels.shape == found.scores.shape, 'labels and scores differ in number'),
        (found.labels.dtype == torch.int64, f'labels are {found.labels.dtype}'),
        (found.segments.isfinite().all(), 'a boundary is not finite'),
        (found.scores.isfinite().all(), 'a score is not finite'),
        (((found.labels >= 0) & (found.labels < num_classes)).all(), f'a label is none of {num_classes} classes'),
        ((start >= 0).all(), 'one starts before the video'),
        ((start < end).all(), 'one ends where it starts, or before'),
        ((end <= duration).all(), 'one ends after the video'),
    ):
        assert sound, broken('Segments', what)
