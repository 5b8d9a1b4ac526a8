"""Packaging of mmwtal; the extras are the files of ``requirements/``."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
REQUIREMENTS = ROOT / 'requirements'

# Ranges, so that a machine keeps its own torch and numpy; the tested versions are in requirements/runtime.txt.
INSTALL_REQUIRES = [
    # The first torch whose weights_only=True keeps a checkpoint from running code (CVE-2025-32434).
    'torch>=2.6',
    'mmengine>=0.10.7,<1',
    'numpy>=1.26',
    'tensorboard>=2.10',
    # Cached vectors of texts, and the lemmas of their words.
    'safetensors>=0.4.3',
    'simplemma>=1.1',
    # mmengine imports pkg_resources, gone from setuptools 82, and distutils, which Python lacks from 3.12 on.
    'setuptools>=77,<82',
    # `import mmcv` is needed too, yet not listed: mmcv and mmcv-lite write the same folder, so a requirement on either
    # would overwrite an installed other one. requirements/runtime.txt takes mmcv-lite; an installed mmcv < 2.2 will do.
]


def version() -> str:
    """Return the version without importing the package, whose requirements are not installed yet."""
    found = re.search(r"^__version__ = '([^']+)'$", (ROOT / 'mmwtal' / 'version.py').read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("mmwtal/version.py must hold one line __version__ = '...'")
    return found[1]


def requirements(name: str) -> list[str]:
    """Return the requirements of a file of ``requirements/``, with those of the files that it includes."""
    found = []
    for line in (REQUIREMENTS / name).read_text().splitlines():
        line = line.split('#')[0].strip()
        if line.startswith('-r'):
            found += requirements(line.removeprefix('-r').strip())
        elif line:
            found.append(line)
    return found


def extras() -> dict[str, list[str]]:
    """Return one extra a file, and ``all``."""
    files = sorted(path for path in REQUIREMENTS.glob('*.txt') if path.name != 'runtime.txt')
    found = {path.stem: requirements(path.name) for path in files}
    return {**found, 'all': sorted({line for lines in found.values() for line in lines})}


setup(
    name='mmwtal',
    version=version(),
    description='Weakly-supervised temporal action localization guided by multimodal LLMs, in OpenMMLab style',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    packages=find_packages(include=['mmwtal', 'mmwtal.*']),
    package_data={'mmwtal.priors': ['prompts/*.txt']},
    python_requires='>=3.11',
    install_requires=INSTALL_REQUIRES,
    extras_require=extras(),
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
