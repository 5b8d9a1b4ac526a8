"""Reading the annotation and feature arrays that W-TALC, CO2-Net and their successors release.

A folder of ``.npy`` files has one entry a video in each, and one file holds the features of all videos in the same
order. Both hold pickled Python objects; they are read without running anything.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.conversion.data_root import DataRootWriter
from mmwtal.formats.annotations import class_names, video_id_problem
from mmwtal.utils.errors import UserError
from mmwtal.utils.json_file import finite_numbers
from mmwtal.utils.safe_pickle import load_object_array, read_object_array_shape

# What the published code of this family takes for granted of all its I3D features.
FPS, STRIDE = 25, 16
_REQUIRED = ('videoname', 'subset', 'duration', 'segments', 'labels', 'labels_all', 'classlist')


def read_columns(folder: Path, *, optional: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Read the annotation arrays, one entry a video each (``classlist``: one a class).

    Args:
        folder: The annotation folder.
        optional: Further arrays that are read where they exist.

    Raises:
        UserError: If an array is missing, or they disagree about the number of videos.
    """
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder: expected a folder such as Thumos14reduced-Annotations')
    missing = [f'{name}.npy' for name in _REQUIRED if not (folder / f'{name}.npy').is_file()]
    if missing:
        raise UserError(f'{folder} lacks {", ".join(missing)}: expected the files of Thumos14reduced-Annotations')
    present = [*_REQUIRED, *(name for name in optional if (folder / f'{name}.npy').is_file())]
    columns = {name: load_object_array(folder / f'{name}.npy') for name in present}
    shapes = {name: column.shape for name, column in columns.items()}
    lengths = {shape[:1] for name, shape in shapes.items() if name != 'classlist'}
    if len(lengths) != 1 or () in shapes.values():
        raise UserError(f'{folder}: expected one entry a video in each array, found the shapes {shapes}')
    return columns


