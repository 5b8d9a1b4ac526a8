"""How good the attentions of a trained model are, and how complete its results: what the analysis tool runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log

from mmwtal.apis.provenance import model_meta
from mmwtal.apis.runtime import refused_values
from mmwtal.apis.settings import check_against_data, prepare_config, resolve_auto, weights_for
from mmwtal.datasets.transforms.sampling import SampleSnippets
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.engine.attentions import look_at, sampled_by
from mmwtal.engine.checkpoint import GUIDANCE, find_checkpoint, is_guidance, load_weights, read_checkpoint
from mmwtal.evaluation import read_detections
from mmwtal.evaluation.completeness import completeness
from mmwtal.evaluation.counted import counted_ground_truth
from mmwtal.evaluation.functional import snippet_average_precision, snippets_inside
from mmwtal.evaluation.metrics.wtal_metric import WTALMetric
from mmwtal.models.localizers.base import BaseLocalizer
from mmwtal.registry import DATASETS, METRICS, MODELS
from mmwtal.structures import WTALDataSample
from mmwtal.utils.compat import prepare
from mmwtal.utils.config.digest import config_sha256
from mmwtal.utils.errors import UserError

ATTENTIONS = ('base', 'key', 'complete')


@dataclass
class SnippetScores:
    """Attentions of snippets beside what the snippets show, collected video by video.

    Args:
        action: Whether each snippet lies in an action of any class, a bool array a video.
        attn: Attentions by name, an array a video.
    """

    action: list[np.ndarray] = field(default_factory=list)
    attn: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def add(self, sample: WTALDataSample, attentions: dict[str, torch.Tensor]) -> None:
        """Take over a video with its segments, which only samples of test mode have.

        Args:
            sample: Without segments the video is left out: what it shows is not known.
            attentions: By name, (T,).
        """
        if 'gt_instances' not in sample:
            return
        boundaries = sample.timebase.to_snippets(sample.gt_instances.segments.numpy())
        self.action.append(snippets_inside(len(attentions['base']), boundaries))
        for name, attn in attentions.items():
            self.attn.setdefault(name, []).append(attn.cpu().numpy())

    def average_precision(self, name: str) -> float | None:
        """Return the AP of an attention over the snippets of all videos together; None where there is none."""
        if name not in self.attn:
            return None
        ap = snippet_average_precision(np.concatenate(self.attn[name]), np.concatenate(self.action))
        return None if np.isnan(ap) else ap

    def levels(self, name: str) -> dict[str, float | None] | None:
        """Return the mean of an attention over the snippets of actions and over the others; None for no snippet."""
        if name not in self.attn:
            return None
        attn, action = np.concatenate(self.attn[name]), np.concatenate(self.action)
        sides = {'action': attn[action], 'background': attn[~action]}
        return {side: float(values.mean(dtype=np.float64)) if len(values) else None for side, values in sides.items()}

    @property
    def action_share(self) -> float | None:
        """The share of the snippets that show an action: the AP of an attention that knows nothing."""
        return float(np.concatenate(self.action).mean()) if self.action else None


def measure_attentions(
    config: str | Path,
    checkpoint: str | Path,
    *,
    data_root: str | Path | None = None,
    cfg_options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure the attentions of a trained model by the segments of its videos, and how complete its results are.

    The attentions are looked at on the **training** videos, since they are what guidance does there with these videos'
    texts; that of the base, which alone there is at test, on the test videos too. Each video is seen as in a test:
    without dropout, its snippets sampled as there. This reads segments of training videos and is no part of training.

    Args:
        config: The config file that the model was trained with.
        checkpoint: A checkpoint, or a work dir, of which the newest checkpoint is taken. Without weights of guidance
            (a plain model, a stripped checkpoint) it has the base's attention only.
        data_root: See :func:`mmwtal.apis.settings.prepare_config`.
        cfg_options: Dotted keys and the values that replace the config's.

    Returns:
        Plain values, ready for JSON; shares in [0, 1], None for what there is not:

        - ``incompleteness``, ``over_completeness``, ``beyond_instance``, ``missed``, ``num_instances``, ``found_tiou``:
          see :class:`~mmwtal.evaluation.completeness.Completeness`, for the test split;
        - ``ap``: of the snippets, by attention: 'base', 'key', 'complete' on the training videos, 'base_test';
        - ``level``: likewise, mean attention on the snippets of an 'action' and on the 'background';
        - ``action_share`` and ``num_videos``: of the 'training' and 'test' videos whose segments are known;
        - ``average``: mAP in percent, by ``protocol``, with ``protocol_hash``, ``video_list_hash`` and ``meta`` as in
          a stored result.

    Raises:
        UserError: If config, checkpoint and data are faulty or do not fit each other.
    """
    prepare()
    path = find_checkpoint(checkpoint)
    saved = read_checkpoint(path)
    guided = any(is_guidance(name) for name in saved['state_dict'])
    cfg = prepare_config(config, cfg_options=cfg_options, data_root=data_root, guidance=guided)
    for key in ('train_dataloader', 'test_dataloader', 'test_evaluator'):
        if cfg.get(key) is None:
            raise UserError(f'measuring attentions needs {key}, which the config does not set')
    config_hash = config_sha256(cfg)
    if not guided:
        cfg.model[GUIDANCE] = None
    resolve_auto(cfg, checkpoint=saved, dataloader='test_dataloader')
    with refused_values():
        model = MODELS.build(cfg.model)
        test_videos = DATASETS.build(cfg.test_dataloader.dataset)
        metric = _metric(cfg)
    load_weights(model, weights_for(cfg, saved), path)
    model = model.to(get_device()).eval()
    check_against_data(model, test_videos, saved)

    training = _look_at_all(model, _training_videos(cfg, test_videos), with_guidance=True)
    if not training.action:
        print_log('no training video has segments: only the test videos tell of the attention', logger='current')
    test = _look_at_all(model, test_videos, metric=metric)
    metric.dataset_meta = test_videos.metainfo
    metric.compute_metrics(metric.results)
    result = metric.result
    assert result is not None
    assert metric.predictions is not None
    truth = metric.ground_truth if metric.videos is None else metric.videos.apply(metric.ground_truth)
    truth = counted_ground_truth(truth.restricted_to(test_videos.metainfo['classes']), metric.protocol)
    return {
        **completeness(read_detections(metric.predictions), truth).to_dict(),
        'ap': {name: training.average_precision(name) for name in ATTENTIONS}
        | {'base_test': test.average_precision('base')},
        'level': {name: training.levels(name) for name in ATTENTIONS} | {'base_test': test.levels('base')},
        'action_share': {'training': training.action_share, 'test': test.action_share},
        'num_videos': {'training': len(training.action), 'test': len(test.action)},
        'average': result.average,
        'protocol': result.protocol,
        'protocol_hash': result.protocol_hash,
        'video_list_hash': result.video_list_hash,
        'meta': {'protocol': result.protocol, **model_meta(cfg, config_hash, path, saved)},
    }


