"""Losses: pure functions of tensors and their registered wrappers."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
