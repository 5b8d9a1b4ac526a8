"""Print, check or write hashes of what stored comparisons refer to: embedded dataset and base models' configs.

They are stored in tests/golden/frozen.json, and a test compares them. To change on purpose what is frozen: --write,
then make all results of configs/quick/results again.

Example: python tools/analysis/frozen.py --check
"""

import argparse
import hashlib
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mmwtal.utils.cli import run_tool
from mmwtal.utils.files import write_atomically
from mmwtal.utils.json_file import read_json_object

REPOSITORY = Path(__file__).resolve().parents[2]
STORED = REPOSITORY / 'tests' / 'golden' / 'frozen.json'
# Features are products of matrices, which machines round differently: compared by figures, to this relative difference.
TOLERANCE = 1e-4
# Every so many videos one's features are summed up.
EVERY = 20


def build_parser() -> argparse.ArgumentParser:
    """Return the tool's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument('--check', action='store_true', help='exit code 1 if anything differs from what is stored')
    mode.add_argument('--write', action='store_true', help=f'store them in {STORED.relative_to(REPOSITORY)}')
    return parser


def main(args: argparse.Namespace) -> int:
    """Print, check or write the hashes."""
    found = fingerprints()
    if args.check:
        changes = differences(read_json_object(STORED, what='frozen hashes'), found)
        print(*changes, sep='\n', end='\n' if changes else '')
        return 1 if changes else 0
    text = json.dumps(found, indent=1) + '\n'
    if args.write:
        write_atomically(STORED, lambda file: file.write(text.encode()))
        print(f'written to {STORED}')
    else:
        print(text, end='')
    return 0


def fingerprints() -> dict[str, Any]:
    """Return the hashes of the embedded dataset as it is written by default and of the base models' quick configs."""
    with tempfile.TemporaryDirectory() as folder:
        return {'dataset': dataset_fingerprint(Path(folder) / 'root'), 'configs': config_hashes()}


def dataset_fingerprint(root: Path) -> dict[str, Any]:
    """Write the embedded dataset with its defaults, and return what identifies it."""
    from mmwtal.datasets.synthetic import TEXTS_NAME, VECTORS_NAME, write_synthetic
    from mmwtal.datasets.synthetic_video import SyntheticConfig

    write_synthetic(root)
    files = ('annotations.json', TEXTS_NAME, VECTORS_NAME)
    features = sorted((root / 'features').glob('*.npy'))[::EVERY]
    return {
        'settings': json.loads(json.dumps(asdict(SyntheticConfig()))),
        'sha256': {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in files},
        'features': {path.stem: feature_figures(np.load(path)) for path in features},
    }


def feature_figures(features: np.ndarray) -> list[float]:
    """Return length, width, standard deviation and two means that depend on the order, of (T, D) features."""
    values = features.astype(np.float64).ravel()
    places = np.arange(values.size)
    weighted = [float(np.abs(values + wave(places)).mean()) for wave in (np.sin, np.cos)]
    return [*map(float, features.shape), *(float(f'{value:.6g}') for value in (values.std(), *weighted))]


def config_hashes() -> dict[str, str]:
    """Return the hash of the quick config of each base model: those named BASE_synthetic, without any guidance."""
    from mmwtal.apis.settings import prepare_config
    from mmwtal.utils.config.digest import config_sha256

    configs = sorted((REPOSITORY / 'configs' / 'quick').glob('*_synthetic.py'))
    return {path.stem: config_sha256(prepare_config(path)) for path in configs if path.stem.count('_') == 1}


def differences(stored: Any, found: Any, path: str = '') -> list[str]:
    """Return a line for each frozen value that is another now, or that is there on one side only."""
    if isinstance(stored, dict) and isinstance(found, dict):
        keys = sorted(stored.keys() | found.keys())
        return [
            line
            for key in keys
            for line in differences(stored.get(key), found.get(key), f'{path}.{key}' if path else key)
        ]
    if path.startswith('dataset.features.') and stored is not None and found is not None:
        same = len(stored) == len(found) and bool(np.allclose(stored, found, rtol=TOLERANCE, atol=0))
    else:
        same = stored == found
    return [] if same else [f'{path}: frozen as {stored}, now {found}']


if __name__ == '__main__':
    run_tool(main, build_parser())
