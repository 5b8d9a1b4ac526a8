"""Opening feature stores: an HDF5 file, an NPZ archive or a folder of ``.npy`` files, one array a video each.

A store is asked by name. ``head`` tells shape and dtype without reading the values, so that every fault of a store is
known before anything is written. Nothing pickled is ever read.
"""

import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from mmwtal.formats.feature_files import FeatureFileError, map_features, read_npy_header
from mmwtal.utils.errors import UserError

_HDF5_SIGNATURE = b'\x89HDF\r\n\x1a\n'
_ZIP_SIGNATURE = b'PK\x03\x04'
# What a damaged archive raises when a member is read.
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


class FeatureStore(ABC):
    """Arrays by name. To be used in a ``with`` statement.

    Args:
        path: The file or folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> 'FeatureStore':
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names at the top of the store."""

    @abstractmethod
    def head(self, name: str) -> np.ndarray | str | None:
        """Return an array of zeros with the shape and dtype of the named one that takes no memory.

        Args:
            name: Its name.

        Returns:
            The array; what is wrong with it; or None if there is none of that name.
        """

    @abstractmethod
    def read(self, name: str) -> np.ndarray:
        """Return the named array.

        Raises:
            UserError: If its values cannot be read.
        """

    def top(self, name: str) -> str:
        """Return which of :meth:`names` a name belongs to."""
        return name

    @abstractmethod
    def close(self) -> None:
        """Release the file."""


def open_store(path: Path) -> FeatureStore:
    """Open a store, recognised by what it is, not by its name.

    Args:
        path: An HDF5 file, an NPZ archive or a folder of ``.npy`` files.

    Raises:
        UserError: If it is none of these, cannot be read, or needs a package that is not installed.
    """
    if path.is_dir():
        return FolderStore(path)
    try:
        with path.open('rb') as file:
            start = file.read(8)
    except FileNotFoundError:
        raise UserError(f'feature store {path} does not exist') from None
    except OSError as error:
        raise UserError(f'feature store {path} cannot be read: {error.strerror or error}') from None
    if start == _HDF5_SIGNATURE:
        return Hdf5Store(path)
    if start[:4] == _ZIP_SIGNATURE:
        return NpzStore(path)
    raise UserError(
        f'feature store {path}: expected an HDF5 file, an .npz archive of numpy.savez or a folder of .npy files; the '
        f'file starts with {start!r}'
    )


class FolderStore(FeatureStore):
    """A folder of ``NAME.npy``."""

    def names(self) -> list[str]:
        """See :class:`FeatureStore`."""
        return sorted(path.relative_to(self.path).with_suffix('').as_posix() for path in self.path.rglob('*.npy'))

    def head(self, name: str) -> np.ndarray | str | None:
        """See :class:`FeatureStore`."""
        if not self._file(name).is_file():
            return None
        try:
            values = map_features(self._file(name))
        except FeatureFileError as error:
            return str(error)
        return _zeros(values.shape, values.dtype)

    def read(self, name: str) -> np.ndarray:
        """See :class:`FeatureStore`."""
        try:
            return map_features(self._file(name))
        except FeatureFileError as error:
            raise UserError(str(error)) from None

    def close(self) -> None:
        """See :class:`FeatureStore`; every array was opened by itself."""

    def _file(self, name: str) -> Path:
        return self.path / f'{name}.npy'


class NpzStore(FeatureStore):
    """An archive as ``numpy.savez`` writes it, compressed or not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            self._archive = zipfile.ZipFile(path)
        except _ARCHIVE_ERRORS as error:
            raise UserError(f'feature store {path} is not a sound .npz archive: {error}') from None
        self._members = {name.removesuffix('.npy'): name for name in self._archive.namelist() if name.endswith('.npy')}

    def names(self) -> list[str]:
        """See :class:`FeatureStore`."""
        return list(self._members)

    def head(self, name: str) -> np.ndarray | str | None:
        """See :class:`FeatureStore`."""
        if name not in self._members:
            return None
        try:
            with self._archive.open(self._members[name]) as file:
                shape, dtype = read_npy_header(file, name)
                size = self._archive.getinfo(self._members[name]).file_size - file.tell()
        except _ARCHIVE_ERRORS as error:
            return f'cannot be read: {error}'
        zeros = _zeros(shape, dtype)
        if not dtype.hasobject and size != zeros.nbytes:
            return f'holds {size} bytes of values, {zeros.nbytes} are expected for {dtype} of shape {shape}'
        return zeros

    def read(self, name: str) -> np.ndarray:
        """See :class:`FeatureStore`."""
        try:
            with self._archive.open(self._members[name]) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except _ARCHIVE_ERRORS as error:
            raise UserError(f'feature store {self.path}: {name} cannot be read: {error}') from None

    def close(self) -> None:
        """See :class:`FeatureStore`."""
        self._archive.close()


class Hdf5Store(FeatureStore):
    """An HDF5 file; a name may lead through groups, as in ``VIDEO/c3d_features``."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._h5py = _h5py(path)
        try:
            self._file = self._h5py.File(path, 'r')
        except OSError as error:
            raise UserError(f'feature store {path} is not a sound HDF5 file: {error}') from None

    def names(self) -> list[str]:
        """See :class:`FeatureStore`."""
        return list(self._file)

    def head(self, name: str) -> np.ndarray | str | None:
        """See :class:`FeatureStore`."""
        try:
            item = self._file.get(name)
        except (OSError, RuntimeError, ValueError) as error:
            return f'cannot be read: {error}'
        if item is None:
            return None
        if not isinstance(item, self._h5py.Dataset):
            inner = ', '.join(list(item)[:5]) or 'nothing'
            return f'is a group that holds {inner}: add the name of the array to --name, after a /'
        if item.shape is None:
            return 'is an empty dataset'
        return _zeros(item.shape, item.dtype)

    def read(self, name: str) -> np.ndarray:
        """See :class:`FeatureStore`."""
        try:
            return np.asarray(self._file[name])
        except (OSError, RuntimeError, KeyError) as error:
            raise UserError(f'feature store {self.path}: {name} cannot be read: {error}') from None

    def top(self, name: str) -> str:
        """See :class:`FeatureStore`."""
        return name.strip('/').partition('/')[0]

    def close(self) -> None:
        """See :class:`FeatureStore`."""
        self._file.close()


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.broadcast_to(np.zeros((), dtype=dtype), shape)


def _h5py(path: Path) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise UserError(f'{path} is an HDF5 file: pip install -r requirements/hdf5.txt ({error})') from None
    return h5py
