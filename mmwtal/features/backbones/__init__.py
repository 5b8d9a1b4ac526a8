"""Feature backbones: networks that turn a clip of frames, or of optical flow, into a vector. One file each."""

from mmwtal.utils.discovery import import_submodules

import_submodules(__name__, __path__)
