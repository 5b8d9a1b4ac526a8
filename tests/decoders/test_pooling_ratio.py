"""A ratio of snippets below 1 asks for more snippets than a video has: it is refused when the part is built."""

import pytest

import mmwtal.decoders
import mmwtal.models  # noqa: F401  fills the registry
from mmwtal.registry import DECODERS, MODELS
from mmwtal.utils.errors import UserError

OPTIONS = [
    (MODELS, 'TopKBCELoss', {'topk_ratio': 8}),
    (MODELS, 'TopKMILLoss', {'topk_ratio': 8}),
    (MODELS, 'MagnitudeLoss', {'action_ratio': 9}),
    (MODELS, 'MagnitudeLoss', {'background_ratio': 4}),
    (MODELS, 'BackgroundEntropyLoss', {'background_ratio': 4}),
    (MODELS, 'EvidentialLoss', {'attn_ratio': 9}),
    (DECODERS, 'UMDecoder', {'topk_ratio': 9}),
    (DECODERS, 'UMDecoder', {'background_ratio': 4}),
    (DECODERS, 'UMDecoder', {'upsampling': 24}),
    (DECODERS, 'BaSNetDecoder', {'topk_ratio': 8}),
]


@pytest.mark.parametrize(('registry', 'kind', 'options'), OPTIONS)
@pytest.mark.parametrize('value', [0, 0.5, -3, float('nan')])
def test_a_ratio_below_one_is_refused(registry, kind, options, value):
    assert registry.build({'type': kind, **options})
    (name,) = options
    with pytest.raises(UserError, match=rf'{kind}: expected {name} of at least 1, found {value}'):
        registry.build({'type': kind, name: value})
