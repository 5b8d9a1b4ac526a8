"""The package as a distribution: requirements, files at the root, and which folder may import which."""

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import setuptools
import yaml
from packaging.requirements import Requirement

import mmwtal

# A folder imports only from itself and from those before it.
ORDER = (
    'utils',
    'structures',
    'formats',
    'conversion',
    'evaluation.functional',
    'offline',
    'video',
    'text_encoders',
    'priors',
    'features',
    'datasets',
    'decoders',
    'models',
    'evaluation',
    'engine',
    'visualization',
    'apis',
    'tools',
)
# Single modules that every folder may import; they import no folder.
COMMON = {'mmwtal', 'mmwtal.version', 'mmwtal.registry'}

# What comes with a requirement: module -> distribution that is declared.
PROVIDED_BY = {
    'cv2': 'mmengine',
    'yaml': 'mmengine',
    'matplotlib': 'mmengine',
    'mmcv': 'mmcv-lite',
    'mmaction': 'mmaction2',
    'tokenizers': 'transformers',
    'pkg_resources': 'setuptools',
}


@pytest.fixture
def metadata(repo_root: Path, monkeypatch: pytest.MonkeyPatch) -> dict:
    """What setup.py passes to setuptools."""
    passed: dict = {}
    monkeypatch.setattr(setuptools, 'setup', passed.update)
    monkeypatch.chdir(repo_root)
    runpy.run_path(str(repo_root / 'setup.py'))
    return passed


def requirement_lines(path: Path) -> list[str]:
    return [line for line in (raw.split('#')[0].strip() for raw in path.read_text().splitlines()) if line]


def pins(path: Path) -> dict[str, Requirement]:
    lines = [line for line in requirement_lines(path) if not line.startswith('-r')]
    return {Requirement(line).name: Requirement(line) for line in lines}


# Distribution


def test_the_version_has_one_source(metadata):
    assert metadata['version'] == mmwtal.__version__
    assert re.fullmatch(r'\d+\.\d+\.\d+\w*', metadata['version'])


def test_extras_are_the_files_of_requirements(metadata, repo_root):
    extras = metadata['extras_require']
    files = {path.stem for path in (repo_root / 'requirements').glob('*.txt')}
    assert set(extras) == files - {'runtime'} | {'all'}
    names = {extra: {Requirement(line).name for line in lines} for extra, lines in extras.items()}
    assert all(names.values())
    assert names['features'] <= names['tests'], 'the line -r features.txt was not followed'
    assert names['all'] == set().union(*(names[extra] for extra in files - {'runtime'}))


def test_included_requirement_files_exist(repo_root):
    folder = repo_root / 'requirements'
    included = [
        line[2:].strip() for path in folder.glob('*.txt') for line in requirement_lines(path) if line[:2] == '-r'
    ]
    assert included
    assert [name for name in included if not (folder / name).is_file()] == []


def test_the_tested_versions_are_pinned_and_inside_the_ranges(metadata, repo_root):
    runtime = pins(repo_root / 'requirements' / 'runtime.txt')
    for path in (repo_root / 'requirements').glob('*.txt'):
        for name, pin in pins(path).items():
            assert name == 'setuptools' or re.fullmatch(r'==[\w.]+', str(pin.specifier)), f'{path.name}: {pin}'
            assert runtime.get(name, pin).specifier == pin.specifier, f'{path.name} contradicts runtime.txt: {pin}'
    for line in metadata['install_requires']:
        wide = Requirement(line)
        pin = runtime[wide.name].specifier
        if wide.name != 'setuptools':
            assert wide.specifier.contains(str(pin).removeprefix('==')), f'{line} excludes the tested {pin}'
            assert '==' not in str(wide.specifier)
    both = pins(repo_root / 'requirements' / 'features.txt')
    assert both['opencv-contrib-python'].specifier == runtime['opencv-python'].specifier


def test_torch_is_pinned_alike_everywhere(repo_root):
    assert str(pins(repo_root / 'requirements' / 'runtime.txt')['torch']) == 'torch==2.13.0'
    assert re.findall(r'torch==\S+', (repo_root / 'Makefile').read_text()) == ['torch==2.13.0']


def test_no_build_of_mmcv_is_forced_upon_a_machine(metadata):
    assert not {'mmcv', 'mmcv-lite'} & {Requirement(line).name for line in metadata['install_requires']}