@torch.no_grad()
def _look_at_all(
    model: BaseLocalizer, videos: WTALDataset, *, with_guidance: bool = False, metric: WTALMetric | None = None
) -> SnippetScores:
    """Collect the attentions of videos, one after the other, and hand their results to a metric."""
    scores = SnippetScores()
    for index in range(len(videos)):
        sample = videos[index]
        scores.add(sample['data_samples'], look_at(model, sample, with_guidance=with_guidance)[1])
        if metric is not None:
            data = model.data_preprocessor({'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]})
            metric.process(None, model(**data, mode='predict'))
    return scores


def _training_videos(cfg: Config, test_videos: WTALDataset) -> WTALDataset:
    """Return the training videos with their segments, the snippets chosen as in the test."""
    sampling = [transform for transform in test_videos.pipeline.transforms if isinstance(transform, SampleSnippets)]
    return sampled_by(DATASETS.build({**cfg.train_dataloader.dataset, 'test_mode': True}), sampling)


def _metric(cfg: Config) -> WTALMetric:
    given = cfg.test_evaluator if isinstance(cfg.test_evaluator, list | tuple) else [cfg.test_evaluator]
    for metric in map(METRICS.build, given):
        if isinstance(metric, WTALMetric):
            return metric
    raise UserError("test_evaluator holds no metric of type 'WTALMetric', which makes predictions and scores")
