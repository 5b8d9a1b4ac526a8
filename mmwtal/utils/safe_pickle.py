"""Reading pickled NumPy object arrays (``.npy`` files with dtype object) without running what the file names.

A pickle is a small program that may call any function it names. Released annotation and feature sets are such files,
so this reader admits the names that NumPy's own arrays are pickled with, and even those it does not hand to the file:
it rebuilds arrays itself from plain data types, so that a forged dtype cannot reach memory either.
"""

import io
import math
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, NoReturn, TypeVar

import numpy as np

from mmwtal.utils.errors import UserError

ArrayVisitor = Callable[[np.ndarray], None]
_Content = TypeVar('_Content')

# bool, integers, floats, complex, bytes, str, object; no structures, dates or user types.
_PLAIN_DTYPE = re.compile(r'[<>|=]?[biufcSUO]\d*')
# What lies in a pickle's memo and is longer than this belongs to one array and is never referred to again.
_LONG = 1024


class _Dtype:
    """Stands for ``numpy.dtype`` while its state (the byte order) is still to come."""

    def __init__(self, name: Any, _align: Any = False, _copy: Any = False) -> None:
        text = name.decode('ascii') if isinstance(name, bytes) else name
        if not isinstance(text, str) or not _PLAIN_DTYPE.fullmatch(text):
            raise pickle.UnpicklingError(f'the data type {name!r} is none of bool, number, bytes, str, object')
        self.dtype = np.dtype(text)

    def set_state(self, state: Any) -> None:
        _version, order, subtype, names, fields, *_sizes_and_flags = state
        if subtype is not None or names is not None or fields is not None:
            raise pickle.UnpicklingError('structured data types are not admitted')
        order = order.decode('ascii') if isinstance(order, bytes) else order
        if order in ('<', '>'):
            self.dtype = np.dtype(order + self.dtype.str[1:])


def _empty_array(_subtype: Any, _shape: Any, _typecode: Any) -> np.ndarray:
    return np.empty(0, dtype=np.uint8)


def _scalar(dtype: _Dtype, data: bytes) -> Any:
    if dtype.dtype.hasobject or len(data) != dtype.dtype.itemsize:
        raise pickle.UnpicklingError(f'a scalar of type {dtype.dtype} cannot be made of {len(data)} bytes')
    return np.frombuffer(data, dtype=dtype.dtype)[0]


def _encode_latin1(text: str, encoding: str) -> bytes:
    if encoding not in ('latin1', b'latin1'):
        raise pickle.UnpicklingError(f'bytes encoded as {encoding!r}')
    return text.encode('latin1')


def _empty_bytes() -> bytes:
    return b''


def _ndarray(*_args: Any) -> NoReturn:
    raise pickle.UnpicklingError('numpy.ndarray is called, which no saved array does')


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ('numpy', 'ndarray'): _ndarray,
    ('numpy', 'dtype'): _Dtype,
    ('_codecs', 'encode'): _encode_latin1,  # how Python 3 writes bytes in protocol 2
    ('__builtin__', 'bytes'): _empty_bytes,
    ('builtins', 'bytes'): _empty_bytes,
}
for _core in ('numpy.core.multiarray', 'numpy._core.multiarray'):  # before and since NumPy 2
    _ADMITTED[_core, '_reconstruct'] = _empty_array
    _ADMITTED[_core, 'scalar'] = _scalar

# Ways to make objects that no array needs; a pickle that holds one of them is refused.
_REFUSED_OPCODES = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.PERSID, pickle.BINPERSID),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


