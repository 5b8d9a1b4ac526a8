"""Optical flow between the frames of a video: computed, or read from images that another tool wrote.

Flow is in pixels of the pictures from which it was computed, x (to the right) before y (downwards), as OpenCV gives it.
What is done with great displacements is for what takes the flow to say.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np

from mmwtal.utils.errors import UserError
from mmwtal.video.container import VideoError, file_name

DISPreset = Literal['ultrafast', 'fast', 'medium']
_INSTALL = 'pip install "mmwtal[features]"'
# Where tools put the images of a video below a folder, x before y; both are followed by the number and the ending.
# denseflow, mmaction and TSN; the same with a folder an axis; Feichtenhofer's two-stream networks.
_LAYOUTS = (
    ('{video}/flow_x_', '{video}/flow_y_'),
    ('{video}/x_', '{video}/y_'),
    ('flow_x/{video}/', 'flow_y/{video}/'),
    ('u/{video}/frame', 'v/{video}/frame'),
)
_ENDINGS = ('.jpg', '.jpeg', '.png')
# A video has one flow less than frames, and tools differ by a frame in how many they find.
_MISSING_FRAMES = 3


class FlowOfVideo(ABC):
    """The optical flow of one video, asked for in the order of time."""

    @abstractmethod
    def after(self, number: int, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        """Return the flow from a frame to the next one.

        Args:
            number: The earlier frame's, from 0, of the resampled video.
            earlier: The picture, RGB, (H, W, 3), uint8.
            later: That of the next frame.

        Returns:
            (H, W, 2), float32, pixels.

        Raises:
            VideoError: If it cannot be had.
        """


class FlowMethod(ABC):
    """Where optical flow comes from; it can be pickled."""

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """What the flow depends on, as JSON can hold it."""

    @abstractmethod
    def check(self) -> None:
        """Check that what computes it is there.

        Raises:
            UserError: If it is not, with the command that installs it.
        """

    @abstractmethod
    def of_video(self, path: Path, fps: float) -> FlowOfVideo:
        """Begin with a video.

        Args:
            path: Its file.
            fps: The rate to which its frames are resampled.

        Raises:
            VideoError: If there is no flow of it.
        """


class _Computed(FlowOfVideo):
    """Flow by an algorithm of OpenCV on grey pictures; each picture is made grey once."""

    def __init__(self, algorithm: Any) -> None:
        self._algorithm = algorithm
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def after(self, number: int, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        if earlier is later:
            # Resampling shows a frame again: nothing moves.
            return np.zeros((*earlier.shape[:2], 2), dtype=np.float32)
        known = self._last is not None and self._last[0] is earlier
        first = self._last[1] if known and self._last else _grey(earlier)
        second = _grey(later)
        self._last = (later, second)
        return self._algorithm.calc(first, second, None)


def _grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


class TVL1Flow(FlowMethod):
    """TV-L1 flow, on which I3D's flow stream was trained (Zach et al., DAGM 2007), by OpenCV.

    The defaults are OpenCV's own; those of the published networks are not documented.

    Args:
        scales: Levels of the pyramid.
        warps: Warps a level; fewer are faster and less exact.

    Raises:
        UserError: If a value is below 1.
    """

    def __init__(self, *, scales: int = 5, warps: int = 5) -> None:
        if min(scales, warps) < 1:
            raise UserError(f'scales and warps of TVL1Flow must be above 0, found {scales} and {warps}')
        self.scales, self.warps = scales, warps

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`FlowMethod`."""
        return {'type': 'TVL1Flow', 'scales': self.scales, 'warps': self.warps}

    def check(self) -> None:
        """See :class:`FlowMethod`."""
        if not hasattr(cv2, 'optflow'):
            raise UserError(
                f'TVL1Flow needs OpenCV with its contributed modules, which is not installed: {_INSTALL}; DISFlow '
                'needs plain OpenCV alone'
            )

    def of_video(self, path: Path, fps: float) -> FlowOfVideo:
        """See :class:`FlowMethod`."""
        self.check()
        contributed: Any = cv2.optflow
        return _Computed(contributed.DualTVL1OpticalFlow_create(nscales=self.scales, warps=self.warps))


