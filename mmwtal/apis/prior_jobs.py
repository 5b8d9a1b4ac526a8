"""What tools/priors.py does beyond running a job: its plan, the picture of a video, the vectors of its texts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmwtal.apis.offline import job_config
from mmwtal.apis.plans import plan_in_store
from mmwtal.apis.settings import prepare_config
from mmwtal.offline.job import EngineDown
from mmwtal.offline.plan import Plan, find_plan
from mmwtal.priors.describe_classes import ClassQuestion, DescribedClasses, describe_classes
from mmwtal.priors.engines.base import BaseEngine
from mmwtal.priors.generation import PriorGeneration
from mmwtal.priors.schema import PriorRecord
from mmwtal.priors.store import PriorStore
from mmwtal.registry import GUIDANCE_TEXTS, MLLM_ENGINES, build_module
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import finite_number
from mmwtal.utils.names import did_you_mean
from mmwtal.video.reader import read_frames
from mmwtal.video.source import VideoError

_SHORT_SIDE = 240
# Of a long video, as many as a person looks at.
_MOST_SHOWN = 96


def begin_plan(job: PriorGeneration, folder: Path, videos: Path, *, workers: int, overwrite: bool = False) -> Plan:
    """Find and probe the training videos of a job, and begin its store; an earlier or interrupted plan is taken up.

    Args:
        job: The job.
        folder: The store.
        videos: The folder of videos.
        workers: Processes that probe.
        overwrite: Replace a store of another job; one of this job is kept.

    Raises:
        UserError: If the store is of another job, a video has two files, or no video is there.
    """
    if not videos.is_dir():
        raise UserError(f'--videos: there is no folder {videos}')
    return plan_in_store(PriorStore(folder), job.identity, videos, job.wanted, workers=workers, overwrite=overwrite)


def need_plan(folder: Path, videos: Path | None = None) -> Plan:
    """Return the plan of a store; ``videos`` is where its files are on this machine.

    Raises:
        UserError: If there is none, or the videos are not where it says: else each of them would fail.
    """
    plan = find_plan(folder, None if videos is None else videos.absolute())
    if plan is None:
        raise UserError(
            f'{folder} has no plan: make it with tools/priors.py plan CONFIG --videos FOLDER and the same store'
        )
    if not plan.root.is_dir():
        raise UserError(
            f'the folder of videos {plan.root} is not there: name it, as this machine knows it, by --videos'
        )
    return plan


def draw_video(folder: Path, video: str, path: Path, *, videos: Path | None = None) -> None:
    """Draw the frames of a video that the model was asked about, of many some, and what it answered.

    Args:
        folder: The store.
        video: The video's id.
        path: The PNG file to write.
        videos: The folder of videos; None for where the plan was made.

    Raises:
        UserError: If the store knows nothing of the video, or it cannot be read.
    """
    store = PriorStore(folder).read()
    records = [record for record in store.values() if record.video == video]
    plan = find_plan(folder, videos)
    if plan is None:
        raise UserError(f'{folder} has no plan: its texts were imported, and no video was asked about')
    entries = {entry.video: entry for entry in plan.entries}
    entry = entries.get(video)
    if entry is None or not records:
        known = {one for one, _ in store}
        raise UserError(f'{folder} has no record of a video {video!r}{did_you_mean(video, known & entries.keys())}')
    asked = _times_asked(records)
    if not asked:
        raise UserError(f'video {video}: no frame of it was asked about ({records[0].reason or records[0].state})')
    count = min(len(asked), _MOST_SHOWN)
    times = [asked[(2 * number + 1) * len(asked) // (2 * count)] for number in range(count)]
    try:
        read = read_frames(entry.path, times, short_side=_SHORT_SIDE)
    except VideoError as error:
        raise UserError(f'{error}; --videos names the folder of videos on this machine') from None
    # Imported here: matplotlib takes its time, and only a picture needs it.
    from mmwtal.visualization.prior_picture import draw_prior

    frames = list(read.frames)
    draw_prior(path, video=video, duration=entry.duration, times=times, frames=frames, asked=asked, records=records)


def _times_asked(records: list[PriorRecord]) -> list[float]:
    """Return the times of all frames that a video's questions showed."""
    times: set[float] = set()
    for record in records:
        for question in ('key', 'complete'):
            asked: Any = record.details.get(question)
            frames = asked.get('frames') if isinstance(asked, Mapping) else None
            # Details may come from anywhere.
            found = map(finite_number, frames if isinstance(frames, list) else ())
            times.update(time for time in found if time is not None and time >= 0)
    return sorted(times)


def embed_texts(
    config: str | Path, *, data_root: Path | None = None, cfg_options: Mapping[str, Any] | None = None
) -> Any:
    """Run the text encoder of a config's guidance for all texts whose vectors are not cached yet.

    Args:
        config: A config with guidance by texts.
        data_root: Replaces the config's.
        cfg_options: Dotted keys and the values that replace the config's.

    Returns:
        The texts, as training sees them.

    Raises:
        UserError: If the config or a text is faulty, or has no guidance by texts.
    """
    cfg = prepare_config(config, cfg_options=cfg_options, data_root=data_root)
    guidance = cfg.model.get('guidance')
    if not isinstance(guidance, dict) or guidance.get('texts') is None:
        raise UserError(f'{config} has no guidance by texts: take a config of configs/mllm4wtal/')
    return build_module(guidance['texts'], GUIDANCE_TEXTS)


async def describe_classes_by(
    config: str | Path, classes: Sequence[str], out: Path, *, cfg_options: Mapping[str, Any] | None = None
) -> DescribedClasses:
    """Ask the model of a job's config to describe classes.

    Args:
        config: A config whose job has an engine.
        classes: The classes.
        out: The file of descriptions; see :func:`~mmwtal.priors.describe_classes.describe_classes`.
        cfg_options: Dotted keys and the values that replace the config's.

    Raises:
        UserError: If the config is wrong, the engine will not answer or is out of reach.
    """
    engine: BaseEngine = build_module(job_config(config, cfg_options).get('engine'), MLLM_ENGINES)
    try:
        await engine.open()
        return await describe_classes(classes, out, engine=engine, question=ClassQuestion())
    except EngineDown as error:
        raise UserError(f'{error}; run the same command again to go on') from None
    finally:
        await engine.close()
