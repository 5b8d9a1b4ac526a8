"""What inference is asked about: videos, folders, lists, features, the videos of a data root."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mmwtal.formats.annotations import VideoAnnotation, read_annotations, video_id_problem
from mmwtal.formats.checks import check_videos
from mmwtal.formats.findings import faults, shown
from mmwtal.formats.sidecar import FeatureSidecar, read_sidecar, timebase_of
from mmwtal.offline.video_files import find_videos
from mmwtal.structures.timebase import Timebase
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text
from mmwtal.utils.names import did_you_mean

Input = str | Path | np.ndarray | torch.Tensor

ANNOTATIONS = 'annotations.json'
FEATURE_SUFFIX, LIST_SUFFIX = '.npy', '.txt'


@dataclass(frozen=True, kw_only=True, eq=False)
class InferenceInput:
    """One video to be looked at.

    Args:
        name: Its id in the results, a valid name of a file.
        video: Its file, where that is known.
        features: Its features, (T, D), or their file; None: they are made from the video.
        timebase: The time grid of the features.
        truth: What is known of its actions.
        problem: Why nothing can be done with it; empty if nothing is known to be wrong.
    """

    name: str
    video: Path | None = None
    features: Path | np.ndarray | None = None
    timebase: Timebase | None = None
    truth: VideoAnnotation | None = None
    problem: str = ''


class InputFinder:
    """Finds what inputs mean.

    Args:
        width: D of the model.
        grid: ``fps``, ``stride`` and ``window`` of features that come without a sidecar, as far as they are known.
    """

    def __init__(self, *, width: int, grid: Mapping[str, float]) -> None:
        self._width = width
        self._grid = grid
        #: The sidecars that were read, of folders of features.
        self.sidecars: dict[Path, FeatureSidecar | None] = {}

    def find(self, inputs: Input | Sequence[Input], *, data_root: str | Path | None = None) -> list[InferenceInput]:
        """Return the videos that inputs mean, in their order.

        Args:
            inputs: A video; a feature file (.npy) or array (T, D); a folder of videos or of features, or a data root,
                which stands for its test videos; a list (.txt) with one of these a line, relative to its folder; or
                several of these.
            data_root: A data root, of which the inputs then name videos; none names its test videos.

        Raises:
            UserError: If an input is not there, holds nothing, or two inputs have one name.
        """
        one = isinstance(inputs, str | Path | np.ndarray | torch.Tensor)
        given: list[Input] = [inputs] if one else list(inputs)  # type: ignore[arg-type, list-item]
        if data_root is not None:
            return self._of_data_root(Path(data_root).expanduser(), [str(name) for name in given])
        if not given:
            raise UserError('there is no input: name a video, a folder, a list or features')
        found: list[InferenceInput] = []
        for number, entry in enumerate(given):
            if isinstance(entry, np.ndarray | torch.Tensor):
                found.append(self._of_array(f'array_{number}', entry))
            else:
                found += self._of_path(Path(entry).expanduser())
        return _distinct(found)

    def _of_array(self, name: str, array: np.ndarray | torch.Tensor) -> InferenceInput:
        values = np.asarray(array.detach().cpu().float() if isinstance(array, torch.Tensor) else array)
        if values.ndim != 2 or 0 in values.shape or values.dtype.kind != 'f':
            found = f'{values.dtype} of shape {values.shape}'
            return InferenceInput(name=name, problem=f'expected features (T, D), floating point, found {found}')
        try:
            grid = timebase_of(name, sidecar=None, fallback=self._grid, duration=None)
        except ValueError as error:
            return InferenceInput(name=name, problem=str(error))
        return InferenceInput(name=name, features=values, timebase=grid)

    def _of_path(self, path: Path) -> list[InferenceInput]:
        if path.is_dir():
            return self._of_folder(path)
        if not path.exists():
            raise UserError(f'input {path}: there is no such file or folder')
        if path.suffix.lower() == LIST_SUFFIX:
            return self._of_list(path)
        if path.suffix.lower() == FEATURE_SUFFIX:
            return self._of_features(path.parent, [_bare(path.stem)])
        return [_of_video(path)]

    def _of_folder(self, folder: Path) -> list[InferenceInput]:
        if (folder / ANNOTATIONS).exists():
            return self._of_data_root(folder, [])
        names = sorted(path.stem for path in folder.glob(f'*{FEATURE_SUFFIX}') if not path.name.startswith('.'))
        if names:
            return self._of_features(folder, [_bare(name) for name in names])
        found = find_videos(folder, None)
        if not found.files:
            raise UserError(f'input {folder}: the folder holds no video and no features (*{FEATURE_SUFFIX})')
        return [
            InferenceInput(name=name, video=folder / file.path, problem=file.problem)
            for name, file in found.files.items()
        ]

    def _of_list(self, path: Path) -> list[InferenceInput]:
        lines = [line.strip() for line in read_text(path, what='list of inputs').splitlines()]
        entries = [path.parent / Path(line).expanduser() for line in lines if line and not line.startswith('#')]
        if not entries:
            raise UserError(f'list of inputs {path} is empty: write the path of a video or of features on each line')
        found: list[InferenceInput] = []
        for entry in entries:
            if entry.suffix.lower() == LIST_SUFFIX:
                raise UserError(f'list of inputs {path} names another list, {entry}: a list holds videos and features')
            # One file that is gone must not keep a long list from being worked on.
            found += self._of_path(entry) if entry.exists() else [replace(_of_video(entry), problem=f'{entry} is gone')]
        return found

    def _of_data_root(self, root: Path, names: Sequence[str]) -> list[InferenceInput]:
        annotations = read_annotations(root / ANNOTATIONS)
        videos = [annotations.videos.get(name) for name in names] if names else annotations.in_subset('test')
        for name, video in zip(names, videos, strict=False):
            if video is None:
                hint = did_you_mean(name, annotations.videos)
                raise UserError(f'{root / ANNOTATIONS} has no video {shown(name)}{hint}')
        if not videos:
            raise UserError(f'{root / ANNOTATIONS} has no test video: name videos of the data root')
        return self._of_features(root / 'features', [video for video in dict.fromkeys(videos) if video is not None])

    def _of_features(self, folder: Path, videos: Sequence[VideoAnnotation]) -> list[InferenceInput]:
        """Check feature files and their time grids as a dataset does; what is wrong with one is its problem."""
        if folder not in self.sidecars:
            self.sidecars[folder] = read_sidecar(folder)
        report = check_videos(
            videos,
            folder=folder,
            classes={label for video in videos for label in (*video.labels, *video.segment_labels)},
            sidecar=self.sidecars[folder],
            fallback=self._grid,
            width=self._width,
        )
        problems: dict[str, list[str]] = {}
        for finding in faults(report.findings):
            problems.setdefault(finding.video_id, []).append(f'{finding.kind.heading}: {finding.detail}')
        sound = {video.annotation.video_id: video for video in report.videos}
        found = []
        for video in videos:
            name, checked = video.video_id, sound.get(video.video_id)
            problem = video_id_problem(name) or '; '.join(problems.get(name, ()))
            one = InferenceInput(name=name, truth=video if video.segments is not None else None, problem=problem)
            if checked is not None and not problem:
                one = replace(one, features=checked.path, timebase=checked.timebase)
            found.append(one)
        return found


def _bare(video_id: str) -> VideoAnnotation:
    """Return a video of which nothing is known."""
    return VideoAnnotation(
        video_id=video_id,
        subset=None,
        duration=None,
        labels=(),
        segments=None,
        segment_labels=(),
        ambiguous=np.zeros((0, 2)),
        findings=(),
    )


def _of_video(path: Path) -> InferenceInput:
    return InferenceInput(name=path.stem, video=path, problem=video_id_problem(path.stem) or '')


def _distinct(found: Iterable[InferenceInput]) -> list[InferenceInput]:
    """Return the inputs, one that was named twice once.

    Raises:
        UserError: If two different ones have the same name.
    """
    by_name: dict[str, InferenceInput] = {}
    for one in found:
        other = by_name.setdefault(one.name, one)
        places = [str(entry.video or entry.features) for entry in (other, one)]
        if places[0] != places[1]:
            raise UserError(
                f'two inputs have the name {shown(one.name)}: {places[0]} and {places[1]}; their results would be one '
                "in the other's place: rename one, or give them in two calls"
            )
    return list(by_name.values())


def with_videos(found: Iterable[InferenceInput], folder: Path) -> list[InferenceInput]:
    """Return inputs with the files of their videos, those that a folder has.

    Raises:
        UserError: If the folder cannot be read, or there are two files for a video.
    """
    inputs = list(found)
    files = find_videos(folder, [one.name for one in inputs if one.video is None]).files
    usable = {name: folder / file.path for name, file in files.items() if not file.problem}
    return [replace(one, video=usable[one.name]) if one.name in usable else one for one in inputs]
