"""What runs a multimodal language model, one file an engine."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
