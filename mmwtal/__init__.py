"""mmwtal: weakly-supervised temporal action localization guided by multimodal LLMs.

Importing the package imports nothing heavy: the registries import the modules that they hold at the first look-up.
"""

from mmwtal.version import __version__

__all__ = ['__version__']
