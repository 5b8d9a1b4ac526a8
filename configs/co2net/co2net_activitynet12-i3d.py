# CO2-Net on ActivityNet 1.2. Source of the values: the training line for it in run.sh of harlanhong/MM2021-CO2-Net:
# --use-model ANT_CO2 --k 5 --lr 3e-5 --max-seqlen 60 --seed 3552 --max-iter 22000, other options at their defaults
# (weight decay 5e-4, batch of 10 with 3 pairs, weights of the losses as for THUMOS14).
# The published evaluation rounds times to the 25 / 16 snippet grid; protocol='wtal_grid' does too.
_base_ = [
    '../_base_/datasets/activitynet12-i3d.py',
    '../_base_/models/co2net_activitynet.py',
    '../_base_/schedules/adam_22k.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=3552)
