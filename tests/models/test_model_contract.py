"""What every base model keeps to, however it works inside.

The models are those of the configs in ``configs/quick``, with their recipes, and the examples of ``docs/concepts.md``:
a new one is tested without a new test. A model outside the tree is tested with ``--model-config CONFIG``.
"""

import copy
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmwtal.apis.settings import check_against_data
from mmwtal.engine.amp import BFloat16OptimWrapper
from mmwtal.structures import LocalizerOutput
from mmwtal.utils.errors import UserError

from .contract_models import (
    BATCHES,
    LENGTHS,
    NUM_CLASSES,
    WIDTH,
    build,
    label_rows,
    losses_and_gradients,
    of_video,
    padded,
    run_processes,
    samples,
    shipped_cases,
    timed_samples,
    training_progress,
    videos,
)
from .contract_rules import assert_same, broken, check_segments

CLOSE = {'rtol': 1e-4, 'atol': 1e-5}
# The losses of a few videos may be sums of thousands, and their gradients differences of such sums.
CLOSE_GRADIENTS = {'rtol': 2e-3, 'atol': 1e-5}


def cases(config: pytest.Config) -> list[Path]:
    given = config.getoption('--model-config', default=[])
    return [Path(path).absolute() for path in given] or shipped_cases()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if 'case' in metafunc.fixturenames:
        metafunc.parametrize('case', cases(metafunc.config), ids=lambda path: path.stem)


@pytest.fixture(autouse=True)
def _within_a_run() -> Iterator[None]:
    with training_progress():
        yield


@pytest.mark.parametrize('num_classes', [1, 2, 7])
@pytest.mark.parametrize('width', [12, 13])
def test_output(case: Path, num_classes: int, width: int) -> None:
    model = build(case, num_classes=num_classes, in_channels=width)
    for lengths in ((1,), (2,), (9, 37), (1, 2, 9), (7,) * 11, tuple(range(1, 17))):
        batch = padded(videos(lengths, width))
        output = model(**batch)
        assert isinstance(output, LocalizerOutput)
        shape = tuple(batch['mask'].shape)
        assert output.feat.shape[:2] == shape, broken('Any size', f'feat is {tuple(output.feat.shape)} for {shape}')
        assert output.feat.ndim == 3, broken('Any size', f'feat is {tuple(output.feat.shape)}, not (B, T, Db)')
        assert output.attn.shape == (*shape, 1), broken('Any size', f'attn is {tuple(output.attn.shape)}')
        assert output.has_background in (True, False), broken('Attention in [0, 1]', 'has_background is no bool')
        expected = (*shape, num_classes + int(output.has_background))
        assert output.cas.shape == expected, broken('Any size', f'cas is {tuple(output.cas.shape)}, not {expected}')
        assert output.num_classes == num_classes
        assert torch.equal(output.mask, batch['mask']), broken('Padding does not matter', 'mask is not the one given')
        assert output.video_scores is None, broken('Attention in [0, 1]', 'the model sets video_scores')
        for name in ('feat', 'attn', 'cas'):
            values = getattr(output, name)
            assert values.dtype == torch.float32, broken('Precision', f'{name} is {values.dtype} for float32 features')
            finite = values[output.mask].isfinite().all()
            assert finite, broken('Any size', f'{name} is not finite for videos of {lengths} snippets')
        attn = output.attn[output.mask]
        lowest, highest = attn.min().item(), attn.max().item()
        assert lowest >= 0, broken('Attention in [0, 1]', f'its lowest value is {lowest}')
        assert highest <= 1, broken('Attention in [0, 1]', f'its highest value is {highest}')


def test_attention_and_sequence_use_no_labels_and_no_segments(case: Path) -> None:
    outputs: list[LocalizerOutput] = []

    class Recorder(nn.Module):
        def forward(self, inputs: Tensor, output: LocalizerOutput, data_samples: Any) -> dict[str, Tensor]:
            outputs.append(output)
            return {}

    model, batch = build(case, guidance=Recorder()), padded(videos())
    rows = label_rows(len(LENGTHS))
    losses = model(**batch, data_samples=samples(rows), mode='loss')
    known = samples(rows)
    for sample in known:
        sample.gt_instances = InstanceData(segments=torch.tensor([[0.0, 1.0]]), labels=torch.tensor([0]))
    found = model(**batch, data_samples=known, mode='loss')
    assert_same(found, losses, 'Attention in [0, 1]', 'the losses read segments')
    model(**batch, data_samples=samples(1 - rows), mode='loss')
    plain = model(**batch)
    assert len(outputs) == 3
    for output in outputs:
        for number, length in enumerate(LENGTHS):
            pair = (of_video(one, number, length) for one in (output, plain))
            assert_same(*pair, 'Attention in [0, 1]', 'the output depends on the labels')