class _BoundedReader(io.RawIOBase):
    """A file that refuses to read past its end, so that a forged length allocates nothing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size - file.tell()

    def read(self, size: int = -1, /) -> bytes:
        if not 0 <= size <= self._left:
            raise pickle.UnpicklingError('the file ends too early')
        self._left -= size
        return self._file.read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self._file.readline()
        self._left -= len(line)
        return line


# The interpreter's Python version: the C version holds every byte that it read until the end (its memo cannot be
# trimmed), which for joint features means twice the file in memory. A feature file has few opcodes, so speed is equal.
class _ArrayUnpickler(pickle._Unpickler):
    memo: dict[int, Any]
    stack: list[Any]
    dispatch = {key: load for key, load in pickle._Unpickler.dispatch.items() if bytes([key]) not in _REFUSED_OPCODES}

    def __init__(self, file: BinaryIO, visit: ArrayVisitor | None) -> None:
        super().__init__(_BoundedReader(file), encoding='bytes')
        self._visit = visit

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f'it asks for {module}.{name}, which no array needs: a malicious file?')
        return _ADMITTED[module, name]

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, _Dtype):
            target.set_state(state)
        elif isinstance(target, np.ndarray):
            self._fill(target, state)
        else:
            raise pickle.UnpicklingError(f'a state for a {type(target).__name__}')

    def _fill(self, array: np.ndarray, state: Any) -> None:
        *_version, shape, stand_in, fortran, data = state
        dtype, size = stand_in.dtype, math.prod(shape)
        length = size if dtype.hasobject else size * dtype.itemsize
        if not isinstance(data, list if dtype.hasobject else bytes) or len(data) != length:
            raise pickle.UnpicklingError(f'an array of shape {shape} and type {dtype} whose data do not fill it')
        if self._visit is None or dtype.hasobject:
            array.__setstate__((1, shape, dtype, bool(fortran), data))  # type: ignore[arg-type]
        elif isinstance(data, bytes):
            self._visit(np.frombuffer(data, dtype=dtype).reshape(shape, order='F' if fortran else 'C'))
            self._release(array)

    def _release(self, array: np.ndarray) -> None:
        """Forget the data of the array that was just visited: all that was put in the memo after the array itself."""

        def is_long(value: Any) -> bool:
            return isinstance(value, bytes | str) and len(value) > _LONG

        for key in reversed(self.memo):
            value = self.memo[key]
            if value is array:
                return
            if is_long(value) or (isinstance(value, tuple) and any(map(is_long, value))):
                self.memo[key] = None

    dispatch[pickle.BUILD[0]] = load_build  # type: ignore[assignment]


def load_object_array(path: str | Path, *, visit: ArrayVisitor | None = None) -> np.ndarray:
    """Load a ``.npy`` file whose elements may be pickled, running nothing that the file names.

    Admitted are arrays and scalars of plain data types, nested in lists, tuples, dicts, sets, numbers and strings;
    pickles of Python 2 too, whose strings become bytes. A file without pickled elements is read as it is.

    Args:
        path: The file.
        visit: Called with every inner array of numbers or strings (read-only) in the order in which the file holds
            them. Its data are released afterwards and an empty array takes its place in the result, so that a file of
            several GB is read in one pass with the memory of its largest array.

    Returns:
        The array, of the shape and order that the header states.

    Raises:
        UserError: If the file is missing, is no ``.npy`` file, is truncated or holds anything else.
    """
    return _read(Path(path), lambda file: _load(file, visit))


def read_object_array_shape(path: str | Path) -> tuple[int, ...]:
    """Return the shape of a ``.npy`` file of pickled elements from its header alone.

    Raises:
        UserError: If the file is missing or is no such file.
    """

    def shape_of(file: BinaryIO) -> tuple[int, ...]:
        shape, dtype = _read_header(file)
        if not dtype.hasobject:
            raise ValueError(f'it holds {dtype} instead of an array of arrays')
        return shape

    return _read(Path(path), shape_of)


def _read(path: Path, read: Callable[[BinaryIO], _Content]) -> _Content:
    """Open a file and read it; whatever a spoilt one leads to becomes a UserError."""
    try:
        with path.open('rb') as file:
            return read(file)
    except FileNotFoundError as error:
        raise UserError(f'{path}: no such file') from error
    except OSError as error:
        raise UserError(f'{path}: cannot be read: {error.strerror or error}') from error
    except (
        *(pickle.UnpicklingError, EOFError, IndexError, KeyError, struct.error, ArithmeticError),
        *(TypeError, ValueError, AttributeError, RecursionError, MemoryError),
        *(SyntaxError, TokenError),  # of a spoilt header, which NumPy parses as a Python literal
    ) as error:
        raise UserError(
            f'{path}: expected a .npy file of arrays, numbers and strings, but it cannot be read as one: {error}. '
            'Nothing in it was executed. Fetch the file again from its source.'
        ) from error


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f'.npy version {version} is only used for structured data types')
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _fortran, dtype = read_header(file)
    return shape, dtype


def _load(file: BinaryIO, visit: ArrayVisitor | None) -> np.ndarray:
    shape, dtype = _read_header(file)
    if not dtype.hasobject:
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    array = _ArrayUnpickler(file, visit).load()
    if not isinstance(array, np.ndarray) or not array.dtype.hasobject or array.size != math.prod(shape):
        raise ValueError(f'the header promises an object array of shape {shape}')
    return array.reshape(shape)
