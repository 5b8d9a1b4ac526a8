"""Padded outputs that the tests of losses share."""

import torch
from hypothesis import strategies as st

from mmwtal.structures import LocalizerOutput

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=7)


def make_output(lengths, seed=0, classes=4, background=True, dtype=torch.float64):
    """A padded output whose padding is NaN."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    mask = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]

    def draw(width):
        values = torch.randn(*shape, width, generator=generator, dtype=dtype)
        return values.masked_fill(~mask[..., None], float('nan'))

    output = LocalizerOutput(
        feat=draw(6),
        attn=draw(1).sigmoid(),
        cas=draw(classes + background),
        has_background=background,
        mask=mask,
        extras={'attn_modalities': draw(2).sigmoid()},
    )
    labels = (torch.rand(len(lengths), classes, generator=generator) < 0.4).to(dtype)
    return output, labels
