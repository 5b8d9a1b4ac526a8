"""How a clip is shown to a model."""

from typing import Literal

Media = Literal['video', 'frames']


def time_stamp(time: float) -> str:
    """Return the text that stands before a frame: when it is seen, in the form of Qwen3-VL."""
    return f'<{time:.1f} seconds>'