def test_every_package_and_the_licence_are_distributed(metadata, repo_root):
    folders = {path.parent for path in (repo_root / 'mmwtal').rglob('*.py')}
    assert set(metadata['packages']) == {'.'.join(path.relative_to(repo_root).parts) for path in folders}
    assert metadata['license'] == 'Apache-2.0'
    text = (repo_root / 'LICENSE').read_text()
    for part in ('Version 2.0, January 2004', '9. Accepting Warranty or Additional Liability', 'END OF TERMS'):
        assert part in text
    assert len(text.splitlines()) == 202


def test_files_beside_the_modules_are_distributed(metadata, repo_root):
    stated = {
        path
        for package, patterns in metadata['package_data'].items()
        for pattern in patterns
        for path in repo_root.joinpath(*package.split('.')).glob(pattern)
    }
    there = {
        path for path in (repo_root / 'mmwtal').rglob('*') if path.is_file() and path.suffix not in ('.py', '.pyc')
    }
    assert there == stated
    assert any(path.name == 'system_v1.txt' for path in stated)


# Commands


@pytest.mark.skipif(shutil.which('make') is None, reason='make is not installed')
def test_make_installs_torch_first_and_then_runs(repo_root, tmp_path):
    def plan(target: str) -> str:
        command = ['make', '--dry-run', '--no-print-directory', target, f'VENV={tmp_path / "fresh"}']
        return subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=True).stdout

    steps = {
        'quickstart': ['tools/analysis/ablate.py configs/ablations/quickstart.yml', 'tools/analysis/timeline.py'],
        'test': ['-r requirements/tests.txt', '-m pytest'],
        'lint': ['-r requirements/lint.txt', 'ruff check', 'ruff format --check', 'mypy'],
    }
    install = [
        '-m venv',
        'pip install torch==2.13.0',
        '-r requirements/runtime.txt',
        '--no-deps --no-build-isolation -e .',
    ]
    for target, own in steps.items():
        text = plan(target)
        positions = [text.index(step) for step in install + own]
        assert positions == sorted(positions), text


def test_continuous_integration_runs_the_commands_of_the_readme(repo_root):
    script = repo_root / '.ci' / 'run'
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith(('#', 'set ', 'cd '))]
    assert commands == ['make test', 'make lint']
    assert 'make test' in (repo_root / 'README.md').read_text()


def test_the_hooks_before_a_commit_fetch_nothing(repo_root):
    repositories = yaml.safe_load((repo_root / '.pre-commit-config.yaml').read_text())['repos']
    assert [repository['repo'] for repository in repositories] == ['local']
    hooks = repositories[0]['hooks']
    assert {hook['entry'].split()[0] for hook in hooks} == {'ruff', 'mypy'}
    assert all(hook['language'] == 'system' for hook in hooks)


# Files

LINK = re.compile(r'\[[^\]\n]*\]\(([^)\s]+)(?: "[^"\n]*")?\)')
MACHINE_FOLDER = re.compile(r'(?<![\w.~}$/-])/(?:home|root|tmp|Users|work|mnt)/[\w.]')
PACKAGE_INDEX = re.compile(
    r'pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.org|--(?:extra-)?index-url|--find-\w'
)


def test_the_patterns_find_what_they_are_for():
    for text in ('path = "/' + 'home/me/data"', 'cd /' + 'tmp/x', '/' + 'root/.cache'):
        assert MACHINE_FOLDER.search(text)
    for text in ('pypi' + '.org/simple', '--extra-' + 'index-url x', '--find' + '-links x'):
        assert PACKAGE_INDEX.search(text)
    assert not MACHINE_FOLDER.search('work_dirs/tmp/x ./tmp/x https://site.example/home/x #!/usr/bin/env')


