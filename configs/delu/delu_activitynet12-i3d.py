# DELU on ActivityNet 1.2. Source of the values: scripts/train_activitynet.sh of MengyuanChen21/ECCV2022-DELU:
# --use_model DELU_ACT --seed 0 --lr 3e-5 --max_seqlen 60 --max_iter 22000, the losses' options as the base states them,
# other options at their defaults (weight decay 5e-4, batch of 10 with 3 pairs).
# The published evaluation rounds times to the 25 / 16 snippet grid and drops detections of one snippet or less;
# protocol='wtal_grid_delu' does too.
_base_ = [
    '../_base_/datasets/activitynet12-i3d.py',
    '../_base_/models/delu_activitynet.py',
    '../_base_/schedules/adam_22k.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=0)
