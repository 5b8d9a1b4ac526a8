"""Packages that only some uses need: imported where they are used, with the command that installs a missing one."""

from importlib import import_module
from types import ModuleType

from mmwtal.utils.errors import UserError


def require(module: str, extra: str) -> ModuleType:
    """Import a module of a package that an extra installs.

    Args:
        module: Its dotted name.
        extra: The extra, as ``requirements/`` names it.

    Raises:
        UserError: If the package is not installed; an import that fails inside it is passed on as it is.
    """
    try:
        return import_module(module)
    except ImportError as error:
        if error.name is None or error.name.partition('.')[0] != module.partition('.')[0]:
            raise
        raise UserError(f'{module} is not installed: pip install "mmwtal[{extra}]"') from error
