# DELU on THUMOS14. Source of every value: scripts/train_thumos.sh of MengyuanChen21/ECCV2022-DELU: --seed 0
# --max_seqlen 320 --lr 0.00005 --max_iter 5000 --weight_decay 0.001, the losses' options as the base states them, other
# options at their defaults (batch of 10 with 3 pairs). Its evaluation drops detections of one snippet or less after the
# suppression, as the protocol does. The published code evaluates on the test split every 50 iterations and keeps the
# best: see --select-on-test.
_base_ = [
    '../_base_/datasets/thumos14-i3d.py',
    '../_base_/models/delu.py',
    '../_base_/schedules/adam_5k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='random_perturb', length=320),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_evaluator = dict(protocol='wtal_grid_delu')
randomness = dict(seed=0)
