import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmwtal.models.backbones.base import BackboneOutput, BaseBackbone
from mmwtal.registry import MODELS
from mmwtal.structures import LocalizerOutput, Timebase, WTALDataSample
from mmwtal.utils.errors import UserError

C, D = 4, 8
LOSSES = {
    'loss_mil': {'type': 'TopKMILLoss', 'topk_ratio': 7},
    'loss_mil_supp': {'type': 'TopKMILLoss', 'topk_ratio': 7, 'suppressed': True},
    'loss_coactivity': {'type': 'CoActivityLoss', 'num_pairs': 1},
    'loss_mutual': {'type': 'AttentionMutualLoss'},
    'loss_norm': {'type': 'AttentionNormLoss', 'loss_weight': 0.8},
    'loss_guide': {'type': 'AttentionGuideLoss', 'loss_weight': 0.8},
}


def make(**changes):
    torch.manual_seed(0)
    config = {
        'type': 'WTALLocalizer',
        'num_classes': C,
        'in_channels': D,
        'backbone': {'type': 'CO2NetBackbone', 'attention_channels': 4},
        'head': {'type': 'MILHead', 'losses': LOSSES},
        'decoder': {'type': 'MultiThresholdDecoder'},
        **changes,
    }
    return MODELS.build(config).eval()


def samples(*rows, timebase=None):
    made = [WTALDataSample(video_id=f'v{i}', labels=torch.tensor(row).float()) for i, row in enumerate(rows)]
    for sample in made:
        sample.timebase = timebase or Timebase(fps=25, stride=16)
    return made


PAIR = ([1, 0, 0, 0], [1, 1, 0, 0])


def test_loss_terms_are_weighted_scalars_and_the_same_in_eval_mode():
    model, inputs = (
        make(backbone={'type': 'CO2NetBackbone', 'attention_channels': 4, 'dropout': 0.0}),
        torch.randn(2, 9, D),
    )
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    evaluated = model(inputs, samples(*PAIR), mode='loss')
    trained = model.train()(inputs, samples(*PAIR), mode='loss')
    assert list(evaluated) == list(LOSSES)
    for name, term in evaluated.items():
        assert term.shape == ()
        assert term.isfinite()
        torch.testing.assert_close(term, trained[name])
    heavier = {name: {**loss, 'loss_weight': 2 * loss.get('loss_weight', 1)} for name, loss in LOSSES.items()}
    doubled = make(head={'type': 'MILHead', 'losses': heavier})
    for name, term in doubled(inputs, samples(*PAIR), mode='loss').items():
        torch.testing.assert_close(term, 2 * evaluated[name])


def test_every_parameter_gets_a_gradient_also_without_labels_in_common():
    model = make().train()
    total, _ = model.parse_losses(model(torch.randn(2, 9, D), samples([0, 0, 0, 0], [0, 0, 1, 0]), mode='loss'))
    total.backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_loss_does_not_depend_on_padding():
    model, video = make(), torch.randn(2, 9, D)
    plain = model(video, samples(*PAIR), mode='loss')
    mask = torch.zeros(2, 14, dtype=torch.bool)
    mask[:, :9] = True
    padded = model(torch.cat([video, torch.full((2, 5, D), 7.0)], dim=1), samples(*PAIR), mask, mode='loss')
    torch.testing.assert_close(padded, plain, rtol=1e-4, atol=1e-5)


def test_predict_gives_segments_in_seconds_of_each_timebase():
    model, inputs = make(), torch.randn(2, 20, D) * 5
    grids = [Timebase(fps=1, stride=1), Timebase(fps=1, stride=4)]
    given = samples(*PAIR)
    for sample, grid in zip(given, grids, strict=True):
        sample.timebase = grid
    predicted = model(inputs, given, mode='predict')
    in_snippets = model.decoder.decode(model(inputs), Timebase(fps=1, stride=1))
    assert [sample.video_id for sample in predicted] == ['v0', 'v1']
    for sample, snippets, scale in zip(predicted, in_snippets, (1, 4), strict=True):
        found = sample.pred_instances
        assert len(found) > 0
        assert found.labels.dtype == torch.int64
        assert found.segments.dtype == torch.float64
        torch.testing.assert_close(found.segments, snippets.segments * scale)
        torch.testing.assert_close(found.scores, snippets.scores)


def test_train_and_test_step_through_the_preprocessor():
    model = make().train()
    data = {'inputs': [torch.randn(9, D), torch.randn(5, D)], 'data_samples': samples(*PAIR)}
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.head.classifier.weight.detach().clone()
    logged = model.train_step(data, wrapper)
    assert logged['loss'].item() == pytest.approx(sum(logged[name].item() for name in LOSSES), rel=1e-5)
    assert not torch.equal(before, model.head.classifier.weight)
    predicted = model.eval().test_step(data)
    assert all('pred_instances' in sample for sample in predicted)


