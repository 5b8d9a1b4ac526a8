"""What is timed of the authors' code: their own functions, called as their code calls them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks import material
from benchmarks.checkout import Checkout
from benchmarks.operation import Operation, Spec, WaitMeter

TIOUS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


class OneBatch:
    """Stands for a dataset whose batch is in memory already."""

    def __init__(self, length: int) -> None:
        self._batch = material.training_batch(length)

    def load_data(self, **_: object) -> tuple[np.ndarray, np.ndarray, None]:
        """Return the batch."""
        return *self._batch, None


class NoNetwork:
    """Stands for network and optimizer, so that of a training iteration the loading of its batch is left."""

    def __init__(self, returns_terms: bool) -> None:
        self._returns_terms = returns_terms
        self.batch_shape: tuple[int, ...] = ()

    def train(self) -> None:
        """Do nothing."""

    def zero_grad(self) -> None:
        """Do nothing."""

    def step(self) -> None:
        """Do nothing."""

    def __call__(self, features: torch.Tensor, **_: object) -> None:
        """Take the batch."""
        self.batch_shape = tuple(features.shape)

    def criterion(self, *_: object, **__: object) -> Any:
        """Return a loss that costs nothing."""
        loss = torch.zeros((), requires_grad=True)
        return (loss, {}) if self._returns_terms else loss


def save_weights(spec: Spec) -> Operation:
    """Write the weights of both sides; not timed."""
    checkout = Checkout(spec)
    network = checkout.network()
    return Operation(run=lambda: torch.save(network.cpu().state_dict(), spec.weights))


def train_step(spec: Spec) -> Operation:
    """Run their ``train`` with the batch in memory."""
    checkout = Checkout(spec)
    network = checkout.network()
    dataset, optimizer = OneBatch(spec.length), checkout.optimizer(network)
    loss = _loss(checkout, network, dataset)
    return Operation(run=lambda: checkout.train(dataset, network, optimizer), outcome=lambda: loss)


def _loss(checkout: Checkout, network: Any, dataset: OneBatch) -> tuple[float]:
    """Return the loss before training, without dropout."""
    network.eval()
    features, labels, _ = dataset.load_data()
    with torch.no_grad():
        return (checkout.loss(network, features, labels),)


def load_batch(spec: Spec) -> Operation:
    """Run their ``train`` with a network that does nothing."""
    checkout = Checkout(spec)
    dataset, nothing = checkout.dataset(), NoNetwork(returns_terms=not checkout.method.has_logger)
    return Operation(run=lambda: checkout.train(dataset, nothing, nothing), outcome=lambda: nothing.batch_shape)


def iteration(spec: Spec) -> Operation:
    """Run their ``train`` on their dataset."""
    checkout = Checkout(spec)
    network, dataset = checkout.network(), checkout.dataset()
    optimizer, waiting = checkout.optimizer(network), WaitMeter(spec.device)
    network.register_forward_pre_hook(waiting.start)

    def run() -> None:
        waiting.begin()
        checkout.train(dataset, network, optimizer)
        waiting.end()

    return Operation(run=run, waiting=waiting)


def score(spec: Spec) -> Operation:
    """Group the snippets above each threshold into proposals and score them."""
    checkout = Checkout(spec)
    score_proposals = checkout.module('utils.wsad_utils').get_proposal_oic_2
    thresholds = np.linspace(0.1, 0.9, checkout.method.thresholds)
    videos = []
    for item in material.load_sequences(spec.scratch / 'sequences.npz'):
        activation = (item.cas * item.attn)[:, item.labels, None]
        positions = [[np.where(item.attn[:, 0] > threshold)] * 2 for threshold in thresholds]
        videos.append((positions, activation, np.full(material.CLASSES, 0.3), item.labels, len(item.cas)))
    found: list[Any] = []

    def run() -> None:
        found[:] = [
            score_proposals(above, activation, video_score, labels, 1, length, 25, length, gamma=0.2)
            for positions, activation, video_score, labels, length in videos
            for above in positions
        ]

    def outcome() -> Sequence[float]:
        return summary([row[1] for call in found for one_class in call for row in one_class])

    return Operation(run=run, outcome=outcome, units=len(videos))


def soft_nms(spec: Spec) -> Operation:
    """Suppress 500 proposals of one class."""
    suppress = Checkout(spec).module('utils.wsad_utils').soft_nms
    segments, scores = material.proposals()
    rows = [[0, value, *segment] for value, segment in zip(scores.tolist(), segments.tolist(), strict=True)]
    found: list[Any] = []

    def run() -> None:
        found[:] = suppress(rows, 0.7, sigma=0.3)

    return Operation(run=run, outcome=lambda: summary([row[1] for row in found]))


def ambiguous(spec: Spec) -> Operation:
    """Filter the detections of all test videos by the ambiguous stretches."""
    keep_clear = Checkout(spec).module('proposal_methods').filter_segments
    table = material.load_detections(spec.scratch / 'detections.npz')
    rows = np.column_stack([table['segments'], table['scores'], table['labels']])
    videos = [(rows[table['videos'] == video], str(name)) for video, name in enumerate(table['names'])]
    kept: list[int] = []

    def run() -> None:
        kept[:] = [len(keep_clear(*video)) for video in videos]

    return Operation(run=run, outcome=lambda: [sum(kept)], units=len(videos))


def decode(spec: Spec) -> Operation:
    """From the network's output to detections, with the filter by ambiguous stretches switched off."""
    checkout = Checkout(spec)
    methods = checkout.module('proposal_methods')
    methods.filter_segments = lambda segments, _: segments
    decode_video = getattr(methods, checkout.args.proposal_method)
    videos = [
        (item.video_id.encode(), {'cas': checkout.tensor(item.cas), 'attn': checkout.tensor(item.attn)})
        for item in material.load_sequences(spec.scratch / 'sequences.npz')
    ]
    found: list[Any] = []

    def run() -> None:
        found[:] = [decode_video(*video) for video in videos]

    def outcome() -> Sequence[float]:
        return summary([value for table in found for value in table['score']])

    return Operation(run=run, outcome=outcome, units=len(videos))


