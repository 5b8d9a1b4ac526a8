"""Reading ``features.json``, the sidecar of a feature folder, and the time grid of each video that follows from it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmwtal.formats.feature_facts import feature_facts
from mmwtal.formats.findings import Finding, Kind, shown
from mmwtal.structures.timebase import Timebase
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import JsonObject, json_type, positive_integer, positive_number, read_json_object

SIDECAR_NAME = 'features.json'
_GRID_KEYS = ('fps', 'stride', 'window')


@dataclass(frozen=True, kw_only=True)
class SidecarVideo:
    """What the sidecar states of one video; None where it states nothing.

    Args:
        frames: Number of frames that the features were made from.
        duration: Seconds.
        snippets: Number of rows of the feature file.
        grid: ``fps``, ``stride`` and ``window`` where they differ from those of the folder.
    """

    frames: int | None = None
    duration: float | None = None
    snippets: int | None = None
    grid: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class FeatureSidecar:
    """The sidecar of a feature folder.

    Args:
        path: The file.
        grid: ``fps``, ``stride`` and ``window`` of the folder, as far as they are stated.
        width: D; None if not stated.
        modalities: Channel range [first, end) of each modality.
        videos: What is stated of single videos.
        findings: What is wrong with the entries of single videos.
        stated: All that the file states, but of single videos.
    """

    path: Path
    grid: Mapping[str, float]
    width: int | None
    modalities: Mapping[str, tuple[int, int]]
    videos: Mapping[str, SidecarVideo]
    findings: Mapping[str, tuple[Finding, ...]]
    stated: Mapping[str, object] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, Any]:
        """What the file states of how the features were made."""
        return feature_facts(self.stated)

    @property
    def widths_of_modalities(self) -> dict[str, int]:
        """The width of each modality, in the order of the channels."""
        ranges = sorted(self.modalities.items(), key=lambda stated: stated[1])
        return {name: end - first for name, (first, end) in ranges}

    def video(self, video_id: str) -> SidecarVideo:
        """Return what is stated of a video."""
        return self.videos.get(video_id, SidecarVideo(grid={}))

    def grid_of(self, video_id: str) -> dict[str, float]:
        """Return ``fps``, ``stride`` and ``window`` of a video as far as they are stated.

        The window is the stride where a stride is stated and no window: a value from elsewhere must not take its place.
        """
        grid = {**self.grid, **self.video(video_id).grid}
        return {'window': grid['stride'], **grid} if 'stride' in grid else grid


def read_sidecar(folder: Path) -> FeatureSidecar | None:
    """Read the sidecar of a feature folder.

    Args:
        folder: The folder that holds the feature files.

    Returns:
        Its content; None if there is none.

    Raises:
        UserError: If the file as a whole is not valid.
    """
    path = folder / SIDECAR_NAME
    if not path.exists():
        return None
    content = read_json_object(path, what='feature sidecar')
    videos = content.get('videos', JsonObject([]))
    if not isinstance(videos, JsonObject):
        raise UserError(f'feature sidecar {path}: "videos" must be an object by video id, found {json_type(videos)}')
    width = content.get('width')
    if width is not None and positive_integer(width) is None:
        raise UserError(f'feature sidecar {path}: "width" must be a whole number above 0, found {width!r:.80}')
    grid = _grid(content)
    for key in _GRID_KEYS:
        if key not in grid and content.get(key) is not None:
            raise UserError(f'feature sidecar {path}: "{key}" must be a positive number, found {content[key]!r:.80}')
    parsed, findings = {}, {}
    for video_id, entry in videos.items():
        parsed[video_id], problems = _read_video(entry, video_id in videos.duplicates)
        if problems:
            findings[video_id] = tuple(
                Finding(kind=kind, video_id=video_id, detail=f'{SIDECAR_NAME}: {detail}') for kind, detail in problems
            )
    return FeatureSidecar(
        path=path,
        grid=grid,
        width=positive_integer(width),
        modalities=_modalities(path, content.get('modalities'), positive_integer(width)),
        videos=parsed,
        findings=findings,
        stated={key: value for key, value in content.items() if key != 'videos'},
    )


def check_timebase_setting(setting: Mapping[str, object]) -> dict[str, float]:
    """Return a configured time grid after checking it.

    Args:
        setting: ``dict(fps=..., stride=...[, window=...])``.

    Raises:
        UserError: If a key is missing, unknown or not a positive number.
    """
    unknown = set(setting) - set(_GRID_KEYS)
    missing = {'fps', 'stride'} - set(setting)
    if unknown or missing:
        raise UserError(f'timebase must be dict(fps=..., stride=...[, window=...]), found {dict(setting)!r}')
    checked = {key: positive_number(value) for key, value in setting.items() if value is not None}
    if None in checked.values() or not {'fps', 'stride'} <= set(checked):
        raise UserError(f'timebase: fps, stride and window must be positive numbers, found {dict(setting)!r}')
    return {key: value for key, value in checked.items() if value is not None}


def check_agreement(sidecar: FeatureSidecar, configured: Mapping[str, float], video_ids: Iterable[str]) -> None:
    """Check that a configured time grid does not contradict the sidecar.

    Args:
        sidecar: The sidecar.
        configured: The grid that the config states.
        video_ids: The videos that are used.

    Raises:
        UserError: If a value differs; names both.
    """
    for video_id in video_ids:
        stated = sidecar.grid_of(video_id)
        for key, value in configured.items():
            if key in stated and not math.isclose(value, stated[key], rel_tol=1e-6):
                raise UserError(
                    f'timebase: the config says {key}={value:g}, but {sidecar.path} says {key}={stated[key]:g} for '
                    f'video {shown(video_id)}; remove the timebase from the config, or correct the sidecar'
                )


def timebase_of(
    video_id: str, *, sidecar: FeatureSidecar | None, fallback: Mapping[str, float], duration: float | None
) -> Timebase:
    """Return the time grid of one video's features.

    Args:
        video_id: The video.
        sidecar: The sidecar of the feature folder, if it has one; what it states for the video comes first, then what
            it states for the folder.
        fallback: ``fps``, ``stride`` and ``window`` for what the sidecar leaves open.
        duration: Seconds according to the annotations; the sidecar's, measured on the video, comes first.

    Raises:
        ValueError: If fps or stride is known from nowhere.
    """
    grid = dict(fallback) if sidecar is None else {**fallback, **sidecar.grid_of(video_id)}
    missing = [key for key in ('fps', 'stride') if key not in grid]
    if missing:
        raise ValueError(f'neither {SIDECAR_NAME} nor the config states {" and ".join(missing)}')
    measured = None if sidecar is None else sidecar.video(video_id).duration
    return Timebase(
        fps=grid['fps'],
        stride=grid['stride'],
        window=grid.get('window'),
        duration=duration if measured is None else measured,
    )


def _grid(content: JsonObject) -> dict[str, float]:
    values = {key: positive_number(content.get(key)) for key in _GRID_KEYS}
    return {key: value for key, value in values.items() if value is not None}


def _read_video(entry: object, duplicate: bool) -> tuple[SidecarVideo, list[tuple[Kind, str]]]:
    problems: list[tuple[Kind, str]] = []
    if duplicate:
        problems.append((Kind.DUPLICATE, 'the id has more than one entry in "videos"'))
    if not isinstance(entry, JsonObject):
        problems.append((Kind.MALFORMED, f'the entry must be an object, found {json_type(entry)}'))
        return SidecarVideo(grid={}), problems
    grid = _grid(entry)
    counts = {key: positive_integer(entry.get(key)) for key in ('frames', 'snippets')}
    values = {**grid, **counts, 'duration': positive_number(entry.get('duration'))}
    for key in (*_GRID_KEYS, 'frames', 'snippets', 'duration'):
        if entry.get(key) is not None and values.get(key) is None:
            whole = 'whole ' if key in counts else ''
            problems.append((Kind.MALFORMED, f'"{key}" must be a positive {whole}number, found {entry[key]!r:.80}'))
    return SidecarVideo(**counts, duration=values['duration'], grid=grid), problems


def _modalities(path: Path, value: object, width: int | None) -> dict[str, tuple[int, int]]:
    if value is None:
        return {}
    ranges = value if isinstance(value, JsonObject) else {}
    last = math.inf if width is None else width
    sound = all(
        isinstance(channels, list)
        and len(channels) == 2
        and all(isinstance(channel, int) and not isinstance(channel, bool) for channel in channels)
        and 0 <= channels[0] < channels[1] <= last
        for channels in ranges.values()
    )
    if not ranges or not sound:
        raise UserError(
            f'feature sidecar {path}: "modalities" must give [first, end) channels within the width, as in '
            f'{{"rgb": [0, 1024], "flow": [1024, 2048]}}, found {value!r:.120}'
        )
    return {name: (channels[0], channels[1]) for name, channels in ranges.items()}
