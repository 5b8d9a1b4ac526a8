import codecs

import pytest

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text, write_atomically, write_once


@pytest.mark.parametrize('mark', [b'', codecs.BOM_UTF8])
def test_text_is_read_with_its_line_ends_and_without_a_byte_order_mark(tmp_path, mark):
    path = tmp_path / 'labels.csv'
    path.write_bytes(mark + 'größe\r\nzwei\n\ufeff'.encode())
    assert read_text(path, what='label file') == 'größe\r\nzwei\n\ufeff'


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r'label file .*none\.csv does not exist'):
        read_text(tmp_path / 'none.csv', what='label file')
    with pytest.raises(UserError, match=r'label file .* cannot be read: Is a directory'):
        read_text(tmp_path, what='label file')


def test_another_encoding_is_named_with_its_place(tmp_path):
    path = tmp_path / 'latin.csv'
    path.write_bytes('a\nb,größe\n'.encode('latin-1'))
    with pytest.raises(UserError, match=r'latin\.csv is not UTF-8 text \(line 2, byte 0xf6\): save it as UTF-8'):
        read_text(path, what='label file')


def test_a_device_is_written_into_and_what_a_link_leads_to_is_replaced(tmp_path):
    target, link = tmp_path / 'target', tmp_path / 'link'
    target.write_bytes(b'old')
    link.symlink_to(target)
    write_atomically(link, lambda file: file.write(b'new'))
    assert (target.read_bytes(), link.read_bytes(), link.is_symlink()) == (b'new', b'new', True)
    null = tmp_path / 'null'
    null.symlink_to('/dev/null')
    write_atomically(null, lambda file: file.write(b'gone'))
    assert null.is_symlink()
    assert not list(tmp_path.glob('.*.tmp'))


@pytest.mark.parametrize('links', [True, False])
def test_what_is_there_is_not_written_again(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*paths):
            raise OSError('no hard links here')

        monkeypatch.setattr('mmwtal.utils.files.os.link', refuse)
    path = tmp_path / 'manifest'
    write_once(path, b'first')
    assert path.read_bytes() == b'first'
    if links:
        write_once(path, b'second')
        assert path.read_bytes() == b'first'
    assert [one.name for one in tmp_path.iterdir()] == ['manifest']
