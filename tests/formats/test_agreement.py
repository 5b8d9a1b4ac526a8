"""A config that states of its features what their sidecar does not say is refused, with both values."""

import json
from pathlib import Path

import pytest

from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.formats.agreement import check_features
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.errors import UserError

STATED = {
    'fps': 25,
    'stride': 16,
    'width': 8,
    'crop': 'center',
    'model': {'rgb': 'InceptionI3D', 'flow': 'InceptionI3D'},
    'modalities': {'rgb': [0, 4], 'flow': [4, 8]},
    'videos': {'a': {'snippets': 3}},
}


def check(folder: Path, content: dict | None = STATED, **options) -> int | None:
    if content is not None:
        (folder / 'features.json').write_text(json.dumps(content))
    made = {'timebase': None, 'fallback': {'fps': 25.0}, 'in_channels': None, 'expected': {}, 'video_ids': ['a']}
    return check_features(read_sidecar(folder), folder, **{**made, **options})


@pytest.mark.parametrize(
    'expected',
    [
        {},
        {'fps': 25.0, 'crop': 'center'},
        {'model': {'rgb': 'InceptionI3D'}, 'modalities': {'flow': (4, 8)}},
        {'modalities': {'rgb': [0, 4]}},
    ],
)
def test_what_agrees(expected: dict, tmp_path: Path) -> None:
    assert check(tmp_path, expected=expected) == 8


@pytest.mark.parametrize(
    ('expected', 'message'),
    [
        ({'crop': 'ten'}, r"the config says crop='ten', but .*features\.json says 'center'"),
        ({'fps': 30}, 'says fps=30, but .* says 25'),
        ({'model': {'rgb': 'CLIP'}}, r"model\.rgb='CLIP', but .* says 'InceptionI3D'"),
        ({'model': 'InceptionI3D'}, "model='InceptionI3D', but .* says "),
        ({'flow': 'TVL1Flow'}, "flow='TVL1Flow', but .* says nothing of it"),
        ({'crop': {'side': 224}}, r'crop\.side=224, but .* says nothing of it'),
        ({'videos': {'a': {'snippets': 3}}}, 'says nothing of it'),
    ],
)
def test_what_differs(expected: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        check(tmp_path, expected=expected)


def test_all_differences_are_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        check(tmp_path, expected={'crop': 'ten', 'fps': 30, 'stride': 16})
    assert len(str(caught.value).splitlines()) == 3


def test_features_without_a_sidecar(tmp_path: Path) -> None:
    assert check(tmp_path, None, in_channels=5) == 5
    with pytest.raises(UserError, match=r'states crop, model\.rgb of the features, but .* has no features\.json'):
        check(tmp_path, None, expected={'crop': 'ten', 'model': {'rgb': 'CLIP'}})
    with pytest.raises(UserError, match='needs timebase'):
        check(tmp_path, None, fallback={})


def test_a_dataset_refuses_them(data_root) -> None:
    data_root.sidecar['model'] = {'rgb': 'InceptionI3D'}
    options = {'data_root': data_root.write(), 'subset': 'training', 'pipeline': []}
    assert len(WTALDataset(**options, expected_features={'model': {'rgb': 'InceptionI3D'}})) == 6
    with pytest.raises(UserError, match=r"model\.rgb='CLIP', but .* says 'InceptionI3D'"):
        WTALDataset(**options, expected_features={'model': {'rgb': 'CLIP'}})
    with pytest.raises(UserError, match=r'fps=30, but .* says fps=25'):
        WTALDataset(**options, timebase={'fps': 30, 'stride': 16})
