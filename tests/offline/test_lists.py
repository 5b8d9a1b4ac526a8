"""Lists of videos are cut where they are long, and say how many there are."""

from mmwtal.offline.lists import alike, counted_lines


def test_lists_are_cut() -> None:
    assert counted_lines('videos', []) == []
    assert counted_lines('videos', list('abcdefghijkl'))[-2:] == ['  j', '  ... and 2 more']
    assert alike(['a', 'b']) == 'a = b'
    assert alike([f'v{number}' for number in range(3000)]).endswith('v9 = 2990 more')