@torch.no_grad()
@pytest.mark.parametrize('fill', [0.0, 1e30, float('nan')])
def test_a_video_has_the_same_output_alone_and_in_any_batch(case: Path, fill: float) -> None:
    model = build(case)
    order = [3, 0, 7, 5, 1, 6, 2, 4]
    shuffled = [videos()[index] for index in order]
    batch, given = padded(shuffled, fill, more=6), timed_samples([LENGTHS[index] for index in order])
    output = model(**batch)
    decoded = model(**batch, data_samples=given, mode='predict')
    for place, video in enumerate(shuffled):
        expected = of_video(model(video[None]), 0, len(video))
        assert expected.keys() >= {'feat', 'attn', 'cas'}
        found = of_video(output, place, len(video))
        assert_same(found, expected, 'Padding does not matter', f'padding of {fill} leaks into the output', **CLOSE)
        (alone,) = model(video[None], timed_samples([len(video)]), mode='predict')
        found, expected = (dict(sample.pred_instances.items()) for sample in (decoded[place], alone))
        assert_same(found, expected, 'Padding does not matter', f'padding of {fill} leaks into the segments', **CLOSE)


@pytest.mark.parametrize(('fill', 'more'), [(1e30, 0), (float('nan'), 0), (0.0, 6), (float('nan'), 6)])
def test_padding_changes_no_loss_and_no_gradient(case: Path, fill: float, more: int) -> None:
    model, rows = build(case), label_rows(len(LENGTHS))
    losses, gradients = losses_and_gradients(model, padded(videos()), rows)
    other_losses, other_gradients = losses_and_gradients(model, padded(videos(), fill, more), rows)
    rule, what = 'Padding does not matter', f'padding of {fill}, {more} snippets more, leaks into the'
    assert_same(other_losses, losses, rule, f'{what} losses', **CLOSE)
    assert_same(other_gradients, gradients, rule, f'{what} gradients', **CLOSE_GRADIENTS)


def test_the_order_of_the_pairs_does_not_matter(case: Path) -> None:
    model, rows = build(case), label_rows(6)
    order = [4, 5, 0, 1, 2, 3]
    losses, gradients = losses_and_gradients(model, padded(videos()[:6]), rows)
    others = losses_and_gradients(model, padded([videos()[index] for index in order]), rows[order])
    assert_same(others[0], losses, 'Losses', 'they depend on the order of the pairs', **CLOSE)
    assert_same(others[1], gradients, 'Losses', 'gradients depend on the order of the pairs', **CLOSE_GRADIENTS)


@pytest.mark.parametrize('name', BATCHES)
def test_losses_are_finite_scalars_that_reach_every_parameter(case: Path, name: str) -> None:
    lengths, rows = BATCHES[name]
    batch = padded(videos(lengths))
    model = build(case)
    expected = model(**padded(videos()), data_samples=samples(label_rows(len(LENGTHS))), mode='loss').keys()
    losses = model(**batch, data_samples=samples(rows), mode='loss')
    assert any('loss' in key for key in losses), broken('Losses', f'no key of {list(losses)} has "loss" in it')
    assert losses.keys() == expected, broken('Losses', f'the terms {list(losses)} depend on the batch')
    for key, value in losses.items():
        assert value.shape == (), broken('Losses', f'{key} has the shape {tuple(value.shape)}')
        assert value.isfinite(), broken('Losses', f'{key} is {value.item()}')
    again = model(**batch, data_samples=samples(rows), mode='loss')
    assert_same(again, losses, 'Losses', 'they differ when computed twice in evaluation mode')
    for training in (False, True):
        _, gradients = losses_and_gradients(model.train(training), batch, rows)
        unused = [key for key, value in gradients.items() if value is None]
        assert not unused, broken('Losses', f'several processes would fail, no loss reaches {unused}')
        infinite = [key for key, value in gradients.items() if not value.isfinite().all()]
        assert not infinite, broken('Losses', f'the gradient is not finite: {infinite}')


@torch.no_grad()
@pytest.mark.parametrize('decoder', ['its own', 'the common one'])
@pytest.mark.parametrize('num_classes', [1, 7])
@pytest.mark.parametrize('scores', ['its own', 'from elsewhere'])
def test_segments(case: Path, decoder: str, num_classes: int, scores: str) -> None:
    changes = {} if decoder == 'its own' else {'decoder': {'type': 'MultiThresholdDecoder'}}
    model = build(case, num_classes=num_classes, **changes)
    given = timed_samples(LENGTHS)
    if scores == 'from elsewhere':
        for sample in given:
            sample.video_scores = torch.ones(num_classes)
    predicted = model(**padded(videos()), data_samples=given, mode='predict')
    assert [sample.video_id for sample in predicted] == [sample.video_id for sample in given]
    for sample in predicted:
        check_segments(sample.pred_instances, sample.timebase.duration, num_classes)
    if scores == 'from elsewhere':  # a model that has learnt nothing may be sure of no class
        count = sum(len(sample.pred_instances.scores) for sample in predicted)
        assert count > 0, broken('Segments', 'there is none for video scores of 1')