class DISFlow(FlowMethod):
    """Flow by dense inverse search (Kroeger et al., ECCV 2016), which is many times faster than TV-L1.

    Args:
        preset: OpenCV's: ``ultrafast``, ``fast`` or ``medium``.

    Raises:
        UserError: If there is no such preset.
    """

    def __init__(self, *, preset: DISPreset = 'medium') -> None:
        if preset not in get_args(DISPreset):
            raise UserError(f'preset of DISFlow must be one of {get_args(DISPreset)}, found {preset!r}')
        self.preset = preset

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`FlowMethod`."""
        return {'type': 'DISFlow', 'preset': self.preset}

    def check(self) -> None:
        """See :class:`FlowMethod`; every OpenCV has it."""

    def of_video(self, path: Path, fps: float) -> FlowOfVideo:
        """See :class:`FlowMethod`."""
        preset = getattr(cv2, f'DISOPTICAL_FLOW_PRESET_{self.preset.upper()}')
        return _Computed(cv2.DISOpticalFlow.create(preset))


class FlowFrames(FlowMethod):
    """Flow that another tool wrote as images, one for x and one for y, 0 to 255 for -bound to bound.

    The images of a video VIDEO.mp4 are ``FOLDER/VIDEO/flow_x_00001.jpg`` and ``flow_y_00001.jpg`` (denseflow, mmaction,
    TSN), ``FOLDER/VIDEO/x_00001.jpg``, ``FOLDER/flow_x/VIDEO/00001.jpg`` or ``FOLDER/u/VIDEO/frame000001.jpg`` with
    ``v``; numbers begin anywhere and have no gaps. They are scaled like the pictures; their displacements are not, so
    they should have been computed on pictures of the size that the network wants.

    Args:
        folder: The folder.
        fps: Images a second: the frame rate at which the flow was computed. By default it is that to which the videos
            are resampled.
        bound: Pixels that the values 0 and 255 stand for.

    Raises:
        UserError: If the folder does not exist, or a value is not above 0.
    """

    def __init__(self, *, folder: str | Path, fps: float | None = None, bound: float = 20.0) -> None:
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise UserError(f'the folder of flow images {self.folder} of FlowFrames does not exist')
        if not bound > 0 or not (fps is None or fps > 0):
            raise UserError(f'fps and bound of FlowFrames must be above 0, found {fps} and {bound}')
        self.fps, self.bound = fps, bound

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`FlowMethod`."""
        return {'type': 'FlowFrames', 'folder': self.folder.name, 'fps': self.fps, 'bound': self.bound}

    def check(self) -> None:
        """See :class:`FlowMethod`; reading images needs nothing more."""

    def of_video(self, path: Path, fps: float) -> FlowOfVideo:
        """See :class:`FlowMethod`."""
        for layout in _LAYOUTS:
            found = [_numbered(self.folder, axis.format(video=path.stem)) for axis in layout]
            if any(found):
                return _OfImages(path, found[0], found[1], ratio=(self.fps or fps) / fps, bound=self.bound)
        places = ', '.join(f'{first}*' for first, _ in _LAYOUTS).format(video=path.stem)
        raise VideoError(f'{file_name(path)}: no flow images of it are in {self.folder}, looked for {places}')


class _OfImages(FlowOfVideo):
    def __init__(self, path: Path, x: dict[int, Path], y: dict[int, Path], *, ratio: float, bound: float) -> None:
        numbers = sorted(x)
        if x.keys() != y.keys() or numbers[-1] - numbers[0] + 1 != len(numbers):
            raise VideoError(
                f'{file_name(path)}: expected flow images for x and y with the same numbers and no gaps, found '
                f'{len(x)} and {len(y)} below {next(iter((x or y).values())).parent}'
            )
        self._path, self._ratio, self._bound = path, ratio, bound
        self._images = [(x[number], y[number]) for number in numbers]

    def after(self, number: int, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
        image = int(number * self._ratio + 1e-6)
        if image >= len(self._images) + _MISSING_FRAMES:
            raise VideoError(
                f'{file_name(self._path)} has {len(self._images)} flow images, and is longer by at least '
                f'{image - len(self._images) + 1}: were they made of this file, at the rate that fps says?'
            )
        height, width = earlier.shape[:2]
        axes = [_read_grey(one, (width, height)) for one in self._images[min(image, len(self._images) - 1)]]
        return np.stack(axes, axis=-1) * np.float32(2 * self._bound / 255) - np.float32(self._bound)


def _read_grey(path: Path, size: tuple[int, int]) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise VideoError(f'flow image {file_name(path)} cannot be read')
    scaled = image if image.shape[::-1] == size else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return scaled.astype(np.float32)


def _numbered(root: Path, prefix: str) -> dict[int, Path]:
    """Return the images whose names begin with a prefix, by their numbers."""
    inner, _, start = prefix.rpartition('/')
    folder = root / inner
    if not folder.is_dir():
        return {}
    named = re.compile(rf'{re.escape(start)}(\d+)')
    found = ((named.fullmatch(one.stem), one) for one in folder.iterdir() if one.suffix.lower() in _ENDINGS)
    return {int(match[1]): one for match, one in found if match}
