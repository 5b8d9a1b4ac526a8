import pickle
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmwtal.formats.feature_files import FeatureFileError, check_feature_files, read_shape
from mmwtal.formats.findings import Kind


def save(path, array, **options):
    np.save(path, array, **options)
    return path


@pytest.mark.parametrize('dtype', ['float16', 'float32', '>f4'])
@pytest.mark.parametrize('order', ['C', 'F'])
def test_reads_the_shape(tmp_path, dtype, order):
    assert read_shape(save(tmp_path / 'a.npy', np.zeros((5, 3), dtype=dtype, order=order))) == (5, 3)


@pytest.mark.parametrize(
    ('array', 'kind'),
    [
        (np.zeros((0, 3), np.float32), Kind.EMPTY),
        (np.zeros((3, 0), np.float32), Kind.EMPTY),
        (np.zeros(3, np.float32), Kind.SHAPE),
        (np.zeros((1, 2, 3), np.float32), Kind.SHAPE),
        (np.zeros((2, 3)), Kind.DTYPE),
        (np.zeros((2, 3), np.int32), Kind.DTYPE),
        (np.zeros((2, 3), 'S4'), Kind.DTYPE),
        (np.zeros((2, 3), 'f4,f4'), Kind.DTYPE),
        (np.array([[{}, []]], dtype=object), Kind.UNREADABLE),
    ],
)
def test_faulty_arrays_are_told_apart(tmp_path, array, kind):
    with pytest.raises(FeatureFileError) as caught:
        read_shape(save(tmp_path / 'a.npy', array))
    assert caught.value.kind is kind


def test_faulty_files_are_told_apart(tmp_path):
    path = tmp_path / 'a.npy'
    cases = {}
    for name, content in {
        'missing': None,
        'empty': b'',
        'text': b'no features here, only text',
        'pickle': pickle.dumps(np.zeros((2, 3))),
        'magic only': b'\x93NUMPY\x01\x00',
        'odd keys': b'\x93NUMPY\x01\x00\x12\x00{"a": 1, b"b": 2} \n',
        'future': b'\x93NUMPY\x09\x00' + bytes(100),
    }.items():
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(FeatureFileError) as caught:
            read_shape(path)
        cases[name] = caught.value.kind
        assert str(path) in str(caught.value)
    unreadable = dict.fromkeys(['text', 'pickle', 'magic only', 'odd keys', 'future'], Kind.UNREADABLE)
    assert cases == {'missing': Kind.MISSING, 'empty': Kind.EMPTY, **unreadable}
    with pytest.raises(FeatureFileError) as caught:
        read_shape(tmp_path)
    assert caught.value.kind is Kind.UNREADABLE


def test_a_truncated_file_is_seen_without_reading_it(tmp_path):
    path = save(tmp_path / 'a.npy', np.zeros((50, 3), np.float32))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FeatureFileError, match='truncated'):
        read_shape(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_header_breaks_the_reader(tmp_path, data):
    path = save(tmp_path / 'a.npy', np.zeros((4, 3), np.float32))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, 127), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    try:
        shape = read_shape(path)
    except FeatureFileError:
        return
    assert np.load(path, allow_pickle=False).shape == shape


def test_widths_and_transposed_files(tmp_path):
    for name, shape in {'a': (5, 8), 'b': (6, 8), 'c': (8, 7), 'd': (6, 9), 'e': (8, 8)}.items():
        save(tmp_path / f'{name}.npy', np.zeros(shape, np.float32))
    for width in (None, 8):
        check = check_feature_files(tmp_path, 'abcde', width=width)
        assert check.width == 8
        assert check.lengths == {'a': 5, 'b': 6, 'e': 8}
        assert {f.video_id: f.kind for f in check.findings} == {'c': Kind.TRANSPOSED, 'd': Kind.WIDTH}


def test_a_folder_of_transposed_files_alone_is_recognised(tmp_path):
    for name, length in {'a': 5, 'b': 6, 'c': 7}.items():
        save(tmp_path / f'{name}.npy', np.zeros((8, length), np.float32))
    check = check_feature_files(tmp_path, 'abc', width=None)
    assert check.width == 8
    assert [finding.kind for finding in check.findings] == [Kind.TRANSPOSED] * 3


def test_no_readable_file_gives_no_width(tmp_path):
    check = check_feature_files(tmp_path, ['x'], width=None)
    assert check.width is None
    assert [finding.kind for finding in check.findings] == [Kind.MISSING]


def test_two_thousand_headers_take_seconds_at_most(tmp_path):
    array = np.zeros((4, 8), np.float32)
    names = [f'v{i}' for i in range(2000)]
    for name in names:
        np.save(tmp_path / f'{name}.npy', array)
    start = time.perf_counter()
    assert len(check_feature_files(tmp_path, names, width=8).lengths) == 2000
    assert time.perf_counter() - start < 5
