# BaS-Net on THUMOS14. Source of every value: options.py, config.py and main.py of Pilhyeon/BaSNet-pytorch (its run.sh
# sets none): 1,500 steps of a batch of 16, Adam 1e-4, weight decay 5e-4, 750 snippets, --seed -1 (none).
# The published code tests after every step and keeps the step that is best on the test split, and averages tIoU .1 to
# .9; the paper states .1 to .7.
_base_ = [
    '../_base_/datasets/thumos14-i3d_t750.py',
    '../_base_/models/basnet.py',
    '../_base_/schedules/adam_b16.py',
    '../_base_/default_runtime.py',
]
train_cfg = dict(max_iters=1500)
