# DDG-Net on THUMOS14. Source of every value: train_thumos.sh of XiaojunTang22/ICCV2023-DDGNet:
# --max_seqlen 320 --lr 0.00005 --k 7 --max_iter 5000 --weight_decay 0.001 --seed 0, the weights of the losses (see the
# model's fragment), other options at their defaults (batch of 10 with 3 pairs).
# The published code makes no predictions for test videos 270, 1292 and 1496, whose instances then count as missed:
# protocol='wtal_grid_ddgnet' does so, too. It evaluates on the test split every 50 iterations and keeps the best: see
# --select-on-test.
_base_ = [
    '../_base_/datasets/thumos14-i3d.py',
    '../_base_/models/ddgnet.py',
    '../_base_/schedules/adam_5k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='random_perturb', length=320),
            dict(type='PackWTALInputs'),
        ]
    )
)
test_evaluator = dict(protocol='wtal_grid_ddgnet')
randomness = dict(seed=0)
