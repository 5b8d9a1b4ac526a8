# The two-stream I3D on DIS flow, which plain OpenCV computes many times faster than TV-L1. The network was trained on
# TV-L1 flow: its features are not those of i3d_two-stream.py, so train and test on one kind.
_base_ = ['../_base_/jobs/features.py']

job = dict(
    extractor=dict(
        streams=[
            dict(
                name='rgb',
                backbone=dict(type='InceptionI3D', modality='rgb', weights='weights/rgb_imagenet.pt'),
            ),
            dict(
                name='flow',
                backbone=dict(type='InceptionI3D', modality='flow', weights='weights/flow_imagenet.pt'),
                flow=dict(type='DISFlow', preset='medium'),
            ),
        ]
    ),
)
