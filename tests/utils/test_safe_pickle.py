"""Reading pickled object arrays: the same values as NumPy, and never a call of what a file names."""

import contextlib
import io
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmwtal.utils.errors import UserError
from mmwtal.utils.safe_pickle import load_object_array, read_object_array_shape


def object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def write_npy(path: Path, payload: bytes, shape: tuple[int, ...] = (1,)) -> Path:
    """A .npy file with any bytes where the pickled object array belongs."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {'descr': '|O', 'fortran_order': False, 'shape': shape})
    path.write_bytes(buffer.getvalue() + payload)
    return path


def binstring(data: bytes) -> bytes:
    return b'T' + struct.pack('<i', len(data)) + data


def python2_array(typestr: bytes, shape: bytes, data: bytes) -> bytes:
    """The opcodes with which Python 2's cPickle writes an array: strings are 8-bit, the module is numpy.core."""
    reconstruct = b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R'
    dtype = b'cnumpy\ndtype\nU' + bytes([len(typestr)]) + typestr + b'K\x00K\x01\x87R'
    order = b'|' if typestr.startswith(b'O') else b'<'
    dtype += b'(K\x03U\x01' + order + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
    return reconstruct + b'(K\x01' + shape + dtype + b'\x89' + data + b'tb'


@pytest.mark.parametrize('protocol', [2, 3, 4])
def test_same_as_numpy_for_every_protocol(tmp_path: Path, protocol: int) -> None:
    items = [
        np.arange(12, dtype=np.float32).reshape(4, 3),
        [b'HighJump', 'LongJump'],
        np.float64(0.5),
        (1, None, {2: 3}),
    ]
    items += [np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(4, dtype='>f4'), np.array([], np.float32), b'']
    path = write_npy(tmp_path / 'a.npy', pickle.dumps(object_array(items), protocol=protocol), (len(items),))
    loaded = load_object_array(path)
    assert loaded.shape == (len(items),)
    for ours, theirs in zip(loaded, np.load(path, allow_pickle=True), strict=True):
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(ours, theirs)
        assert getattr(ours, 'dtype', None) == getattr(theirs, 'dtype', None)


