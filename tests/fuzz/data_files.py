"""A small data root whose files the tests spoil."""

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from .mutations import spoilt_bytes

fuzz = settings(deadline=None, suppress_health_check=list(HealthCheck))

LENGTHS = {'one': 4, 'two': 6, 'last': 5}
ANNOTATIONS: dict[str, Any] = {
    'classes': ['jump', 'run'],
    'database': {
        'one': {'subset': 'training', 'duration': 2.5, 'annotations': [], 'labels': ['jump']},
        'two': {'subset': 'test', 'duration': 3.9, 'annotations': [{'label': 'run', 'segment': [1.0, 2.0]}]},
        'last': {
            'subset': 'testing',
            'duration': 3.2,
            'annotations': [{'label': 'jump', 'segment': [0, 2.5]}, {'label': 'run', 'segment': [1, 1]}],
            'labels': ['run', 'jump'],
            'ambiguous': [[2, 3]],
        },
    },
}
SIDECAR: dict[str, Any] = {
    **{'fps': 25, 'stride': 16, 'window': 16, 'width': 8, 'modalities': {'rgb': [0, 4], 'flow': [4, 8]}, 'model': 'x'},
    'videos': {name: {'snippets': n, 'frames': 16 * n, 'duration': 0.64 * n} for name, n in LENGTHS.items()},
}


def write_root(folder: Path) -> Path:
    """Write a small data root."""
    (folder / 'features').mkdir(parents=True)
    for number, (name, length) in enumerate(LENGTHS.items()):
        features = np.random.default_rng(number).standard_normal((length, 8)).astype(np.float32)
        np.save(folder / 'features' / f'{name}.npy', features)
    (folder / 'annotations.json').write_text(json.dumps(ANNOTATIONS))
    (folder / 'features' / 'features.json').write_text(json.dumps(SIDECAR))
    return folder


@contextlib.contextmanager
def spoilt(path: Path, content: bytes) -> Iterator[None]:
    """Give a file another content for a while."""
    original = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(original)


@st.composite
def spoilt_npy(draw: st.DrawFn) -> bytes:
    """A feature file with another header, or other bytes anywhere."""
    buffer = io.BytesIO()
    if draw(st.booleans()):
        np.save(buffer, np.ones((5, 8), draw(st.sampled_from([np.float32, np.float16, np.float64]))))
        return draw(spoilt_bytes(buffer.getvalue()))
    number = st.sampled_from(
        ['5', '8', '0', '-1', 'True', '1.0', 'None', '10**9', '9' * 30, '9' * 5000, "'5'", '5L', '(5,)']
    )
    shape = draw(
        st.lists(number, max_size=4).map(lambda sizes: '(' + ''.join(f'{size}, ' for size in sizes) + ')') | number
    )
    types = [
        "'<f4'",
        "'>f4'",
        "'f'",
        "'<f2'",
        "'|O'",
        "'<i4'",
        "'<c8'",
        "'<M8[s]'",
        "'V8'",
        "'S0'",
        "'x'",
        '4',
        "[('a', '<f4')]",
        "('<f4', 8)",
    ]
    types += [
        "'\\ud800'",
        "'f4,f4'",
        "'99999999999f4'",
        "'<f16'",
        '[]',
        "{'names': ['a'], 'formats': ['f4']}",
        'None',
        '(' * 250 + ')' * 250,
    ]
    entries = {
        'descr': draw(st.sampled_from(types)),
        'fortran_order': draw(st.sampled_from(['False', 'True', '0', 'None', "'x'"])),
        'shape': shape,
        draw(st.sampled_from(['shape', 'extra'])): shape,
    }
    header = '{' + ', '.join(f"'{key}': {value}" for key, value in entries.items()) + '}'
    version = draw(st.sampled_from([b'\x01\x00', b'\x02\x00', b'\x03\x00', b'\x00\x00', b'\xff\x00']))
    encoded = header.encode() + b' ' * (-len(header) % 16) + b'\n'
    length = len(encoded).to_bytes(2 if version == b'\x01\x00' else 4, 'little')
    values = draw(st.sampled_from([160, 0, 80, 320, 159])) * b'\0'
    return b'\x93NUMPY' + version + length + encoded + values


def object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
