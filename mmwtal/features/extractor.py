"""From a video file to the features of its snippets."""

import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
from mmengine.device import get_device

from mmwtal.features.network import DTYPES, Crop, StreamNetwork
from mmwtal.features.reading import ReadingPlan, Stretch, VideoEnd, read_stretches
from mmwtal.features.snippets import Partial, SnippetGrid
from mmwtal.registry import FEATURE_BACKBONES, FLOW_METHODS, OFFLINE_JOBS, build_module
from mmwtal.utils.errors import UserError
from mmwtal.version import __version__
from mmwtal.video.flow import DISFlow, FlowFrames, TVL1Flow

Dtype = Literal['float32', 'float16', 'bfloat16']
_STREAM_KEYS = frozenset({'name', 'backbone', 'flow', 'frames'})
_PACKAGES = ('torch', 'av', 'transformers', 'mmaction2')

# Here and not in their own file, which the processes that decode import: they need no registry, and so no torch.
for _method in (TVL1Flow, DISFlow, FlowFrames):
    FLOW_METHODS.register_module(module=_method)


@dataclass(frozen=True, kw_only=True, eq=False)
class ExtractedVideo:
    """The features of a video.

    Args:
        features: (T, D), float32, the streams side by side.
        frames: Number of frames of the resampled video.
        duration: Seconds from the first frame to the end of the last.
    """

    features: np.ndarray
    frames: int
    duration: float