def test_old_module_names_and_python2_strings(tmp_path: Path) -> None:
    inner = python2_array(b'f4', b'K\x02K\x03\x86', binstring(np.arange(6, dtype='<f4').tobytes()))
    items = b'](' + inner + b'](U\x08HighJumpU\x06Divingee'
    loaded = load_object_array(
        write_npy(tmp_path / 'p2.npy', b'\x80\x02' + python2_array(b'O8', b'K\x02\x85', items) + b'.', (2,))
    )
    np.testing.assert_array_equal(loaded[0], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert loaded[1] == [b'HighJump', b'Diving']


@settings(max_examples=30, deadline=None)
@given(
    arrays=st.lists(
        hnp.arrays(st.sampled_from([np.float16, np.float32, np.int64, np.bool_, 'S5']), hnp.array_shapes(max_dims=3)),
        min_size=1,
        max_size=4,
    )
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, arrays: list[np.ndarray]) -> None:
    path = tmp_path_factory.mktemp('round') / 'a.npy'
    np.save(path, object_array(arrays), allow_pickle=True)
    for ours, theirs in zip(load_object_array(path), arrays, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_plain_array_needs_no_pickle(tmp_path: Path) -> None:
    np.save(tmp_path / 'plain.npy', np.array([[1.5], [2.5]]))
    np.testing.assert_array_equal(load_object_array(tmp_path / 'plain.npy'), [[1.5], [2.5]])


class Malicious:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call[0], self.call[1:]


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_malicious_pickle_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    witness = tmp_path / 'executed'
    payload = pickle.dumps(object_array([Malicious(os.mkdir, str(witness))]), protocol=protocol)
    path = write_npy(tmp_path / 'evil.npy', payload)
    with pytest.raises(UserError, match=r'evil\.npy.*(posix|nt)\.mkdir.*Nothing in it was executed') as caught:
        load_object_array(path)
    assert '\n' not in str(caught.value)
    assert not witness.exists()
    np.load(path, allow_pickle=True)
    assert witness.exists(), 'the pickle would have run, so the test shows something'


@pytest.mark.parametrize(
    'evil',
    [
        Malicious(eval, '1'),
        Malicious(getattr, 'a', 'upper'),
        Malicious(np.load, 'x.npy'),
        np.dtype([('a', object)]).type,
        np.array([(1, 2.0)], dtype=[('a', 'i4'), ('b', 'f8')]),
        np.array(['2020-01-01'], dtype='M8[D]'),
        Path('x'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_anything_but_plain_arrays_is_refused(tmp_path: Path, evil: object) -> None:
    path = write_npy(tmp_path / 'evil.npy', pickle.dumps(object_array([evil]), protocol=4))
    with pytest.raises(UserError, match=r'evil\.npy'):
        load_object_array(path)


def test_forged_object_dtype_over_raw_bytes_is_refused(tmp_path: Path) -> None:
    forged = b'\x80\x02' + python2_array(b'O8', b'K\x01\x85', binstring(b'\x41' * 8)) + b'.'
    with pytest.raises(UserError, match='do not fill it'):
        load_object_array(write_npy(tmp_path / 'forged.npy', forged))


def test_forged_length_allocates_nothing(tmp_path: Path) -> None:
    path = write_npy(tmp_path / 'long.npy', b'\x80\x04\x8e' + struct.pack('<Q', 1 << 40) + b'x')
    with pytest.raises(UserError, match='ends too early'):
        load_object_array(path)


def test_truncated_wrong_and_missing_files(tmp_path: Path) -> None:
    whole = pickle.dumps(object_array([np.zeros(100)]), protocol=2)
    for cut in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(UserError, match=r'cut\.npy'):
            load_object_array(write_npy(tmp_path / 'cut.npy', whole[:cut]))
    (tmp_path / 'text.npy').write_text('video,label\n')
    with pytest.raises(UserError, match=r'text\.npy'):
        load_object_array(tmp_path / 'text.npy')
    with pytest.raises(UserError, match='no such file'):
        load_object_array(tmp_path / 'none.npy')


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_corrupt_files_give_a_user_error_or_an_array(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    payload = bytearray(
        pickle.dumps(object_array([np.zeros(3), [b'a', 1.0]]), protocol=data.draw(st.sampled_from([2, 4])))
    )
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    path = write_npy(tmp_path_factory.mktemp('corrupt') / 'a.npy', bytes(payload), (2,))
    with contextlib.suppress(UserError):  # any other exception fails the test
        assert isinstance(load_object_array(path), np.ndarray)


@pytest.mark.parametrize('protocol', [2, 4])
def test_visiting_keeps_one_array_in_memory(tmp_path: Path, protocol: int) -> None:
    rng = np.random.default_rng(0)
    items = [rng.standard_normal((500, 256)).astype(np.float32) for _ in range(24)]
    path = write_npy(tmp_path / 'joint.npy', pickle.dumps(object_array(items), protocol=protocol), (24,))
    sums: list[float] = []
    tracemalloc.start()
    result = load_object_array(path, visit=lambda array: sums.append(float(array.sum(dtype=np.float64))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sums == [float(item.sum(dtype=np.float64)) for item in items]
    assert all(item.size == 0 for item in result)
    # one array is 0.5 MB, the file 12 MB; protocol 2 of Python 3 holds bytes as text, which takes some copies.
    assert peak < 8 * items[0].nbytes


def test_real_annotations(shared_data: Path) -> None:
    folder = shared_data / 'thumos14' / 'Thumos14reduced-Annotations'
    for name in ('labels', 'labels_all', 'segments', 'classlist', 'duration'):
        ours = load_object_array(folder / f'{name}.npy')
        theirs = np.load(folder / f'{name}.npy', allow_pickle=True, encoding='bytes')
        assert ours.dtype == theirs.dtype
        assert (ours == theirs).all()


@pytest.mark.parametrize('header', [b'{' * 31, b"{'descr': (" + b'(' * 20, b"{'descr': '|O', 'shape': \0"])
def test_a_header_that_is_no_python(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / 'a.npy'
    path.write_bytes(b'\x93NUMPY\x01\x00\x20\x00' + header.ljust(31) + b'\n')
    for read in (load_object_array, read_object_array_shape):
        with pytest.raises(UserError, match=r'a\.npy: expected a \.npy file'):
            read(path)
