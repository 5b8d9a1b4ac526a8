# DDG-Net on ActivityNet 1.2. Source of the values: train_activity.sh of XiaojunTang22/ICCV2023-DDGNet:
# --max_seqlen 60 --lr 3e-5 --k 5 --max_iter 22000 --seed 0, the weights of the losses (see the model's fragment), other
# options at their defaults (weight decay 5e-4, batch of 10 with 3 pairs).
# The published evaluation rounds times to the 25 / 16 snippet grid; protocol='wtal_grid' does too.
_base_ = [
    '../_base_/datasets/activitynet12-i3d.py',
    '../_base_/models/ddgnet_activitynet.py',
    '../_base_/schedules/adam_22k.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=0)
