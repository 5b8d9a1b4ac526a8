"""Reading a text file that a person may have written, with clear errors."""

from pathlib import Path

from mmwtal.utils.errors import UserError


def read_text(path: Path, *, what: str) -> str:
    """Read a UTF-8 text file.

    Args:
        path: The file.
        what: What the file is, for messages ("annotation file").

    Raises:
        UserError: If the file is missing or unreadable, or is not UTF-8.
    """
    try:
        # Editors on Windows put a byte order mark in front; "utf-8-sig" accepts the file with and without.
        return path.read_text(encoding='utf-8-sig')
    except FileNotFoundError:
        raise UserError(f'{what} {path} does not exist') from None
    except OSError as error:
        raise UserError(f'{what} {path} cannot be read: {error.strerror or error}') from None
    except UnicodeDecodeError as error:
        raise UserError(f'{what} {path} is not UTF-8 text (byte {error.start}): save it as UTF-8') from None