@OFFLINE_JOBS.register_module()
class VideoExtractor:
    """Extracts snippet features from videos.

    The networks are built when they are first needed, and stay on the CPU until :meth:`prepare`. It can be pickled
    where its streams are configs.

    Args:
        streams: One config a stream, in the order of their channels: ``name`` (``rgb``, ``flow``, ...), ``backbone``
            (a feature backbone or its config), for optical flow ``flow`` (where it comes from), and ``frames``, how
            many frames of a snippet the backbone is given, evenly spread (default: all).
        fps: Rate to which videos are resampled by their time stamps.
        window: Frames of a snippet.
        stride: Frames from one snippet to the next.
        crop: ``center``, or ``ten`` for the mean over ten crops.
        partial: What becomes of an incomplete snippet at the end: ``drop`` or ``pad``; see
            :class:`~mmwtal.features.snippets.SnippetGrid`.
        batch_size: Most snippets in a network at once.
        device: ``auto`` for the accelerator where there is one, or a device of torch.
        dtype: What the networks compute in: ``float32``, ``float16`` or ``bfloat16``.

    Raises:
        UserError: If a setting is wrong.
    """

    def __init__(
        self,
        *,
        streams: Sequence[Mapping[str, Any]],
        fps: float = 25.0,
        window: int = 16,
        stride: int = 16,
        crop: Crop = 'center',
        partial: Partial = 'drop',
        batch_size: int = 16,
        device: str = 'auto',
        dtype: Dtype = 'float32',
    ) -> None:
        if crop not in get_args(Crop) or dtype not in DTYPES:
            raise UserError(
                f'VideoExtractor: crop is one of {", ".join(get_args(Crop))} and dtype one of {", ".join(DTYPES)}, '
                f'found {crop!r} and {dtype!r}'
            )
        if not fps > 0 or batch_size < 1:
            raise UserError(f'VideoExtractor: fps and batch_size must be above 0, found {fps} and {batch_size}')
        self.grid = SnippetGrid(window=window, stride=stride, partial=partial)
        self.fps, self.crop, self.batch_size, self.dtype = float(fps), crop, batch_size, dtype
        self._device = device
        self._configs = _checked(streams)
        self._ready = False

    def __getstate__(self) -> dict[str, Any]:
        # Networks are built anew where it is unpickled.
        return {**{key: value for key, value in vars(self).items() if key != 'streams'}, '_ready': False}

    @cached_property
    def streams(self) -> tuple[StreamNetwork, ...]:
        """The networks, in the order of their channels."""
        return tuple(
            StreamNetwork(
                name=one['name'],
                backbone=build_module(one['backbone'], FEATURE_BACKBONES),
                flow=build_module(one.get('flow'), FLOW_METHODS),
                frames=one.get('frames') or self.grid.window,
                crop=self.crop,
            )
            for one in self._configs
        )

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the features depend on, as JSON can hold it."""
        return {
            'fps': self.fps,
            'window': self.grid.window,
            'stride': self.grid.stride,
            'partial': self.grid.partial,
            'crop': self.crop,
            'dtype': self.dtype,
            'streams': {one.name: one.identity for one in self.streams},
            'channels': {name: list(channels) for name, channels in self.channels_of.items()},
        }

    @property
    def width(self) -> int:
        """D, of all streams together."""
        return sum(one.backbone.width for one in self.streams)

    @property
    def channels_of(self) -> dict[str, tuple[int, int]]:
        """The range [first, end) of each stream's channels, by name."""
        ends = np.cumsum([one.backbone.width for one in self.streams]).tolist()
        return {one.name: (end - one.backbone.width, end) for one, end in zip(self.streams, ends, strict=True)}

    def sidecar(self) -> dict[str, Any]:
        """Return what ``features.json`` states of the features; see :func:`mmwtal.formats.sidecar.read_sidecar`.

        ``model`` and ``weights`` are by stream: the backbone's class, and the hash of its weights.
        """
        identity = self.identity
        streams: dict[str, dict[str, Any]] = identity['streams']
        flows = [one['flow']['type'] for one in streams.values() if one['flow']]
        return {
            **{key: identity[key] for key in ('fps', 'stride', 'window', 'partial', 'crop', 'dtype')},
            'width': self.width,
            'modalities': identity['channels'],
            'flow': flows[0] if flows else None,
            'model': {name: one['backbone']['type'] for name, one in streams.items()},
            'weights': {name: one['backbone']['weights'] for name, one in streams.items()},
            'streams': streams,
            'versions': {
                'mmwtal': __version__,
                'python': platform.python_version(),
                # By itself: it comes in packages of several names, one of them with TV-L1.
                'opencv': cv2.__version__,
                **{name: _version(name) for name in _PACKAGES},
            },
        }

    def plan(self) -> ReadingPlan:
        """Return how videos are to be read."""
        streams = tuple(one.reading for one in self.streams)
        return ReadingPlan(streams=streams, fps=self.fps, grid=self.grid, snippets=self.batch_size)

    def prepare(self) -> None:
        """Bring the networks to their device; done by itself before the first features.

        Raises:
            UserError: If the device is not there, or what computes flow is not.
        """
        if self._ready:
            return
        for one in self.streams:
            if one.flow is not None:
                one.flow.check()
        name = get_device() if self._device == 'auto' else self._device
        try:
            device = torch.device(name)
            for one in self.streams:
                one.move(device, DTYPES[self.dtype])
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition('\n')[0]
            raise UserError(f'device {name!r} of VideoExtractor cannot be used: {reason}') from error
        self._ready = True

    def features(self, stretches: Sequence[Stretch]) -> list[np.ndarray]:
        """Return the features of stretches of several videos, computed in one batch.

        Args:
            stretches: What was read by :meth:`plan`.

        Returns:
            For each stretch (n, D), float32.

        Raises:
            UserError: If the device's memory does not hold the batch.
        """
        self.prepare()
        try:
            rows = [one.features([stretch.streams[one.name] for stretch in stretches]) for one in self.streams]
        except torch.OutOfMemoryError as error:
            raise UserError(
                f'the device has no memory for {sum(one.snippets for one in stretches)} snippets at once: set a '
                f'smaller batch_size of the extractor, found {self.batch_size}'
            ) from error
        ends = np.cumsum([one.snippets for one in stretches])[:-1]
        return np.split(np.concatenate(rows, axis=1), ends)

    def extract(self, path: Path, *, progress: Callable[[float], None] | None = None) -> ExtractedVideo:
        """Extract the features of one video in this process; a thread reads ahead by one stretch.

        Args:
            path: Its file.
            progress: Is told up to which second of the video the features are there.

        Raises:
            VideoError: If the file is no video that can be decoded.
            UserError: If the networks cannot be used.
        """
        stretches = read_stretches(Path(path), self.plan())
        rows: list[np.ndarray] = []
        end: VideoEnd | None = None
        with ThreadPoolExecutor(1, thread_name_prefix='video decoder') as reader:
            ahead = reader.submit(next, stretches)
            while end is None:
                stretch = ahead.result()
                end = stretch.end
                if end is None:
                    ahead = reader.submit(next, stretches)
                rows += self.features([stretch])
                if progress is not None:
                    progress(stretch.seconds)
        return ExtractedVideo(features=np.concatenate(rows), frames=end.frames, duration=end.duration)


def _checked(streams: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Return the configs of streams after checking their keys."""
    configs = tuple(dict(one) for one in streams)
    for one in configs:
        if not {'name', 'backbone'} <= one.keys() <= _STREAM_KEYS or not isinstance(one['name'], str):
            raise UserError(
                f'a stream is dict(name=..., backbone=dict(type=...)[, flow=dict(type=...)][, frames=...]), found {one}'
            )
        frames = one.get('frames')
        if frames is not None and (not isinstance(frames, int) or frames < 1):
            raise UserError(f'frames of stream {one["name"]!r} must be a whole number above 0, found {frames!r}')
    names = [one['name'] for one in configs]
    if not names or len(set(names)) < len(names):
        raise UserError(f'streams must have distinct names, and there must be one, found {names}')
    return configs


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
