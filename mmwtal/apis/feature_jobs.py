"""What tools/extract_features.py does beyond running a job: its plan, the sidecar, the annotations."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from mmwtal.apis.plans import plan_in_store
from mmwtal.conversion.audit import ConversionLog
from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.conversion.own_labels import Labels, make_database
from mmwtal.features.job import FeatureExtraction
from mmwtal.formats.feature_files import feature_path
from mmwtal.offline.ledger import raise_problems
from mmwtal.offline.plan import Plan
from mmwtal.utils.errors import UserError


def begin_extraction(
    job: FeatureExtraction,
    videos: Path,
    wanted: Collection[str] | None,
    *,
    workers: int,
    overwrite: bool = False,
) -> Plan:
    """Find and probe videos, and begin the folders of a job; an earlier plan of it is extended.

    Args:
        job: The job.
        videos: The folder of videos.
        wanted: Their ids; None for all that are there.
        workers: Processes that probe.
        overwrite: Remove what another job extracted there; what this one did is kept.

    Raises:
        UserError: If the features of another job are there, a video has two files, or no video is there.
    """
    if not videos.is_dir():
        raise UserError(f'there is no folder of videos {videos}')
    plan = plan_in_store(job.store, job.identity, videos, wanted, workers=workers, overwrite=overwrite)
    job.store.write_sidecar(job.sidecar())
    return plan


def write_data_root(
    job: FeatureExtraction, root: Path, labels: Labels, *, train_subset: str, sources: dict[str, Any]
) -> dict[str, Any]:
    """Write annotations for the videos that have both features and a label; what has but one of them is in the audit.

    Args:
        job: The job, whose features lie in ``root``.
        root: The data root.
        labels: The labels.
        train_subset: Subset of the videos with labels.
        sources: What the audit names as sources.

    Returns:
        The audit.

    Raises:
        UserError: If no training video has features, or a segment begins after its video.
    """
    # Of several processes the last one writes what all of them have done.
    with job.store.locked():
        records, done = job.store.records(), job.store.done()
        log = ConversionLog(converter='extract_features', sources=sources)
        durations = {video: float(done[video]['duration']) for video in labels.videos if video in done}
        if not any(video in durations for video in labels.training):
            raise UserError(f'{root}: no video of the labels has features, so there is nothing to train on')
        for video in labels.videos:
            if video not in done:
                reason = records[video]['reason'] if video in records else 'its file is missing, or was not read yet'
                log.drop(video, f'it has no features: {reason}')
        for video in done:
            if video not in durations:
                log.drop(video, 'it has features, and no CSV file names it')
        problems: list[str] = []
        database = make_database(labels, durations, train_subset, problems)
        raise_problems('the labels', problems)
        writer = DataRootWriter(root, log=log, overwrite=True, in_place=True)
        for video in database:
            writer.adopt_features(video, feature_path(job.store.features, video), link=False)
        return writer.finish(database=database, classes=labels.classes, sidecar=job.store.sidecar(job.sidecar()))
