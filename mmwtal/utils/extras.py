"""Packages that come with an extra, imported where they are used."""

import importlib
from types import ModuleType

from mmwtal.utils.errors import UserError


def require(module: str, extra: str) -> ModuleType:
    """Import a module that an extra brings.

    Args:
        module: Its dotted name.
        extra: The extra of ``pip install "mmwtal[...]"``.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # What the module itself fails to import is another fault, which its own message explains.
        if error.name != module.partition('.')[0]:
            raise
        raise UserError(f'{module} is not installed: pip install "mmwtal[{extra}]"') from None
