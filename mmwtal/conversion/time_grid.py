"""The time grid and the durations of own features, from options, ``features.json`` and measured lengths."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmwtal.formats.sidecar import SIDECAR_NAME, FeatureSidecar, SidecarVideo
from mmwtal.structures.timebase import Timebase
from mmwtal.utils.json_file import read_json_object

_GRID_KEYS = ('fps', 'stride', 'window')
# Two statements of one duration agree if they differ by less: containers and decoders disagree by a frame.
_SAME_SECONDS = 0.05
# The unit of strides where time is linear over the duration and nothing states a frame rate; any value is right.
_LINEAR_FPS = 25.0


@dataclass(frozen=True, kw_only=True)
class GridOptions:
    """What the user states of the time grid.

    Args:
        fps: Frames a second; None if not stated.
        stride: Frames from snippet to snippet; None if not stated.
        window: Frames that a snippet sees; None if not stated.
        linear: Whether each video's snippets are spread evenly over its duration, instead of a common stride.
    """

    fps: float | None = None
    stride: float | None = None
    window: float | None = None
    linear: bool = False


@dataclass(frozen=True, kw_only=True)
class VideoTime:
    """The time of one video.

    Args:
        duration: Seconds.
        measured: Whether the duration was stated; else it is where the features end.
        grid: ``fps``, ``stride``, ``window`` where they differ from the folder's.
    """

    duration: float
    measured: bool
    grid: Mapping[str, float]


class TimeGrid:
    """Finds the time grid of a feature folder and of each video in it.

    Args:
        options: What the user states.
        durations: Stated durations in seconds, by video.
        durations_path: Where they were stated, for messages.
        sidecar: What the feature folder states.
        problems: Contradictions and gaps are appended.
    """

    def __init__(
        self,
        *,
        options: GridOptions,
        durations: Mapping[str, float],
        durations_path: Path | None,
        sidecar: FeatureSidecar | None,
        problems: list[str],
    ) -> None:
        self._options = options
        self._durations = durations
        self._durations_path = durations_path
        self._sidecar = sidecar
        self._problems = problems
        self.folder = self._folder_grid()

    def video(self, video_id: str, snippets: int) -> VideoTime | None:
        """Return the time of a video.

        Args:
            video_id: Its id.
            snippets: T.

        Returns:
            Its time; None if it cannot be known, which is then among the problems.
        """
        stated = SidecarVideo(grid={}) if self._sidecar is None else self._sidecar.video(video_id)
        own = dict(stated.grid)
        grid = {**self.folder, **own}
        duration = self._stated_duration(video_id, stated, grid.get('fps'))
        if self._options.linear:
            return self._linear(video_id, snippets, duration, own)
        missing = [key for key in ('fps', 'stride') if key not in grid]
        if missing:
            self._report_missing(missing)
            return None
        end = float(Timebase(fps=grid['fps'], stride=grid['stride'], window=grid.get('window')).to_seconds(snippets))
        return VideoTime(duration=end if duration is None else duration, measured=duration is not None, grid=own)

    def _folder_grid(self) -> dict[str, float]:
        stated = {} if self._sidecar is None else dict(self._sidecar.grid)
        grid = dict(stated)
        for key in _GRID_KEYS:
            value = getattr(self._options, key)
            if value is None:
                continue
            if key in stated and not math.isclose(stated[key], value, rel_tol=1e-6):
                self._problems.append(
                    f'--{key} {value:g} contradicts {key} {stated[key]:g} in {SIDECAR_NAME} of the feature folder: '
                    'leave the option out, or correct the file'
                )
            grid[key] = value
        if self._options.linear:
            for key in ('stride', 'window'):
                if key in grid:
                    origin = f'{key} {grid[key]:g} in {SIDECAR_NAME}' if key in stated else f'--{key} {grid[key]:g}'
                    self._problems.append(f'--linear-time contradicts {origin}: leave out one of them')
            grid = {'fps': grid.get('fps', _LINEAR_FPS)}
        return grid

    def _stated_duration(self, video_id: str, stated: SidecarVideo, fps: float | None) -> float | None:
        of_sidecar = stated.duration
        if of_sidecar is None and stated.frames is not None and fps is not None:
            of_sidecar = stated.frames / fps
        of_csv = self._durations.get(video_id)
        if of_csv is None or of_sidecar is None:
            return of_sidecar if of_csv is None else of_csv
        if abs(of_csv - of_sidecar) > _SAME_SECONDS:
            self._problems.append(
                f'video {video_id}: duration {of_csv:g} s in {self._durations_path}, but {of_sidecar:g} s in '
                f'{SIDECAR_NAME} of the feature folder'
            )
        return of_csv

    def _linear(
        self, video_id: str, snippets: int, duration: float | None, own: Mapping[str, float]
    ) -> VideoTime | None:
        if 'stride' in own or 'window' in own:
            self._problems.append(f'--linear-time contradicts the stride or window of {video_id} in {SIDECAR_NAME}')
            return None
        if duration is None:
            self._problems.append(f'video {video_id}: --linear-time needs its duration: name it in --durations')
            return None
        stride = duration * own.get('fps', self.folder['fps']) / snippets
        return VideoTime(duration=duration, measured=True, grid={**own, 'stride': stride})

    def _report_missing(self, missing: list[str]) -> None:
        where = 'the feature folder has no' if self._sidecar is None else 'it is not in its'
        problem = (
            f'the {" and ".join(missing)} of the features are not known: {where} {SIDECAR_NAME}; state them with '
            f'{" and ".join(f"--{key}" for key in missing)}, or use --linear-time where the stride is unknown'
        )
        if problem not in self._problems:
            self._problems.append(problem)


def sidecar_content(
    folder: Path | None,
    grid: TimeGrid,
    times: Mapping[str, VideoTime],
    *,
    widths: Collection[int],
    lengths: Collection[int] = (),
    modalities: Mapping[str, list[int]] | None,
    keep_all: bool = False,
    problems: list[str],
) -> dict[str, Any]:
    """Return the content of ``features.json``: what the feature folder's own says, completed.

    Args:
        folder: The folder whose ``features.json`` is completed, if it has one.
        grid: The time grid of the folder.
        times: The time of each video.
        widths: Widths of the features.
        lengths: Their numbers of snippets.
        modalities: Channel range [first, end) of each modality, if stated.
        keep_all: Keep the entries of videos that are not converted, since the file is replaced in place.
        problems: Contradictions about modalities are appended.
    """
    path = None if folder is None else folder / SIDECAR_NAME
    content = dict(read_json_object(path, what='feature sidecar')) if path is not None and path.exists() else {}
    given = content.pop('videos', {})
    # What an entry that is no object is, is among the problems already.
    videos = {
        video: entry for video, entry in given.items() if isinstance(entry, dict) and (keep_all or video in times)
    }
    for video, time in times.items():
        videos[video] = {**videos.get(video, {}), **time.grid}
    if modalities is not None:
        if content.get('modalities', modalities) != modalities:
            problems.append(f'--modalities {modalities} contradicts {content["modalities"]} in {path}')
        end = max(last for _, last in modalities.values())
        if widths and set(widths) != {end}:
            turned = set(lengths) == {end}
            hint = '; the arrays look like (D, T): store them transposed, as (T, D)' if turned else ''
            found = ', '.join(map(str, sorted(widths)))
            problems.append(f'--modalities has {end} channels, the features have {found}{hint}')
        content['modalities'] = modalities
    return {**content, **grid.folder, 'videos': videos}
