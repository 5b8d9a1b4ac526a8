# A small random network for pictures and one for optical flow, for models that need both.
_base_ = ['../_base_/jobs/features.py']

job = dict(
    extractor=dict(
        streams=[
            dict(name='rgb', backbone=dict(type='TinyRandom')),
            dict(name='flow', backbone=dict(type='TinyRandom', channels=2), flow=dict(type='DISFlow', preset='fast')),
        ]
    )
)
