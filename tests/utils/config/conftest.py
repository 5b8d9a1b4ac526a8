"""A small config whose classes are registered for a test, and a way to spoil it."""

from collections.abc import Callable
from typing import Any, Literal

import pytest
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from mmwtal import registry
from mmwtal.registry import build_module
from mmwtal.utils.config.check import inspect_config
from mmwtal.utils.config.origin import load_config


class ToyLocalizer(nn.Module):
    def __init__(
        self, *, num_classes: int, in_channels: int, backbone: Any, head: Any, decoder: Any = None, extra: Any = None
    ) -> None:
        raise AssertionError('the check builds nothing')

    def unused(self, backbone: Any) -> None:
        """Not part of the constructor: what it passes on does not count."""
        build_module(backbone, registry.MODELS, depth=3)


class ToyBackbone(nn.Module):
    def __init__(
        self, *, in_channels: int, depth: int, rate: float = 0.5, mode: Literal['pre', 'post'] = 'pre'
    ) -> None:
        raise AssertionError('the check builds nothing')


class ToyHead(nn.Module):
    def __init__(self, *, in_channels: int, num_classes: int, losses: dict[str, Any]) -> None:
        raise AssertionError('the check builds nothing')


class ToyTopKLoss(nn.Module):
    def __init__(self, *, topk_ratio: int, loss_weight: float = 1.0, suppressed: bool = False) -> None:
        raise AssertionError('the check builds nothing')


class ToyDecoder:
    def __init__(self, *, thresholds: list[float] | None = None, sigma: float = 0.3) -> None:
        raise AssertionError('the check builds nothing')


class ToyDataset(BaseDataset):
    def __init__(self, *, data_root: str, subset: str, length: int | None = None, **kwargs: Any) -> None:
        super().__init__(data_root=data_root, **kwargs)


class ToyTransform:
    def __init__(self, *, length: int | None = None, axis: Callable | None = None) -> None:
        raise AssertionError('the check builds nothing')


class ToyBatchSampler:
    start_iteration: int = 0

    def __init__(self, *, sampler: Any, batch_size: int, num_pairs: int = 3) -> None:
        raise AssertionError('the check builds nothing')


class ToyMetric(BaseMetric):
    def __init__(self, *, ann_file: str, tious: str | list[float] = '0.1:0.7:0.1') -> None:
        raise AssertionError('the check builds nothing')

    def process(self, data_batch: Any, data_samples: Any) -> None: ...
    def compute_metrics(self, results: list) -> dict: ...


class ToyHook(Hook):
    def __init__(self, *, interval: int = 1) -> None:
        raise AssertionError('the check builds nothing')


class ToyGuide(nn.Module):
    def __init__(self, *, width: int) -> None:
        raise AssertionError('the check builds nothing')


class ToyGuidedLocalizer(nn.Module):
    def __init__(self, *, backbone: Any, part: Any) -> None:
        self.backbone = build_module(backbone, registry.MODELS, in_channels=3, depth=3)
        self.part = build_module(part, registry.MODELS, width=7)


class ToyPlainSampler:
    def __init__(self, *, sampler: Any, batch_size: int) -> None:
        raise AssertionError('the check builds nothing')


class ToyConstructor(DefaultOptimWrapperConstructor):
    pass


CLASSES = {
    registry.MODELS: [ToyLocalizer, ToyBackbone, ToyHead, ToyTopKLoss, ToyGuide, ToyGuidedLocalizer],
    registry.DECODERS: [ToyDecoder],
    registry.DATASETS: [ToyDataset],
    registry.TRANSFORMS: [ToyTransform],
    registry.DATA_SAMPLERS: [ToyBatchSampler, ToyPlainSampler],
    registry.METRICS: [ToyMetric],
    registry.HOOKS: [ToyHook],
    registry.OPTIM_WRAPPER_CONSTRUCTORS: [ToyConstructor],
}

FILES = {
    'model.py': """
model = dict(
    type='ToyLocalizer',
    num_classes=20,
    in_channels=2048,
    backbone=dict(type='ToyBackbone', depth=2, mode='post'),
    head=dict(
        type='ToyHead',
        losses=dict(
            loss_mil=dict(type='ToyTopKLoss', topk_ratio=7),
            loss_mil_supp=dict(type='ToyTopKLoss', topk_ratio=7, suppressed=True),
        ),
    ),
    decoder=dict(type='ToyDecoder', thresholds=[0.1, 0.2]),
)
""",
    'data.py': """
_root = 'data/toy'
train_dataloader = dict(
    batch_size=10,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='ToyBatchSampler', num_pairs=3),
    dataset=dict(type='ToyDataset', data_root=_root, subset='training', lazy_init=True,
                 pipeline=[dict(type='ToyTransform', length=5), dict(type='ToyTransform')]),
    collate_fn=dict(type='pseudo_collate'),
)
test_dataloader = dict(
    batch_size=1,
    pin_memory=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ToyDataset', data_root=_root, subset='test', test_mode=True),
)
test_evaluator = dict(type='ToyMetric', ann_file='a.json')
test_cfg = dict()
""",
    'runtime.py': """
default_scope = 'mmwtal'
train_cfg = dict(type='WTALTrainLoop', max_iters=5000)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, weight_decay=0),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=1),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100),
    dict(type='MultiStepLR', milestones=[3], end=9, convert_to_iter_based=True),
]
default_hooks = dict(
    timer=None,
    logger=dict(type='LoggerHook', interval=50, priority='LOW'),
    checkpoint=dict(type='WTALCheckpointHook', interval=500),
)
custom_hooks = [dict(type='ToyHook', interval=3)]
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork'), dist_cfg=dict(backend='gloo'))
log_processor = dict(window_size=20)
randomness = dict(seed=0)
auto_scale_lr = dict(base_batch_size=10)
load_from = None
resume = False
""",
    'leaf.py': """
_base_ = ['./model.py', './data.py', './runtime.py']
_helper = dict(anything=dict(goes=1))
model = dict(num_classes='auto')
""",
}


@pytest.fixture
def toys():
    for owner, classes in CLASSES.items():
        for toy in classes:
            owner.register_module(module=toy)
    yield
    for owner, classes in CLASSES.items():
        for toy in classes:
            owner.module_dict.pop(toy.__name__)


@pytest.fixture
def check(toys, tmp_path):
    def check_spoilt(*spoilt, options=None, cut=inspect_config):
        texts = dict(FILES)
        for file, old, new in spoilt:
            assert texts[file].count(old) >= 1, f'{old!r} is not in {file}'
            texts[file] = texts[file].replace(old, new, 1)
        for file, text in texts.items():
            (tmp_path / file).write_text(text.lstrip('\n'), encoding='utf-8')
        return cut(*load_config(tmp_path / 'leaf.py', options))

    return check_spoilt
