# CO2-Net on THUMOS14. Source of every value: the command in the README of harlanhong/MM2021-CO2-Net:
# --max-seqlen 500 --lr 0.00005 --k 7 --max-iter 5000 --weight_decay 0.001 --seed 3552, other options at their defaults
# (batch of 10 with 3 pairs). Its line for training says 20,000 iterations; 5,000 is the line that makes its checkpoint.
# The published code evaluates on the test split every 200 iterations and keeps the best: see --select-on-test.
_base_ = [
    '../_base_/datasets/thumos14-i3d.py',
    '../_base_/models/co2net.py',
    '../_base_/schedules/adam_5k.py',
    '../_base_/default_runtime.py',
]
randomness = dict(seed=3552)
