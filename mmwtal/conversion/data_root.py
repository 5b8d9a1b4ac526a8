"""Writing a data root: features, their sidecar, annotations and the audit of the conversion.

Every converter writes through this module, so that all data look alike to what reads them. Each file appears under its
name only when it is complete, and ``annotations.json``, without which no dataset loads, comes last.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.audit import ConversionLog, make_audit, shortened
from mmwtal.formats.annotations import video_id_problem
from mmwtal.formats.sidecar import SIDECAR_NAME
from mmwtal.formats.value_audit import non_finite_snippets
from mmwtal.utils.errors import UserError
from mmwtal.utils.files import temporary_name, write_atomically

ANNOTATIONS_NAME = 'annotations.json'
AUDIT_NAME = 'audit.json'
FEATURES_NAME = 'features'
# What datasets read; float64 is converted, since it holds nothing more and takes twice the space.
_KEPT_DTYPES = (np.dtype(np.float16), np.dtype(np.float32))


@dataclass(frozen=True, kw_only=True)
class FeatureFacts:
    """What is known of a feature file.

    Args:
        snippets: T.
        width: D.
        dtype: The dtype on disk, as NumPy names it.
        non_finite: Number of snippets with a NaN or Inf.
    """

    snippets: int
    width: int
    dtype: str
    non_finite: int


def features_problem(features: np.ndarray) -> str | None:
    """Return what keeps an array from being the features of a video; None if nothing does."""
    if features.ndim != 2:
        return f'expected a two-dimensional array (T, D), found shape {features.shape}'
    if not features.size:
        return f'expected snippets, found an empty array of shape {features.shape}'
    if features.dtype.kind != 'f' or features.dtype.itemsize > 8:
        return f'expected float16, float32 or float64, found {features.dtype}'
    return None


def storable(features: np.ndarray) -> np.ndarray:
    """Return features as they are stored: float16 or float32 in native byte order, row by row.

    Args:
        features: (T, D), floating point.

    Returns:
        The same array where nothing has to be changed; float64 becomes float32.
    """
    dtype = features.dtype.newbyteorder('=')
    return np.ascontiguousarray(features, dtype=dtype if dtype in _KEPT_DTYPES else np.float32)


class DataRootWriter:
    """Writes one data root: first the features, video by video, then :meth:`finish`.

    Args:
        root: The folder; made if absent.
        log: What the converter reports; conversions of features are added to it.
        overwrite: Replace what an earlier conversion left at ``root``. Files that the new one does not write stay.
        with_features: Whether features will be written; without, ``features/`` is not touched.
        in_place: The features lie in ``root/features`` already and are adopted where they are.
        adding: The root holds annotations already and only lacks features: ``annotations.json`` stays until
            :meth:`finish` replaces it.

    Raises:
        UserError: If something is there already and ``overwrite`` is not set.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        log: ConversionLog,
        overwrite: bool = False,
        with_features: bool = True,
        in_place: bool = False,
        adding: bool = False,
    ) -> None:
        self.root = Path(root)
        self.log = log
        self.with_features = with_features
        self.facts: dict[str, FeatureFacts] = {}
        self._folder = self.root / FEATURES_NAME
        if self.root.exists() and not self.root.is_dir():
            raise UserError(f'{self.root} is a file: name a folder for the data root')
        names = () if adding else (ANNOTATIONS_NAME, AUDIT_NAME)
        taken = [path for path in (self.root / name for name in names) if path.exists()]
        if with_features and not in_place and self._folder.is_dir() and any(self._folder.iterdir()):
            taken.append(self._folder)
        if taken and not overwrite:
            listed = ', '.join(path.name for path in taken)
            raise UserError(
                f'{self.root} holds {listed} already, from an earlier or interrupted conversion: '
                'name another folder, or add --overwrite to replace them'
            )
        (self._folder if with_features else self.root).mkdir(parents=True, exist_ok=True)
        # From here until finish() nothing at this root looks like a finished one.
        if not adding:
            (self.root / ANNOTATIONS_NAME).unlink(missing_ok=True)

    def feature_path(self, video_id: str) -> Path:
        """Return where a video's features are stored."""
        return self._folder / f'{video_id}.npy'

    def add_features(self, video_id: str, features: np.ndarray) -> None:
        """Store the features of a video.

        Args:
            video_id: Its id.
            features: (T, D), float16, float32 or float64; the last is stored as float32, which the log mentions.

        Raises:
            UserError: If the id cannot be a file name or the array is no feature array.
        """
        problem = video_id_problem(video_id) or features_problem(features)
        if problem:
            raise UserError(f'features of video {video_id!r}: {problem}')
        stored = storable(features)
        if stored.dtype != features.dtype:
            self.log.change(f'features of {video_id}', f'{features.dtype} stored as {stored.dtype}')
        target = self._unlinked(video_id)
        write_atomically(target, lambda file: np.save(file, stored, allow_pickle=False))
        self._remember(video_id, stored)

    def adopt_features(self, video_id: str, source: Path, *, link: bool) -> None:
        """Take over the feature file of a video as it is.

        Args:
            video_id: Its id.
            source: A ``.npy`` file whose array :func:`storable` need not change. May be the destination itself.
            link: Make a symbolic link instead of a copy.
        """
        target = self.feature_path(video_id)
        self._remember(video_id, np.load(source, mmap_mode='r', allow_pickle=False))
        if (target.parent.resolve(), target.name) == (source.parent.resolve(), source.name):
            return
        if link:
            temporary = temporary_name(target)
            temporary.symlink_to(source.resolve())
            temporary.replace(target)
            return
        with source.open('rb') as opened:
            write_atomically(self._unlinked(video_id), lambda file: shutil.copyfileobj(opened, file))

    def forget_features(self, video_ids: Iterable[str]) -> None:
        """Remove the stored features of videos that are left out after all."""
        for video_id in video_ids:
            del self.facts[video_id]
            self.feature_path(video_id).unlink()

    def write_text(self, name: str, text: str) -> None:
        """Store a text file in the root's top folder."""
        write_atomically(self.root / name, lambda file: file.write(text.encode()))

    def finish(
        self,
        *,
        database: Mapping[str, Mapping[str, Any]],
        classes: Sequence[str],
        sidecar: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write the sidecar, the audit and, last, the annotations.

        Args:
            database: ``{video id: {"subset", "duration"?, "annotations", ...}}``; times in seconds.
            classes: The class names, in the order of the class indices.
            sidecar: ``fps``, ``stride``, ``window`` and whatever else ``features.json`` shall state; width and each
                video's number of snippets and duration are filled in. Needed if features were written.

        Returns:
            The audit.

        Raises:
            UserError: If the features are not of one width.
        """
        filled = self._fill_sidecar(sidecar, database) if self.with_features and sidecar is not None else None
        if filled is not None:
            self._note_leftovers()
            self._note_non_finite()
            self.write_text(f'{FEATURES_NAME}/{SIDECAR_NAME}', to_json(filled))
        dtypes = {video_id: facts.dtype for video_id, facts in self.facts.items()}
        audit = make_audit(self.log, database=database, classes=classes, sidecar=filled, dtypes=dtypes)
        self.write_text(AUDIT_NAME, to_json(audit))
        self.write_text(ANNOTATIONS_NAME, to_json({'classes': list(classes), 'database': database}))
        return audit

    def _unlinked(self, video_id: str) -> Path:
        """Return where a video's features go, after removing a link there: its source must stay."""
        target = self.feature_path(video_id)
        if target.is_symlink():
            target.unlink()
        return target

    def _remember(self, video_id: str, features: np.ndarray) -> None:
        snippets, width = features.shape
        spoilt, _ = non_finite_snippets(features)
        dtype = str(features.dtype)
        self.facts[video_id] = FeatureFacts(snippets=snippets, width=width, dtype=dtype, non_finite=spoilt)

    def _fill_sidecar(self, sidecar: Mapping[str, Any], database: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        widths = {facts.width for facts in self.facts.values()}
        if len(widths) != 1:
            raise UserError(f'{self.root}: expected features of one width, found {sorted(widths) or "no features"}')
        videos = dict(sidecar.get('videos', {}))
        for video_id, facts in self.facts.items():
            stated = {key: value for key, value in database[video_id].items() if key == 'duration'}
            videos[video_id] = {**videos.get(video_id, {}), **stated, 'snippets': facts.snippets}
        return {**sidecar, 'width': widths.pop(), 'videos': videos}

    def _note_leftovers(self) -> None:
        left = sorted(path.stem for path in self._folder.glob('*.npy') if path.stem not in self.facts)
        if left:
            self.log.remarks.append(
                f'{len(left)} feature files in {FEATURES_NAME}/ belong to no video: {shortened(left)}'
            )

    def _note_non_finite(self) -> None:
        spoilt = [f'{name} ({facts.non_finite} snippets)' for name, facts in self.facts.items() if facts.non_finite]
        if spoilt:
            self.log.remarks.append(
                f'to mend: NaN or Inf in the features of {len(spoilt)} videos, which no dataset takes: '
                + shortened(spoilt)
            )


def to_json(content: object) -> str:
    """Return content as JSON text, one number or name a line at the outer levels; NaN is an error."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + '\n'
    # File names that are not UTF-8 come as lone surrogates, which only an escape of JSON can hold.
    return text.encode(errors='backslashreplace').decode()
