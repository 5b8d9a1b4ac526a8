"""The picture of one video of a data root: what is known of it beside what several models find in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmwtal.apis.ablation.cells import make_cells
from mmwtal.apis.ablation.read_plan import read_plan
from mmwtal.apis.inference_inputs import ANNOTATIONS, InferenceInput
from mmwtal.apis.inference_pictures import make_timeline
from mmwtal.apis.inferencer import WTALInferencer
from mmwtal.apis.localized import Localized
from mmwtal.evaluation.detections import read_detections
from mmwtal.formats.action_texts import Action
from mmwtal.formats.annotations import AnnotationSet, read_annotations
from mmwtal.formats.findings import shown
from mmwtal.utils.errors import UserError
from mmwtal.utils.names import did_you_mean
from mmwtal.visualization.timeline_data import Timeline


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model that is run for a picture.

    Args:
        config: Its config: the file, or what ``prepare_config`` made of it.
        checkpoint: Its checkpoint, or its work dir.
    """

    config: str | Config
    checkpoint: str | Path

    @property
    def files(self) -> list[str]:
        """The files that it is read from."""
        return [str(self.config.filename if isinstance(self.config, Config) else self.config), str(self.checkpoint)]


def models_of_plan(path: Path, *, work_dir: Path, repository: Path) -> tuple[dict[str, ModelSource], int]:
    """Return the models that ``tools/analysis/ablate.py`` made: all arms of a plan's first data and base.

    Args:
        path: The plan.
        work_dir: Where it was run.
        repository: What relative paths of configs refer to.

    Returns:
        The models by the names of the arms, and the seed of their runs: the first of the plan.

    Raises:
        UserError: If the plan is faulty, or a run is not finished.
    """
    plan = read_plan(path)
    cells = make_cells(plan, chosen=plan.default_seeds, repository=repository, work_dir=work_dir / 'runs')
    first = cells[0]
    models = {}
    for cell in cells:
        if (cell.data, cell.base) != (first.data, first.base):
            continue
        run = cell.run(first.seeds[0], plan, repository, None)
        if run.finished(cell.cfg) is None:
            raise UserError(f'{run.name} is not finished in {work_dir}: run tools/analysis/ablate.py {path} first')
        models[cell.arm.name] = ModelSource(config=cell.cfg, checkpoint=run.checkpoint(cell.cfg))
    return models, first.seeds[0]


def first_test_video(annotations: AnnotationSet) -> str:
    """Return the test video whose id comes first in the alphabet: a choice that looks at no result.

    Raises:
        UserError: If there is no test video.
    """
    videos = sorted(video.video_id for video in annotations.in_subset('test'))
    if not videos:
        raise UserError(f'{annotations.path} has no test video: name one of another subset with --video')
    return videos[0]


def compared_timeline(
    data_root: Path, sources: Mapping[str, Path | ModelSource], *, video: str | None = None, note: str = ''
) -> Timeline:
    """Return the time line of a video with the ground truth and a row for each source.

    Args:
        data_root: The data root.
        sources: By the names of their rows: a file of predictions, or a model, which gives curves too.
        video: The video's id; :func:`first_test_video` by default.
        note: What else a reader must know.

    Raises:
        UserError: If the video is not there, a source does not know it, or a model cannot be run on it.
    """
    annotations = read_annotations(data_root / ANNOTATIONS)
    video = first_test_video(annotations) if video is None else video
    truth = annotations.videos.get(video)
    if truth is None:
        raise UserError(f'{annotations.path} has no video {shown(video)}{did_you_mean(video, annotations.videos)}')
    found: dict[str, Localized | Sequence[Action]] = {}
    for name, source in sources.items():
        found[name] = (
            _of_model(source, data_root, video) if isinstance(source, ModelSource) else _of_file(source, video)
        )
    durations = [one.duration for one in found.values() if isinstance(one, Localized)]
    ends = [action.end for one in found.values() if not isinstance(one, Localized) for action in one]
    duration = next(iter(durations), truth.duration or max(ends, default=0.0))
    if not duration > 0:
        raise UserError(f'{annotations.path}: the duration of video {shown(video)} is not stated, and nothing is found')
    note = f'{duration:.1f} s{note}; a bar is as high as its score beside the best of its model in the video'
    return make_timeline(video, duration, found, truth=truth, note=note)


def _of_file(path: Path, video: str) -> list[Action]:
    detections = read_detections(path)
    if video not in detections.video_ids:
        raise UserError(
            f'{path} has no predictions for video {shown(video)}{did_you_mean(video, detections.video_ids)}'
        )
    own = detections.select(detections.videos == detections.video_ids.index(video))
    rows = zip(own.segments.tolist(), own.scores.tolist(), own.labels.tolist(), strict=True)
    return [Action(label=own.classes[label], start=start, end=end, score=score) for (start, end), score, label in rows]


def _of_model(source: ModelSource, data_root: Path, video: str) -> Localized:
    inferencer = WTALInferencer(source.config, source.checkpoint, device='cpu')
    found: list[InferenceInput] = inferencer.find([video], data_root=data_root)
    outcome = next(inferencer.localize(found))
    if not isinstance(outcome, Localized):
        raise UserError(f'video {shown(video)}: {outcome.reason}')
    return outcome
