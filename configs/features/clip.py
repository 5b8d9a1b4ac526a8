# CLIP of four frames of each snippet, averaged: 512 channels in the space that pictures and texts share, of the same
# snippets as those of i3d_*.py. They lie beside these, in OUT/features-clip, as the second stream of guidance
# (docs/custom_data.md); set job.features='features' to have them alone.
_base_ = ['../_base_/jobs/features.py']

job = dict(
    features='features-clip',
    extractor=dict(
        streams=[
            dict(
                name='clip',
                backbone=dict(type='TransformersImage', model='openai/clip-vit-base-patch32'),
                # Neighbouring frames are much alike.
                frames=4,
            )
        ]
    ),
)
