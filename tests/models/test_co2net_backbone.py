import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmwtal.registry import MODELS
from mmwtal.utils.errors import UserError

CLOSE = {'rtol': 1e-4, 'atol': 1e-5}


def make(pool_kernel=1, **changes):
    torch.manual_seed(0)
    config = {
        'pool_kernel': pool_kernel,
        'type': 'CO2NetBackbone',
        'in_channels': 12,
        'attention_channels': 4,
        **changes,
    }
    model = MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': 3,
            'in_channels': config['in_channels'],
            'backbone': config,
            'head': {'type': 'MILHead', 'losses': {}, 'pool_kernel': pool_kernel},
        }
    ).eval()
    with torch.no_grad():  # biases start at zero, and zero would hide a leak of padding
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.normal_()
    return model


def videos(lengths, seed=0, width=12):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(length, width, generator=generator) for length in lengths]


def fields(output, video, length):
    return (
        output.cas[video, :length],
        output.attn[video, :length],
        output.feat[video, :length],
        output.extras['attn_modalities'][video, :length],
    )


@torch.no_grad()
@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    padding=st.integers(0, 7),
    fill=st.sampled_from([0.0, 5.0, float('nan')]),
    seed=st.integers(0, 99),
    pool_kernel=st.sampled_from([1, 3, 13]),
)
def test_padding_batch_and_order_do_not_matter(lengths, padding, fill, seed, pool_kernel):
    model = make(pool_kernel)
    alone = [model(video[None]) for video in videos(lengths, seed)]
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed)).tolist()
    inputs = torch.full((len(lengths), max(lengths) + padding, 12), fill)
    mask = torch.zeros(inputs.shape[:2], dtype=torch.bool)
    for place, video in enumerate(order):
        inputs[place, : lengths[video]] = videos(lengths, seed)[video]
        mask[place, : lengths[video]] = True
    batch = model(inputs, mask=mask)
    for place, video in enumerate(order):
        for found, expected in zip(
            fields(batch, place, lengths[video]), fields(alone[video], 0, lengths[video]), strict=True
        ):
            torch.testing.assert_close(found, expected, **CLOSE)


def test_shapes_and_range():
    output = make()(torch.stack(videos([7, 7])))
    assert output.feat.shape == (2, 7, 12)
    assert output.attn.shape == (2, 7, 1)
    assert output.cas.shape == (2, 7, 4)
    assert output.has_background
    assert output.num_classes == 3
    assert output.mask.all()
    assert ((output.attn > 0) & (output.attn < 1)).all()
    torch.testing.assert_close(output.attn, output.extras['attn_modalities'].mean(-1, keepdim=True))


def test_pooling_divides_by_the_whole_window_at_the_ends_of_a_video():
    inputs = torch.stack(videos([6]))
    plain, pooled = make()(inputs), make(3)(inputs)
    for before, after in ((plain.cas, pooled.cas), (plain.attn, pooled.attn)):
        torch.testing.assert_close(after[:, 2], before[:, 1:4].mean(dim=1), **CLOSE)
        torch.testing.assert_close(after[:, 0], before[:, :2].sum(dim=1) / 3, **CLOSE)
    torch.testing.assert_close(pooled.attn, pooled.extras['attn_modalities'].mean(-1, keepdim=True))
    torch.testing.assert_close(pooled.feat, plain.feat)


@pytest.mark.parametrize('kernel', [0, 2, -1, 3.0])
def test_an_unsuitable_pool_kernel(kernel):
    with pytest.raises(UserError, match='pool_kernel must be an odd number'):
        make(kernel)


def test_modalities_of_different_width():
    output = make(modalities=(4, 8))(torch.stack(videos([5])))
    assert output.feat.shape == (1, 5, 12)


@pytest.mark.parametrize(('width', 'modalities'), [(12, (4, 4)), (12, (12, 0)), (12, (4, 4, 4)), (13, None)])
def test_widths_that_do_not_add_up(width, modalities):
    with pytest.raises(UserError, match=f'in_channels={width}.*backbone.modalities'):
        make(in_channels=width, modalities=modalities)


def test_initialisation_as_published():
    backbone = MODELS.build({'type': 'CO2NetBackbone', 'in_channels': 128})
    for name, parameter in backbone.named_parameters():
        if name.endswith('bias'):
            assert (parameter == 0).all(), name
        else:
            bound = math.sqrt(6 / math.prod(parameter.shape[1:]))
            assert 0.9 * bound < parameter.abs().max() <= bound, name


def test_size_of_the_published_model_without_its_unused_layer():
    with torch.device('meta'):
        model = make_published()
    unused = 2048 * 2048 * 3 + 2048
    assert sum(parameter.numel() for parameter in model.parameters()) == 46_717_975 - unused


def make_published():
    return MODELS.build(
        {
            'type': 'WTALLocalizer',
            'num_classes': 20,
            'in_channels': 2048,
            'backbone': {'type': 'CO2NetBackbone'},
            'head': {'type': 'MILHead', 'losses': {}},
        }
    )
