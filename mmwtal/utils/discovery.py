"""Finding the modules of a package, so that adding one is adding a file and no list has to be edited."""

import pkgutil
from importlib import import_module


def import_submodules(package: str, path: list[str]) -> None:
    """Import every module and subpackage of a package, in alphabetical order, so that each registers its classes.

    Args:
        package: The ``__name__`` of the package.
        path: Its ``__path__``.
    """
    for module in sorted(pkgutil.iter_modules(path), key=lambda m: m.name):
        import_module(f'{package}.{module.name}')
