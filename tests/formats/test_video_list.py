from pathlib import Path

import pytest

from mmwtal.formats.video_list import read_video_list
from mmwtal.utils.errors import UserError


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.txt', '\ufeff-b1\n\n# comment\n a \n-b1\r\n'),
        ('a.json', '["-b1", "a", "-b1"]'),
        ('a.JSON', '{"-b1": "copyright", "a": "private"}'),
        ('missing', '-b1\na'),
    ],
)
def test_forms(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_video_list(tmp_path / name) == ('-b1', 'a')


@pytest.mark.parametrize('text', ['"a"', '[1]', '3', 'null'])
def test_json_that_is_no_list_of_ids(tmp_path: Path, text: str) -> None:
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(UserError, match=r'a\.json: expected a JSON list of ids'):
        read_video_list(tmp_path / 'a.json')


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / 'latin.txt').write_bytes('caf\xe9'.encode('latin1'))
    for name, message in (('none.txt', 'does not exist'), ('latin.txt', 'not UTF-8'), ('', 'cannot be read')):
        with pytest.raises(UserError, match=f'video list .*{message}'):
            read_video_list(tmp_path / name)