@pytest.fixture
def repo_files(repo_root: Path) -> list[Path]:
    """The files of the repository, committed or about to be."""
    git = shutil.which('git')
    command = [git or 'git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    listing = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False) if git else None
    if listing is None or listing.returncode:
        pytest.skip('not a git checkout')
    files = [repo_root / name for name in listing.stdout.split('\0') if name]
    return [path for path in files if path.is_file()]  # the others are deleted, not committed yet


def broken_links(path: Path) -> list[str]:
    """Return the relative links of a Markdown file that lead to nothing; an anchor is not looked for."""
    targets = LINK.findall(path.read_text(encoding='utf-8'))
    relative = [target.split('#')[0] for target in targets if not re.match(r'#|\w+:', target)]
    return [target for target in relative if not (path.parent / target).exists()]


def test_broken_links_are_found(tmp_path):
    (tmp_path / 'there.md').touch()
    page = tmp_path / 'page.md'
    page.write_text(
        '[a](there.md) [b](there.md#part "title") [c](#part) [d](https://site.example/x) [e](mailto:x@site.example) '
        '![f](gone.png) [g](docs/gone.md#part)\n[h](../there.md)'
    )
    assert broken_links(page) == ['gone.png', 'docs/gone.md', '../there.md']


def test_relative_links_lead_to_files(repo_root, repo_files):
    pages = [path for path in repo_files if path.suffix == '.md']
    assert repo_root / 'README.md' in pages
    assert any(LINK.search(page.read_text(encoding='utf-8')) for page in pages)
    assert {str(page.relative_to(repo_root)): links for page in pages if (links := broken_links(page))} == {}


def test_no_file_names_a_machine_or_a_package_index(repo_root, repo_files):
    faults = []
    for path in repo_files:
        for number, line in enumerate(path.read_text(errors='ignore').splitlines(), 1):
            if MACHINE_FOLDER.search(line) or PACKAGE_INDEX.search(line):
                faults.append(f'{path.relative_to(repo_root)}:{number}: {line.strip()[:100]}')
    assert repo_root / 'setup.py' in repo_files
    assert faults == []


# Imports


def imported_modules(path: Path, root: Path) -> Iterator[str]:
    """Yield the dotted name of every module that a file imports, anywhere in it."""
    package = path.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join((*above, *([node.module] if node.module else [])))
            yield module
            for alias in node.names:  # `from package import module`
                if (target := root / module.replace('.', '/') / alias.name).is_dir() or target.with_suffix(
                    '.py'
                ).is_file():
                    yield f'{module}.{alias.name}'


def layer(module: str) -> int | None:
    """Return the place of a module's folder in ORDER; None for what all may import."""
    if module in COMMON:
        return None
    name = module.removeprefix('mmwtal.')
    found = [folder for folder in ORDER if name == folder or name.startswith(f'{folder}.')]
    assert found, f'{module}: its folder has no place in the order of folders'
    return ORDER.index(max(found, key=len))


def upward_imports(root: Path) -> list[str]:
    faults = []
    for path in sorted([*(root / 'mmwtal').rglob('*.py'), *(root / 'tools').rglob('*.py')]):
        own = '.'.join(path.relative_to(root).with_suffix('').parts).removesuffix('.__init__')
        place = layer(own)
        for module in imported_modules(path, root):
            if module.split('.')[0] in ('mmwtal', 'tools'):
                other = layer(module)
                if other is not None and (place is None or other > place):
                    faults.append(f'{own} imports {module}')
    return faults


def test_a_folder_imports_only_from_those_before_it(repo_root):
    assert upward_imports(repo_root) == []


def test_upward_imports_are_found_however_they_are_written(tmp_path):
    sources = {
        'mmwtal/__init__.py': '',
        'mmwtal/registry.py': 'import mmwtal.version, mmwtal.models',
        'mmwtal/utils/a.py': 'from mmwtal import datasets, registry',
        'mmwtal/datasets/__init__.py': 'from .. import models\nfrom . import b',
        'mmwtal/datasets/b.py': 'def late():\n    from mmwtal.engine.hooks import x\nfrom ..structures import y',
        'mmwtal/models/__init__.py': 'import mmwtal.decoders.nms',
        'mmwtal/evaluation/functional/c.py': 'from mmwtal.evaluation import protocols\nfrom mmwtal.utils import a',
        'mmwtal/evaluation/protocols.py': 'from mmwtal.evaluation.functional import c',
        'tools/train.py': 'from mmwtal.apis import train',
    }
    for name, text in sources.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert upward_imports(tmp_path) == [
        'mmwtal.datasets imports mmwtal.models',
        'mmwtal.datasets.b imports mmwtal.engine.hooks',
        'mmwtal.evaluation.functional.c imports mmwtal.evaluation',
        'mmwtal.evaluation.functional.c imports mmwtal.evaluation.protocols',
        'mmwtal.registry imports mmwtal.models',
        'mmwtal.utils.a imports mmwtal.datasets',
    ]


def test_every_package_that_is_imported_is_declared(metadata, repo_root):
    lines = [*metadata['install_requires'], *metadata['extras_require']['all']]
    declared = {Requirement(line).name for line in lines} | set(pins(repo_root / 'requirements' / 'runtime.txt'))
    modules = {
        module.split('.')[0]
        for folder in ('mmwtal', 'tools')
        for path in (repo_root / folder).rglob('*.py')
        for module in imported_modules(path, repo_root)
    }
    third_party = modules - sys.stdlib_module_names - {'mmwtal', 'tools'}
    assert {'torch', 'mmengine', 'numpy'} <= third_party
    undeclared = {name for name in third_party if PROVIDED_BY.get(name, name) not in declared}
    assert undeclared == set()
