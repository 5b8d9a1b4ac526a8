# Text-Segment Mining, the base model of TSM + VLC, alone, on THUMOS14. Source of every value: run.sh of
# lgzlIlIlI/Boosting-WTAL: --max-seqlen 320 --lr 0.00005 --k 7 --max-iter 7001 --weight_decay 0.001 --seed 3552, other
# options at their defaults (batch of 10 with 3 pairs). The guidance has texts and no losses: its class words make the
# classifier. Without them (model.guidance=None) training starts from random vectors in their place.
_base_ = [
    '../_base_/datasets/thumos14-i3d.py',
    '../_base_/models/tsm.py',
    '../_base_/schedules/adam_5k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    guidance=dict(
        type='DualPriorGuidance',
        texts=dict(
            type='PriorTexts',
            data_root='data/thumos14',
            encoder=dict(type='StaticVectors', path='glove.840B.300d.txt'),
            sources=('template',),
        ),
    ),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='random_perturb', length=320),
            dict(type='PackWTALInputs'),
        ],
    ),
)
train_cfg = dict(max_iters=7001)
randomness = dict(seed=3552)
