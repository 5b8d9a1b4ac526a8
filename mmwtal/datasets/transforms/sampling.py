"""Choosing the snippets that the model sees."""

from typing import Any, Literal, get_args

import numpy as np
from mmcv.transforms import BaseTransform

from mmwtal.registry import TRANSFORMS
from mmwtal.utils.errors import UserError

Mode = Literal['random_perturb', 'uniform', 'full']


@TRANSFORMS.register_module()
class SampleSnippets(BaseTransform):
    """Bring a video to a fixed number of snippets, or take all of them.

    With L snippets, S to take and grid points p_i = i L / S, snippet i of the result is

    - ``random_perturb``: drawn uniformly from floor(p_i), ..., floor(p_(i+1)), the last included, but below L. This is
      the published sampling of W-TALC and its successors, so is that L = S takes every snippet as it is.
    - ``uniform``: floor(p_i).

    A video with fewer than S snippets repeats some, so that the length is always S; with ``keep_shorter`` it is taken
    as it is, and S is the most that a video has. The time grid is stretched to match. Reads ``feature`` (L, D),
    ``timebase`` and, for ``random_perturb``, ``rng``; replaces the first two, takes the same snippets of each of
    ``streams``, where there are any, and adds ``positions``, float64 (S,): where on the new grid the middle of each
    snippet that was taken lies.

    Args:
        mode: ``random_perturb``, ``uniform`` or ``full``.
        length: S; not for ``full``.
        keep_shorter: Take a video with fewer than S snippets as it is (UM tests so); not for ``full``.

    Raises:
        UserError: If the mode is unknown or the other options do not go with it.
    """

    def __init__(self, *, mode: Mode = 'random_perturb', length: int | None = None, keep_shorter: bool = False) -> None:
        if mode not in get_args(Mode):
            raise UserError(f'SampleSnippets: mode must be one of {", ".join(get_args(Mode))}, found {mode!r}')
        if mode == 'full' and length is not None:
            raise UserError(f"SampleSnippets: mode='full' takes all snippets, so length={length!r} must be left out")
        if mode != 'full' and (not isinstance(length, int) or length < 1):
            raise UserError(f'SampleSnippets: mode={mode!r} needs length, a whole number above 0; found {length!r}')
        if mode == 'full' and keep_shorter:
            raise UserError("SampleSnippets: mode='full' takes all snippets, so keep_shorter=True must be left out")
        self.mode = mode
        self.length = length
        self.keep_shorter = keep_shorter

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Sample the snippets of a record.

        Raises:
            UserError: If the time grid of the video cannot be stretched.
        """
        feature = results['feature']
        if self.length is None or (self.keep_shorter and len(feature) < self.length):
            return results
        rng = results['rng'] if self.mode == 'random_perturb' else None
        indices = sample_indices(len(feature), self.length, rng)
        # As a plain array: indexing a memory map would wrap the copy as one.
        results['feature'] = np.asarray(feature)[indices]
        results['positions'] = (indices + 0.5) * (self.length / len(feature))
        if 'streams' in results:
            results['streams'] = {name: np.asarray(values)[indices] for name, values in results['streams'].items()}
        try:
            results['timebase'] = results['timebase'].resampled(len(feature), self.length)
        except ValueError as error:
            raise UserError(f'video {results["video_id"]}: {error}; use a length up to {len(feature)}') from None
        return results


def sample_indices(num_snippets: int, length: int, rng: np.random.Generator | None) -> np.ndarray:
    """Return which snippets are taken; see :class:`SampleSnippets`.

    Args:
        num_snippets: L.
        length: S.
        rng: Perturbs the grid; None takes the grid points.

    Returns:
        Indices in [0, L), int64, (S,), never decreasing.
    """
    grid = np.arange(length + 1, dtype=np.int64) * num_snippets // length
    if rng is None or num_snippets == length:
        return grid[:-1]
    return rng.integers(grid[:-1], np.minimum(grid[1:], num_snippets - 1), endpoint=True)
