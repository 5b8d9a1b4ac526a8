"""Asking a multimodal language model about the training videos: the offline job that fills a prior store."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.class_names import choose_classes
from mmwtal.formats.findings import shown
from mmwtal.offline.job import EngineDown, ItemFailed, OfflineJob, State, VideoEntry
from mmwtal.offline.pool import WorkerPool
from mmwtal.priors.asking import ask_video
from mmwtal.priors.dialogue import Dialogue
from mmwtal.priors.engines.base import BaseEngine
from mmwtal.priors.schema import PriorRecord, PriorText
from mmwtal.priors.store import PriorStore
from mmwtal.registry import MLLM_ENGINES, OFFLINE_JOBS, build_module
from mmwtal.utils.errors import UserError
from mmwtal.video.clip import Clip
from mmwtal.video.jpeg import ClipRequest, read_clip
from mmwtal.video.sampling import frame_times
from mmwtal.video.source import VideoError

OFFLINE_JOBS.register_module(module=Dialogue)


@OFFLINE_JOBS.register_module()
class PriorGeneration(OfflineJob):
    """Key and complete semantics of the classes of each training video, from a multimodal language model.

    Only videos of the training subset are asked about, and only their labels are read.

    Args:
        engine: What runs the model: an engine, or its config.
        dialogue: What is asked, and of which frames: a :class:`Dialogue`, or its config.
        data_root: The data root, for ``annotations.json``.
        store: The folder of the prior store.
        decoders: Processes that decode videos.
        decode_timeout: Seconds after which a decoder that hangs is ended.

    Raises:
        UserError: If the annotations or a setting are faulty.
    """

    def __init__(
        self,
        *,
        engine: Any,
        dialogue: Any,
        data_root: str | Path,
        store: str | Path,
        decoders: int = 2,
        decode_timeout: float = 300.0,
    ) -> None:
        if decoders < 1 or not decode_timeout > 0:
            raise UserError(
                f'PriorGeneration: expected decoders and decode_timeout above 0, found {decoders} and {decode_timeout}'
            )
        path = Path(data_root).expanduser() / 'annotations.json'
        annotations = read_annotations(path)
        self.engine: BaseEngine = build_module(engine, MLLM_ENGINES)
        self.dialogue: Dialogue = build_module(dialogue, OFFLINE_JOBS)
        self.classes = choose_classes(annotations)
        self.labels = {video.video_id: tuple(video.labels) for video in annotations.in_subset('training')}
        if not any(self.labels.values()):
            raise UserError(
                f'{path} has no training video with a label, found subsets {annotations.subset_counts()}: '
                'there is nothing to ask about'
            )
        self._store = PriorStore(store)
        self._decoders, self._decode_timeout = decoders, decode_timeout
        # Some more videos than requests, so that decoding one does not leave the model idle.
        self.concurrency = self.engine.concurrency + 2 * decoders
        self._pool: WorkerPool | None = None
        # Where only some labels of a video lack a record, or are asked about again.
        self._remaining: dict[str, tuple[str, ...]] = {}

    @property
    def identity(self) -> Mapping[str, Any]:
        """See :class:`OfflineJob`: the model, the prompts, the frames, the sampling and the classes."""
        return {
            'kind': 'mllm',
            'engine': dict(self.engine.identity),
            'dialogue': self.dialogue.identity,
            'classes': [*self.classes],
        }

    @property
    def wanted(self) -> list[str]:
        """The training videos that have a label."""
        return [video for video, labels in self.labels.items() if labels]

    async def open(self) -> None:
        """Start the decoders and the engine."""
        self._pool = WorkerPool(read_clip, size=self._decoders, timeout=self._decode_timeout, name='video decoder')
        await self.engine.open()

    async def close(self) -> None:
        """End the decoders and the engine."""
        try:
            await self.engine.close()
        finally:
            if self._pool is not None:
                await self._pool.close()

    async def healthy(self) -> bool:
        """Say whether the engine is in reach."""
        return await self.engine.healthy()

    async def process(self, entry: VideoEntry) -> Sequence[Mapping[str, Any]]:
        """Ask about a video; see :class:`OfflineJob`."""
        _check_unchanged(entry)

        async def read(start: float, end: float, max_frames: int) -> Clip:
            return await self._read(entry, start, end, max_frames)

        all_labels = self.labels[entry.video]
        records = await ask_video(
            entry,
            self._remaining.get(entry.video, all_labels),
            engine=self.engine,
            read_clip=read,
            classes=self.classes,
            settings=self.dialogue,
            all_labels=all_labels,
        )
        return [record.to_json() for record in records]

    def unsuccessful(self, entry: VideoEntry, state: State, reason: str) -> Sequence[Mapping[str, Any]]:
        """Return a record a label; see :class:`OfflineJob`."""
        labels = self._remaining.get(entry.video, self.labels[entry.video])
        return [
            PriorRecord(
                video=entry.video,
                label=label,
                text=PriorText(),
                source=self.engine.name,
                state=state,
                reason=reason,
            ).to_json()
            for label in labels
        ]

    def unfinished(self, entries: Sequence[VideoEntry], again: frozenset[State]) -> list[VideoEntry]:
        """Return the videos of which a label lacks a record; see :class:`OfflineJob`.

        A record with one half of the text, because the other was refused, counts as refused.
        """
        records = self._store.read()
        self._remaining = {}
        for entry in entries:
            there = {label: records.get((entry.video, label)) for label in self.labels.get(entry.video, ())}
            open_labels = tuple(label for label, record in there.items() if _is_open(record, again))
            if open_labels:
                self._remaining[entry.video] = open_labels
        return [entry for entry in entries if entry.video in self._remaining]

    async def _read(self, entry: VideoEntry, start: float, end: float, max_frames: int) -> Clip:
        assert self._pool is not None
        fps = self.dialogue.fps
        request = ClipRequest(
            path=entry.path,
            duration=entry.duration,
            fps=entry.fps,
            start=start,
            end=end,
            times=tuple(frame_times(entry.duration, fps=fps, max_frames=max_frames, start=start, end=end)),
            short_side=self.dialogue.short_side,
        )
        try:
            return await self._pool.call(request)
        except VideoError as error:
            _check_folder(entry)
            raise ItemFailed(str(error)) from error


def _check_unchanged(entry: VideoEntry) -> None:
    """Check that a file is the one that was probed: of another, the times of frames would be wrong."""
    try:
        size = entry.path.stat().st_size
    except OSError as error:
        _check_folder(entry)
        raise ItemFailed(f'{shown(str(entry.path))} cannot be read: {error.strerror}') from None
    if size != entry.size:
        raise ItemFailed(
            f'{shown(str(entry.path))} has {size} bytes, and had {entry.size} when it was planned: plan again, then '
            'retry'
        )


def _check_folder(entry: VideoEntry) -> None:
    """Charge no video for a disk that is gone."""
    if not os.path.isdir(entry.path.parent):
        raise EngineDown(f'the folder of videos {entry.path.parent} is not there')


def _is_open(record: PriorRecord | None, again: frozenset[State]) -> bool:
    return record is None or record.state in again or (bool(record.faults) and 'refused' in again)
