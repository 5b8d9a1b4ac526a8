"""Writes the inputs to disk once, in the layout of each side."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import material
from mmwtal.utils.errors import UserError
from tools.dataset_converters.thumos14 import read_columns

ROOT = Path(__file__).resolve().parents[1]
DONE = 'complete'


def prepare(scratch: Path, checkout: Path) -> None:
    """Write all inputs below ``scratch``, unless an earlier run did: about 2.3 GB.

    Args:
        scratch: Gets ``authors/`` (their layout), ``mmwtal/`` (a data root), sequences and detections.
        checkout: An authors' checkout, for its annotation files.

    Raises:
        UserError: If the checkout has no annotations or they cannot be converted.
    """
    if (scratch / DONE).is_file():
        return
    source = checkout / material.AUTHORS_ANNOTATIONS
    columns = read_columns(source)
    authors = scratch / 'authors'
    shutil.rmtree(authors, ignore_errors=True)
    shutil.copytree(source, authors / source.name)
    names = [name.decode() for name in columns['videoname']]
    lengths = dict(zip(names, _snippets(columns['duration']), strict=True))
    joint = np.empty(len(names), dtype=object)
    for place, name in enumerate(names):
        joint[place] = material.features(name, lengths[name])
    np.save(authors / material.AUTHORS_FEATURES, joint, allow_pickle=True)
    del joint
    _convert(authors, scratch / 'mmwtal')
    content = material.read_database(scratch / 'mmwtal')
    test = {name: lengths[name] for name, entry in content['database'].items() if entry['subset'] == 'test'}
    material.save_sequences(scratch / 'sequences.npz', material.sequences(test))
    np.savez(scratch / 'detections.npz', **material.detections(content['database'], content['classes'], test))  # type: ignore[arg-type]
    (scratch / DONE).touch()


def _snippets(duration: np.ndarray) -> list[int]:
    return np.rint(duration.ravel() * material.FPS / material.STRIDE).astype(int).tolist()


def _convert(authors: Path, out: Path) -> None:
    tool = 'tools.dataset_converters.thumos14'
    command = [sys.executable, '-m', tool, str(authors / material.AUTHORS_ANNOTATIONS), str(out), '--overwrite']
    command += ['--features', str(authors / material.AUTHORS_FEATURES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise UserError(f'the inputs cannot be converted: {done.stderr.strip().splitlines()[-1]}')
