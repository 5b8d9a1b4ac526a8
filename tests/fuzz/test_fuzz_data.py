"""Whatever is in files of data, predictions or CSV files: they are used, or a UserError says what is wrong."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmwtal.datasets.transforms.loading import LoadSnippetFeatures
from mmwtal.datasets.wtal_dataset import WTALDataset
from mmwtal.evaluation import evaluate
from mmwtal.formats.annotations import read_annotations
from mmwtal.formats.sidecar import read_sidecar
from mmwtal.utils.errors import UserError
from mmwtal.utils.safe_pickle import load_object_array

from .data_files import ANNOTATIONS, SIDECAR, fuzz, object_array, spoilt, spoilt_npy
from .mutations import spoilt_bytes, spoilt_json

PREDICTIONS: dict[str, Any] = {
    'version': 'x',
    'results': {
        'two': [{'label': 'run', 'segment': [1, 2], 'score': 0.5}, {'label': 'jump', 'segment': [0.5, 3], 'score': 1}],
        'last': [{'label': 'jump', 'segment': ['0.5', '2'], 'score': '1'}],
        'none': [],
    },
    'external_data': {},
}


def use(root: Path, subset: str) -> None:
    """Read all samples of a subset, as training and testing do."""
    pipeline = [LoadSnippetFeatures()]
    with contextlib.suppress(UserError):
        for sample in WTALDataset(data_root=root, subset=subset, pipeline=pipeline, test_mode=subset == 'test'):
            assert sample['inputs'].shape[1] == 8 if 'inputs' in sample else sample


@fuzz
@given(
    content=spoilt_json(ANNOTATIONS) | spoilt_bytes(json.dumps(ANNOTATIONS).encode()),
    subset=st.sampled_from(['training', 'test']),
)
def test_annotations(root: Path, content: bytes, subset: str) -> None:
    with spoilt(root / 'annotations.json', content):
        use(root, subset)
        with contextlib.suppress(UserError):
            annotations = read_annotations(root / 'annotations.json')
            annotations.all_labels(), annotations.subset_counts()


@fuzz
@given(
    content=spoilt_json(SIDECAR) | spoilt_bytes(json.dumps(SIDECAR).encode()),
    subset=st.sampled_from(['training', 'test']),
)
def test_sidecar(root: Path, content: bytes, subset: str) -> None:
    with spoilt(root / 'features' / 'features.json', content):
        use(root, subset)
        with contextlib.suppress(UserError):
            read_sidecar(root / 'features')


@fuzz
@given(content=spoilt_npy())
def test_features(root: Path, content: bytes) -> None:
    with spoilt(root / 'features' / 'last.npy', content):
        use(root, 'test')


@fuzz
@given(
    predictions=spoilt_json(PREDICTIONS) | spoilt_bytes(json.dumps(PREDICTIONS).encode()),
    truth=st.just(json.dumps(ANNOTATIONS).encode()) | spoilt_json(ANNOTATIONS),
    protocol=st.sampled_from(['anet', 'wtal_grid']),
)
@pytest.mark.filterwarnings('ignore:overflow encountered', 'ignore:invalid value encountered')
def test_evaluation(tmp_path_factory: pytest.TempPathFactory, predictions: bytes, truth: bytes, protocol: str) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / 'p.json').write_bytes(predictions)
    (folder / 'g.json').write_bytes(truth)
    with contextlib.suppress(UserError):
        result = evaluate(folder / 'p.json', folder / 'g.json', protocol=protocol)
        assert result.table()
        assert json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert all(0 <= value <= 100 for value in (*result.mAP, result.average))


def pickled() -> bytes:
    buffer = io.BytesIO()
    items = [
        np.arange(12, dtype=np.float32).reshape(4, 3),
        [b'Diving', 'x'],
        np.float64(0.5),
        (1, None, {2: 3}),
        10**30,
    ]
    np.save(buffer, object_array(items), allow_pickle=True)
    return buffer.getvalue()


@fuzz
@given(content=spoilt_bytes(pickled()) | spoilt_npy(), visit=st.booleans())
def test_pickled_arrays(tmp_path_factory: pytest.TempPathFactory, content: bytes, visit: bool) -> None:
    path = tmp_path_factory.getbasetemp() / 'a.npy'
    path.write_bytes(content)
    with contextlib.suppress(UserError):
        load_object_array(path, visit=(lambda array: None) if visit else None)
