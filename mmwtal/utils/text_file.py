"""Reading a text file that a person may have written, with clear errors."""

from pathlib import Path

from mmwtal.utils.errors import UserError


def read_lines(path: Path, *, what: str) -> list[str]:
    """Return the lines of a UTF-8 text file; a byte order mark in front is accepted.

    Args:
        path: The file.
        what: What the file is, for messages ("video list").

    Raises:
        UserError: If the file is missing or unreadable, or is not UTF-8.
    """
    try:
        return path.read_text(encoding='utf-8-sig').splitlines()
    except FileNotFoundError:
        raise UserError(f'{what} {path} does not exist') from None
    except OSError as error:
        raise UserError(f'{what} {path} cannot be read: {error.strerror or error}') from None
    except UnicodeDecodeError as error:
        raise UserError(f'{what} {path} is not UTF-8 text (byte {error.start}): save it as UTF-8') from None
