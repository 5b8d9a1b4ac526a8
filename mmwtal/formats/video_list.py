"""Reading a list of video ids, such as the videos of ActivityNet that can no longer be had ("blocked" videos)."""

from pathlib import Path

from mmwtal.utils.errors import UserError
from mmwtal.utils.files import read_text
from mmwtal.utils.json_file import load_json


def read_video_list(path: Path) -> tuple[str, ...]:
    """Read video ids from a JSON file or a text file.

    Args:
        path: A ``.json`` file that holds a list of ids, or an object whose keys they are; any other file holds one id a
            line, where blank lines and lines that start with ``#`` are skipped.

    Returns:
        The ids without repetition, in the order of the file.

    Raises:
        UserError: If the file cannot be read or holds something else.
    """
    if path.suffix.lower() == '.json':
        content = load_json(path, what='video list')
        if not isinstance(content, list | dict) or not all(isinstance(video_id, str) for video_id in content):
            raise UserError(
                f'video list {path}: expected a JSON list of ids, or an object by id, found {content!r:.80}'
            )
        return tuple(dict.fromkeys(content))
    lines = [line.strip() for line in read_text(path, what='video list').splitlines()]
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith('#')))