def evaluate(spec: Spec) -> Operation:
    """Compute the mAP of 30,000 detections."""
    import pandas as pd

    checkout = Checkout(spec)
    evaluator = checkout.module('eval.eval_detection').ANETdetection(material.AUTHORS_ANNOTATIONS, TIOUS, checkout.args)
    table = material.load_detections(spec.scratch / 'detections.npz')
    clear = table['clear']
    evaluator.prediction = pd.DataFrame(
        {
            'video-id': table['names'][table['videos'][clear]],
            't-start': table['segments'][clear, 0],
            't-end': table['segments'][clear, 1],
            'label': table['labels'][clear].astype(float),
            'score': table['scores'][clear],
        }
    )
    return Operation(run=evaluator.evaluate, outcome=lambda: (100 * evaluator.mAP).tolist())


def test_job(spec: Spec) -> Operation:
    """What their ``test.py`` does when started: read the data and weights, go through the test videos, evaluate."""
    checkout = Checkout(spec)
    test = checkout.module('test').test
    scores: list[float] = []

    def run() -> None:
        dataset, network = checkout.dataset(), checkout.network()
        network.load_state_dict(torch.load(spec.weights, weights_only=True))
        extra = (checkout.logger(),) if checkout.method.has_logger else ()
        arguments = (-1, dataset, checkout.args, network, *extra, checkout.device)
        _, found = test(*arguments, None) if extra else test(*arguments)
        scores[:] = (100 * np.asarray(found)).tolist()

    return Operation(run=run, outcome=lambda: scores)


def summary(values: Sequence[float]) -> Sequence[float]:
    """Return number, mean and mean square of values."""
    array = np.asarray(values, dtype=np.float64)
    return len(array), float(array.mean()), float((array**2).mean())


OPERATIONS: dict[str, Callable[[Spec], Operation]] = {
    'save_weights': save_weights,
    'train_step': train_step,
    'load_batch': load_batch,
    'iteration': iteration,
    'score': score,
    'soft_nms': soft_nms,
    'ambiguous': ambiguous,
    'decode': decode,
    'evaluate': evaluate,
    'test_job': test_job,
}