def test_mixed_precision_gives_full_precision_terms_and_finite_gradients():
    model = make().train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        terms = model(torch.randn(2, 9, D), samples(*PAIR), mode='loss')
    assert {term.dtype for term in terms.values()} == {torch.float32}
    sum(terms.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_the_runners_initialisation_leaves_the_published_one():
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Recorder(nn.Module):
    def __init__(self, name='loss_guided'):
        super().__init__()
        self.name, self.calls = name, []

    def forward(self, inputs, output, data_samples):
        self.calls.append((inputs, output, data_samples))
        return {self.name: output.cas.mean(), 'agreement': output.attn.mean()}


def test_guidance_adds_terms_while_training_only():
    guidance = Recorder()
    model, inputs, given = make(guidance=guidance), torch.randn(2, 9, D), samples(*PAIR)
    model(inputs)
    model(inputs, given, mode='predict')
    assert guidance.calls == []
    terms = model(inputs, given, mode='loss')
    assert list(terms) == [*LOSSES, 'loss_guided', 'agreement']
    ((got_inputs, output, got_samples),) = guidance.calls
    assert got_inputs is inputs
    assert isinstance(output, LocalizerOutput)
    assert got_samples is given


def test_guidance_may_not_replace_a_term():
    with pytest.raises(UserError, match='loss_mil'):
        make(guidance=Recorder('loss_mil'))(torch.randn(2, 9, D), samples(*PAIR), mode='loss')


class Plain(BaseBackbone):
    """Takes no sizes and has no attention."""

    out_channels = D

    def forward(self, inputs, mask):
        return BackboneOutput(feat=inputs)


def test_parts_may_be_built_modules_and_the_background_replaces_a_missing_attention():
    model = make(backbone=Plain(), head={'type': 'MILHead', 'losses': {'loss_mil': LOSSES['loss_mil']}})
    output = model(torch.randn(1, 6, D))
    torch.testing.assert_close(output.attn, 1 - output.cas.softmax(-1)[..., -1:])
    with_mutual = make(
        backbone=Plain(), head={'type': 'MILHead', 'losses': {'loss_a': {'type': 'AttentionMutualLoss'}}}
    )
    with pytest.raises(UserError, match='attn_modalities'):
        with_mutual(torch.randn(2, 6, D), samples(*PAIR), mode='loss')


def test_wrong_width():
    with pytest.raises(UserError, match=r'\(B, T, 8\), found \(1, 6, 5\).*in_channels'):
        make()(torch.randn(1, 6, 5))


def test_labels_of_another_number_of_classes():
    with pytest.raises(UserError, match=r"'v0'.*\(4,\).*found \(3,\)"):
        make()(torch.randn(1, 6, D), samples([1, 0, 0]), mode='loss')
    with pytest.raises(UserError, match=r"'x'.*found no labels"):
        make()(torch.randn(1, 6, D), [WTALDataSample(video_id='x')], mode='loss')
    with pytest.raises(UserError, match='one data sample with labels'):
        make()(torch.randn(1, 6, D), mode='loss')
    with pytest.raises(UserError, match='each of 2 videos, found 1'):
        make()(torch.randn(2, 6, D), samples([1, 0, 0, 0]), mode='loss')


def test_predicting_without_a_timebase_or_a_decoder():
    with pytest.raises(UserError, match="'x' has no timebase"):
        make()(torch.randn(1, 6, D), [WTALDataSample(video_id='x')], mode='predict')
    with pytest.raises(UserError, match='timebase'):
        make()(torch.randn(1, 6, D), mode='predict')
    with pytest.raises(UserError, match=r'model\.decoder'):
        make(decoder=None)(torch.randn(1, 6, D), samples([1, 0, 0, 0]), mode='predict')


def test_unknown_mode_and_a_loss_name_that_would_not_count():
    with pytest.raises(ValueError, match='mode must be'):
        make()(torch.randn(1, 6, D), mode='train')
    with pytest.raises(UserError, match='"loss_mil"'):
        make(head={'type': 'MILHead', 'losses': {'mil': LOSSES['loss_mil']}})


def test_scores_from_elsewhere_reach_the_decoder():
    model, inputs = make(), torch.randn(2, 30, D)
    given = samples(*PAIR)
    for sample, wanted in zip(given, ([0, 0, 1, 0], [1, 0, 0, 1]), strict=True):
        sample.video_scores = torch.tensor(wanted, dtype=torch.float64)
    predicted = model(inputs, given, mode='predict')
    assert [set(sample.pred_instances.labels.tolist()) for sample in predicted] == [{2}, {0, 3}]


@pytest.mark.parametrize(
    ('scores', 'found'), [([None, [1, 0, 0, 0]], "'v0'.*none"), ([[1], [0, 0, 0, 0]], r"'v0'.*\(1,\)")]
)
def test_scores_from_elsewhere_are_for_all_videos_and_classes(scores, found):
    given = samples(*PAIR)
    for sample, row in zip(given, scores, strict=True):
        if row is not None:
            sample.video_scores = torch.tensor(row).double()
    with pytest.raises(UserError, match=rf'{found}'):
        make()(torch.randn(2, 9, D), given, mode='predict')
