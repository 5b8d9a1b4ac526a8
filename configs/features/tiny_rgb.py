# A small random network: the whole road on a CPU in seconds. Its features say little, and are good for no comparison.
_base_ = ['../_base_/jobs/features.py']

job = dict(extractor=dict(streams=[dict(name='rgb', backbone=dict(type='TinyRandom'))]))
