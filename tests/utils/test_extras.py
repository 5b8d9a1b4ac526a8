"""Packages of extras: a missing one is said with the command that installs it."""

import sys
from pathlib import Path

import pytest

from mmwtal.utils.errors import UserError
from mmwtal.utils.extras import require


def test_what_is_there_is_imported() -> None:
    assert require('json.decoder', 'x').__name__ == 'json.decoder'


@pytest.mark.parametrize('name', ['not_there_at_all', 'not_there_at_all.inner'])
def test_what_is_missing_is_said(name: str) -> None:
    with pytest.raises(UserError, match=rf'^{name} is not installed: pip install "mmwtal\[scale\]"$'):
        require(name, 'scale')


def test_a_fault_inside_a_package_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'faulty_extra.py').write_text('import not_there_at_all')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match='not_there_at_all'):
        require('faulty_extra', 'scale')
    sys.modules.pop('faulty_extra', None)
