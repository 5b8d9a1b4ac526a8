"""Storing the attentions of some training videos while training, to be looked at afterwards."""

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmwtal.datasets.samplers.class_pair_sampler import Draw
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.engine.attentions import look_at, sampled_by
from mmwtal.engine.train_loop import unwrap
from mmwtal.models.localizers.base import BaseLocalizer
from mmwtal.registry import HOOKS
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import write_atomically
from mmwtal.utils.names import did_you_mean

_LONGEST_NAME = 100


@HOOKS.register_module()
class AttentionStoreHook(Hook):
    """Writes the attentions of chosen training videos to ``WORK_DIR/attentions/VIDEO/iter_N.npz``.

    All snippets of a video are seen, without dropout, by the weights after N iterations (where weights are averaged:
    the running ones). Training goes on as without the hook, bit by bit; a resumed run writes anew what it comes by
    again.

    A file is read by ``numpy.load`` without pickle. It holds ``iteration``, ``video_id``, ``labels`` (the names of the
    video's K classes), ``boundaries`` (T + 1,) in seconds, ``attn_base`` (T,), ``attn_key`` and ``attn_complete`` (T,)
    where there is such guidance, and ``cas`` (T, K), the logits of the video's classes.

    Args:
        videos: Ids of training videos, or how many of the first ones.
        interval: Iterations from one writing to the next; the last iteration is written too.

    Raises:
        UserError: If a number is below 1 or, when training starts, a video is none of the training videos.
    """

    def __init__(self, *, videos: int | Sequence[str] = 4, interval: int = 500) -> None:
        if interval < 1 or (isinstance(videos, int) and videos < 1) or isinstance(videos, str):
            raise UserError(
                'AttentionStoreHook: expected a list of video ids, or a number of them of at least 1, and an interval '
                f'of at least 1, found videos={videos!r}, interval={interval}'
            )
        self.videos = videos
        self.interval = interval
        self._dataset: WTALDataset | None = None
        self._indices: list[int] = []

    def before_train(self, runner: Runner) -> None:
        """Find the videos."""
        dataset = runner.train_dataloader.dataset
        ids = dataset.video_ids
        if isinstance(self.videos, int):
            self._indices = list(range(min(self.videos, len(ids))))
        else:
            index_of = {video: index for index, video in enumerate(ids)}
            for video in self.videos:
                if video not in index_of:
                    raise UserError(
                        f'AttentionStoreHook: video {video!r} is none of the {len(ids)} training videos'
                        f'{did_you_mean(video, ids)}'
                    )
            self._indices = [index_of[video] for video in self.videos]
        self._dataset = sampled_by(dataset, [])

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Write what is due."""
        iteration = runner.iter + 1
        if iteration % self.interval == 0 or iteration == runner.max_iters:
            self._store(runner, iteration)

    @master_only
    def _store(self, runner: Runner, iteration: int) -> None:
        model, dataset = unwrap(runner.model), self._dataset
        assert isinstance(model, BaseLocalizer)
        assert dataset is not None  # before_train has run
        for index in self._indices:
            sample = dataset[Draw(index, (0,))]
            content = _content(model, sample, dataset.metainfo['classes'])
            folder = Path(runner.work_dir) / 'attentions' / file_name(sample['data_samples'].video_id)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f'iter_{iteration}.npz'
            write_atomically(path, partial(_write, content={'iteration': np.array(iteration), **content}))


def _content(model: BaseLocalizer, sample: dict[str, Any], classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what is stored of a video."""
    output, attentions = look_at(model, sample)
    described = sample['data_samples']
    labels = np.flatnonzero(described.labels.cpu().numpy() > 0).tolist()
    return {
        'video_id': np.array(described.video_id),
        'labels': np.array([classes[label] for label in labels], dtype=np.str_),
        'boundaries': described.timebase.to_seconds(np.arange(len(sample['inputs']) + 1)),
        'cas': output.cas[0].float().cpu().numpy()[:, labels],
        **{f'attn_{name}': attn.cpu().numpy() for name, attn in attentions.items()},
    }


def _write(file: BinaryIO, *, content: dict[str, np.ndarray]) -> None:
    np.savez_compressed(file, allow_pickle=False, **content)


def file_name(video_id: str) -> str:
    """Return a folder's name for a video: its id, or where that has odd characters what is left of it and a hash."""
    name = re.sub(r'[^A-Za-z0-9_.-]', '_', video_id).lstrip('.')[:_LONGEST_NAME]
    if name == video_id:
        return name
    return f'{name}-{hashlib.sha256(video_id.encode(errors="surrogatepass")).hexdigest()[:8]}'
