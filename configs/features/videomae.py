# VideoMAE-B, fine-tuned on Kinetics-400, by transformers: 768 channels of RGB.
_base_ = ['../_base_/jobs/features.py']

job = dict(
    extractor=dict(
        streams=[
            dict(
                name='rgb',
                backbone=dict(type='TransformersVideo', model='MCG-NJU/videomae-base-finetuned-kinetics'),
            )
        ]
    )
)
