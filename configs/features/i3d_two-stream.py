# The two-stream I3D, of which the field's released features are made: 1024 channels of RGB, 1024 of TV-L1 flow.
# docs/features.md says what is known of how those were made, and what is not.
# Weights: flow_imagenet.pt beside those of RGB. TV-L1 takes most of the time, about 10 s of a core for a snippet: set
# job.decoders to the number of cores, or take flow that a GPU computed (FlowFrames).
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
                flow=dict(type='TVL1Flow'),
            ),
        ]
    ),
    decoders=4,
    # TV-L1 of a batch of snippets takes minutes.
    decode_timeout=3600.0,
)
