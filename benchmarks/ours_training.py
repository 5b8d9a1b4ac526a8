"""mmwtal's training: the computation alone, the loading of a batch alone, and both as a run has them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import DefaultSampler, pseudo_collate
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from benchmarks import material
from benchmarks.operation import Operation, Spec, WaitMeter
from benchmarks.settings import converted_weights, network, shipped_config
from mmwtal.datasets.samplers.class_pair_sampler import ClassPairBatchSampler
from mmwtal.engine.train_loop import WTALTrainLoop
from mmwtal.registry import DATASETS, LOOPS, MODELS
from mmwtal.structures import WTALDataSample


@LOOPS.register_module()
class SteppedTrainLoop(WTALTrainLoop):
    """A training loop that goes on by one iteration when asked to."""

    _stream: Iterator[Any]

    def run(self) -> torch.nn.Module:
        """Begin as the loop does, and return before the first iteration."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self._stream = self._batches()
        self.runner.model.train()
        return self.runner.model

    def watch_batches(self, watch: Callable[[Iterator[Any]], Iterator[Any]]) -> None:
        """Draw the batches through something that watches how long they take."""
        self._stream = watch(self._stream)

    def step(self) -> None:
        """Run one iteration with all that belongs to it."""
        self._seed_iteration()
        self._run_iteration(next(self._stream))
        self.runner.call_hook('after_iteration')


def train_step(spec: Spec) -> Operation:
    """Run ``train_step`` with the batch in memory."""
    cfg = shipped_config(spec, work_dir=Path('train'))
    model = network(cfg, spec)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    progress = MessageHub.get_current_instance()
    progress.update_info('iter', material.ITERATION)
    progress.update_info('max_iters', cfg.train_cfg.max_iters)
    features, labels = material.training_batch(spec.length)
    data = {
        'inputs': [torch.from_numpy(video) for video in features],
        'data_samples': [WTALDataSample(labels=torch.from_numpy(row).float()) for row in labels],
    }
    loss = _loss(model, data) if spec.side == 'mmwtal' else ()
    model.train()
    return Operation(run=lambda: model.train_step(data, optim_wrapper), outcome=lambda: loss)


def _loss(model: Any, data: dict[str, Any]) -> tuple[float]:
    """Return the loss before training, without dropout."""
    model.eval()
    with torch.no_grad():
        terms = model(**model.data_preprocessor(data), mode='loss')
    return (float(model.parse_losses(terms)[0]),)


def load_batch(spec: Spec) -> Operation:
    """Draw and load a batch in this process, up to the network's input."""
    cfg = shipped_config(spec, work_dir=Path('train'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    sampler = DefaultSampler(dataset, shuffle=False, seed=0)
    batches = iter(ClassPairBatchSampler(sampler=sampler, batch_size=material.BATCH, num_pairs=3))
    preprocessor = MODELS.build(cfg.model.data_preprocessor).to(spec.device)
    shape: list[int] = []

    def run() -> None:
        batch = preprocessor(pseudo_collate([dataset[draw] for draw in next(batches)]), training=True)
        shape[:] = batch['inputs'].shape

    return Operation(run=run, outcome=lambda: shape)


def iteration(spec: Spec) -> Operation:
    """Run the iterations of ``tools/train.py``: loading, seeding, training, hooks, logs."""
    cfg = shipped_config(spec, work_dir=Path(f'run-{spec.side}'))
    cfg.train_cfg.type = SteppedTrainLoop.__name__
    runner = Runner.from_cfg(cfg)
    runner.train()
    runner.model.load_state_dict(converted_weights(spec))
    loop, waiting = runner.train_loop, WaitMeter(spec.device)
    runner.model.backbone.register_forward_pre_hook(waiting.start)

    def run() -> None:
        waiting.begin()
        loop.step()
        waiting.end()

    return Operation(run=run, waiting=waiting)
