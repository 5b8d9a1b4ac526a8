"""Frozen text encoders: from texts to vectors, once, before training."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
