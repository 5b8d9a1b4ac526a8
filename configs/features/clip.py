# CLIP of four frames of each snippet, averaged: 512 channels in the space that pictures and texts share, for snippets of
# the same times as those of i3d_*.py. As a second stream beside I3D (docs/custom_data.md), or alone.
_base_ = ['../_base_/jobs/features.py']

job = dict(
    extractor=dict(
        streams=[
            dict(
                name='clip',
                backbone=dict(type='TransformersImage', model='openai/clip-vit-base-patch32'),
                # Neighbouring frames are much alike.
                frames=4,
            )
        ]
    )
)
