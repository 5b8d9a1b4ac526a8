"""The training loop, hooks and checkpoints."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
