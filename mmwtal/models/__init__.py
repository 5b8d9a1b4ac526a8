"""Localizers and what they are composed of."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
