"""Prompts: text files with named gaps, built in or a user's own, whose content goes into the fingerprint of a job."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text
from mmwtal.utils.names import did_you_mean

_FOLDER = files('mmwtal.priors') / 'prompts'
_CLIP = ('start', 'end', 'duration')


@dataclass(frozen=True)
class _Gaps:
    needed: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


# What each prompt is for decides which gaps it may have.
_GAPS = {
    'system': _Gaps(),
    'key': _Gaps(('labels',), _CLIP),
    'complete': _Gaps(('label',), _CLIP),
    'join': _Gaps(('label', 'descriptions')),
    'reask': _Gaps(('question', 'problems'), ('reply',)),
    'class': _Gaps(('label',)),
}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt.

    Args:
        name: Its name, with its version.
        text: Its text, with gaps like ``${label}``; a dollar sign is written ``$$``.
    """

    name: str
    text: str
    _template: Template = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, '_template', Template(self.text))

    @property
    def identity(self) -> dict[str, str]:
        """What answers depend on: its name and the hash of its text."""
        return {'name': self.name, 'sha256': hashlib.sha256(self.text.encode()).hexdigest()}

    def fill(self, **values: str) -> str:
        """Return the prompt with its gaps filled; values for gaps that it has not are left out."""
        return self._template.substitute(values)


def built_in_prompts() -> list[str]:
    """Return the names of the prompts that come with the package."""
    return sorted(one.name.removesuffix('.txt') for one in _FOLDER.iterdir() if one.name.endswith('.txt'))


def load_prompt(purpose: str, name: str) -> Prompt:
    """Read a prompt and check its gaps.

    Args:
        purpose: What it is for: ``system``, ``key``, ``complete``, ``join``, ``reask`` or ``class``.
        name: The name of a built-in prompt, or the path of a text file.

    Raises:
        UserError: If there is no such prompt, it cannot be read or is empty, has a gap that its purpose does not fill,
            or lacks one without which nothing would be asked.
    """
    built_in = built_in_prompts()
    if name in built_in:
        found = Prompt(name=name, text=(_FOLDER / f'{name}.txt').read_text(encoding='utf-8').strip())
    elif Path(name).suffix or Path(name).is_file():
        found = Prompt(name=Path(name).stem, text=read_text(Path(name), what=f'{purpose} prompt').strip())
    else:
        raise UserError(
            f'{purpose} prompt {name!r}: no prompt of this name comes with mmwtal and there is no such file'
            f'{did_you_mean(name, built_in)}'
        )
    problem = _problem(found.text, _GAPS[purpose])
    if problem:
        raise UserError(f'{purpose} prompt {name}: {problem}')
    return found


def load_prompts(names: Mapping[str, str]) -> dict[str, Prompt]:
    """Read prompts by purpose; see :func:`load_prompt`.

    Raises:
        UserError: Also if a purpose is unknown.
    """
    for purpose in names:
        if purpose not in _GAPS:
            raise UserError(f'prompts: {purpose!r} is no purpose of a prompt{did_you_mean(purpose, _GAPS)}')
    return {purpose: load_prompt(purpose, name) for purpose, name in names.items()}


def _problem(text: str, gaps: _Gaps) -> str | None:
    """Return what is wrong with the text of a prompt; None if nothing is."""
    template = Template(text)
    if not text:
        return 'is empty'
    if not template.is_valid():
        return 'has a "$" that begins no gap like ${label}; write "$$" for a dollar sign'
    there = template.get_identifiers()
    valid = (*gaps.needed, *gaps.allowed)
    listed = ', '.join(f'${{{one}}}' for one in valid) or 'none'
    strange = [one for one in there if one not in valid]
    if strange:
        return f'has the gap ${{{strange[0]}}}, which nothing fills; its gaps are: {listed}'
    missing = [one for one in gaps.needed if one not in there]
    if missing:
        return f'lacks the gap ${{{missing[0]}}}; its gaps are: {listed}'
    return None