def make_database(
    folder: Path, columns: Mapping[str, np.ndarray], names: Sequence[str], subsets: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the ``database`` of ``annotations.json``.

    Args:
        folder: Where the arrays are from, for messages.
        columns: What :func:`read_columns` returned.
        names: The ids of the videos.
        subsets: Our name of each of the arrays' subsets.

    Raises:
        UserError: For all videos at once whose entries are inconsistent.
    """
    classes = class_list(columns)
    database: dict[str, dict[str, Any]] = {}
    problems = [f'{name} occurs more than once' for name, count in Counter(names).items() if count > 1]
    for i, name in enumerate(names):
        try:
            entry = {key: column[i] for key, column in columns.items() if key != 'classlist'}
            database[name] = _entry(name, entry, classes, subsets)
        except UserError as error:
            problems.append(f'{name}: {error}')
    if problems:
        raise UserError('\n  '.join([f'{folder}: {len(problems)} faulty entries:', *problems]))
    return database


def _entry(name: str, fields: Mapping[str, Any], classes: list[str], subsets: Mapping[str, str]) -> dict[str, Any]:
    """Return the entry of one video; raise a UserError that names all its faults."""
    problems = [problem] if (problem := video_id_problem(name)) else []
    subset = decoded([fields['subset']], 'subset')[0]
    labels, of_video = (decoded(fields[key], key) for key in ('labels', 'labels_all'))
    segments = [finite_numbers([segment], (2,)) for segment in _listed(fields['segments'], 'segments')]
    duration = finite_numbers([np.asarray(fields['duration'], dtype=object).reshape(-1).tolist()], (1,))
    if subset not in subsets:
        problems.append(f'expected the subset {" or ".join(subsets)}, found {subset!r}')
    if len(segments) != len(labels):
        problems.append(f'{len(segments)} segments, but {len(labels)} labels')
    if any(segment is None for segment in segments):
        problems.append('expected [start, end] in seconds as each segment')
    if duration is None or duration[0, 0] <= 0:
        problems.append(f'expected the duration in seconds, found {fields["duration"]}')
    unknown = sorted(set(labels + of_video) - set(classes))
    if unknown:
        problems.append(f'classlist.npy lacks the labels {", ".join(unknown)}')
    if problems or duration is None:
        raise UserError('; '.join(problems))
    times = [segment[0].tolist() for segment in segments if segment is not None]
    return {
        'subset': subsets[subset],
        'duration': float(duration[0, 0]),
        'annotations': [{'label': label, 'segment': time} for label, time in zip(labels, times, strict=True)],
        'labels': of_video,
    }


def class_list(columns: Mapping[str, np.ndarray]) -> list[str]:
    """Return the class names of the arrays, checked."""
    return list(class_names(decoded(columns['classlist'], 'classlist.npy'), origin='classlist.npy'))


def check_joint_features(path: Path, count: int) -> None:
    """Check by its header that a joint feature file has one array a video, before anything is replaced.

    Raises:
        UserError: If it has not.
    """
    shape = read_object_array_shape(path)
    if shape != (count,):
        raise UserError(
            f'{path}: expected one array (T, D) for each of the {count} videos of the annotations, found an array of '
            f'shape {shape}'
        )


def write_joint_features(
    path: Path, database: dict[str, dict[str, Any]], writer: DataRootWriter, *, source: str
) -> dict[str, Any]:
    """Split the joint feature file into one file a video, in one pass with one video in memory.

    Args:
        path: An object array of (T, D), RGB in the first half of the channels and flow in the second; in the order of
            the annotation arrays.
        database: The entries of the videos in that order. A video whose array has no snippet leaves it, which the log
            says: nothing can be learned or predicted from it.
        writer: Takes the features.
        source: Whose features they are, for the sidecar.

    Returns:
        The sidecar.

    Raises:
        UserError: If the file does not hold one feature array a video.
    """
    names = list(database)
    count = 0

    def visit(features: np.ndarray) -> None:
        nonlocal count
        if count == len(names):
            raise UserError(f'{path}: expected features of {count} videos, as the annotations have, found more')
        name = names[count]
        count += 1
        if features.ndim == 2 and not len(features):
            instances = len(database.pop(name)['annotations'])
            writer.log.drop(name, f'its features have no snippet; {instances} instances left with it')
        else:
            writer.add_features(name, features)

    result = load_object_array(path, visit=visit)
    if count != len(names) or result.shape != (count,):
        raise UserError(
            f'{path}: expected one array (T, D) for each of the {len(names)} videos of the annotations, '
            f'found {count} in an array of shape {result.shape}'
        )
    widths = {facts.width for facts in writer.facts.values()}
    width = min(widths, default=0)
    if len(widths) != 1 or width % 2:
        raise UserError(f'{path}: expected features of one even width (RGB and flow), found {sorted(widths)}')
    return joint_sidecar(width // 2, width // 2, source=source)


def joint_sidecar(rgb: int, flow: int, *, source: str) -> dict[str, Any]:
    """Return what ``features.json`` states of RGB channels followed by flow channels, on the time grid of this family.

    Args:
        rgb: Number of RGB channels.
        flow: Number of flow channels.
        source: Whose features they are.
    """
    return {
        'fps': FPS,
        'stride': STRIDE,
        'window': STRIDE,
        'model': f'I3D, RGB and flow, {source}',
        'modalities': {'rgb': [0, rgb], 'flow': [rgb, rgb + flow]},
    }


def decoded(names: Any, origin: str) -> list[str]:
    """Return names as strings: arrays that Python 2 wrote hold bytes.

    Raises:
        UserError: If one is no name; ``origin`` says in the message where they are from.
    """
    try:
        texts = [name.decode() if isinstance(name, bytes) else name for name in _listed(names, origin)]
    except UnicodeDecodeError as error:
        raise UserError(f'{origin}: {error.object!r} is not UTF-8') from error
    for text in texts:
        if not isinstance(text, str) or not text.isprintable() or not text:
            raise UserError(f'{origin}: expected names, found {text!r:.80}')
    return [str(text) for text in texts]


def _listed(value: Any, origin: str) -> list[Any]:
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()
    if not isinstance(value, list | tuple):
        raise UserError(f'{origin}: expected a list, found {value!r:.80}')
    return list(value)