def test_amp(case: Path) -> None:
    model, batch, rows = build(case), padded(videos()), label_rows(len(LENGTHS))
    total, _ = model.parse_losses(model(**batch, data_samples=samples(rows), mode='loss'))
    wrapper = BFloat16OptimWrapper(optimizer=torch.optim.SGD(model.parameters(), lr=1e-4))
    with wrapper.optim_context(model):
        losses = model(**batch, data_samples=samples(rows), mode='loss')
        output = model(**batch)
        with torch.no_grad():
            predicted = model(**batch, data_samples=timed_samples(LENGTHS), mode='predict')
    ran = output.attn.dtype == torch.bfloat16 or output.cas.dtype == torch.bfloat16
    assert ran, broken('Precision', 'nothing ran in bfloat16 under --amp')
    for name, value in losses.items():
        assert value.dtype == torch.float32, broken('Precision', f'{name} is {value.dtype} under --amp')
    half, _ = model.parse_losses(losses)
    assert_same(half, total, 'Precision', 'the loss under --amp is another', rtol=0.05, atol=0.01)
    attn = output.attn[output.mask]
    assert ((attn >= 0) & (attn <= 1)).all(), broken('Attention in [0, 1]', 'it is not under --amp')
    for sample in predicted:
        check_segments(sample.pred_instances, sample.timebase.duration, NUM_CLASSES)
    wrapper.update_params(half)
    finite = all(parameter.isfinite().all() for parameter in model.parameters())
    assert finite, broken('Precision', 'an update under --amp makes weights that are not finite')


def test_float64(case: Path) -> None:
    model, rows = build(case), label_rows(len(LENGTHS))
    losses, gradients = losses_and_gradients(model, padded(videos()), rows)
    double = [video.double() for video in videos()]
    exact, exact_gradients = losses_and_gradients(model.double(), padded(double), rows)
    assert_same(losses, exact, 'Precision', 'losses differ in float64', **CLOSE, check_dtype=False)
    assert {value.dtype for value in exact_gradients.values()} == {torch.float64}
    what = 'gradients differ in float64'
    assert_same(gradients, exact_gradients, 'Precision', what, **CLOSE_GRADIENTS, check_dtype=False)


def test_one_modality_or_two(case: Path) -> None:
    model = build(case)
    takes_apart = 'modalities' in inspect.signature(type(model.backbone)).parameters
    stated = model.backbone.modalities is not None
    assert stated == takes_apart, broken(
        'Any size', f'modalities is {"set" if stated else "None"}, the argument not so'
    )

    def data(**modalities: int) -> SimpleNamespace:
        classes = tuple(map(str, range(NUM_CLASSES)))
        metainfo = {'classes': classes}
        shape = dict(feature_width=WIDTH, modalities=modalities, test_mode=True, streams={})
        return SimpleNamespace(metainfo=metainfo, data_root='ROOT', **shape)

    check_against_data(model, data(rgb=WIDTH // 2, flow=WIDTH // 2))
    if takes_apart:
        with pytest.raises(UserError, match=r'needs features of 2 modalities, .* under ROOT states 1: rgb of 12 ch'):
            check_against_data(model, data(rgb=WIDTH))
    else:
        check_against_data(model, data(rgb=WIDTH))
        check_against_data(model, data(rgb=4, flow=4, audio=4))


def test_weights_survive_a_round_trip_and_depend_on_the_seed_alone(case: Path) -> None:
    model, again, batch = build(case), build(case), padded(videos())
    for built in (model, again):
        torch.manual_seed(1)
        built.init_weights()  # the Runner does
    state = model.state_dict()
    assert state.keys() == again.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in again.state_dict().items())
    expected = model(**batch).cas
    assert torch.equal(copy.deepcopy(model)(**batch).cas, expected)
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.add_(1)
    assert not torch.equal(again(**batch).cas, expected)
    again.load_state_dict(state, strict=True)
    assert torch.equal(again(**batch).cas, expected)


def test_training_lowers_the_loss(case: Path) -> None:
    # In evaluation mode: without dropout the loss of one batch is one number.
    model, batch, rows = build(case), padded(videos()), label_rows(len(LENGTHS))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    totals = []
    for _ in range(15):
        total, _ = model.parse_losses(model(**batch, data_samples=samples(rows), mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    what = f'15 steps on one batch lead from {totals[0]} to {totals[-1]}'
    assert totals[-1] < totals[0] - 1e-3, broken('Losses', what)


@pytest.fixture(scope='session')
def two_processes(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found for every model: one pair of processes for all."""
    return run_processes(2, cases(pytestconfig), tmp_path_factory.mktemp('processes'))


def test_two_processes_are_one_with_the_whole_batch(case: Path, two_processes: list[dict[str, Any]]) -> None:
    # The first process has two of the three pairs, the second has the video without labels.
    losses, gradients = losses_and_gradients(build(case), padded(videos()), label_rows(len(LENGTHS)))
    for found_losses, found_gradients in (found[str(case)] for found in two_processes):
        rule, what = 'Several processes', 'of two processes differ from those of one with the whole batch'
        assert_same(found_losses, losses, rule, f'losses {what}', **CLOSE)
        by_name = {name.removeprefix('wrapped.module.'): value for name, value in found_gradients.items()}
        assert_same(by_name, gradients, rule, f'gradients {what}', **CLOSE_GRADIENTS)
