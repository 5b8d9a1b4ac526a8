# A small BaS-Net on the embedded dataset: trains in half a minute on a CPU. Architecture, losses and decoding are the
# published ones, but that videos of class number 0 alone keep their proposals; widths and the schedule are ours, chosen
# for a small model and a short run.
_base_ = [
    '../_base_/datasets/synthetic.py',
    '../_base_/models/basnet.py',
    '../_base_/schedules/adam_b16.py',
    '../_base_/default_runtime.py',
]
model = dict(
    num_classes='auto',
    in_channels='auto',
    backbone=dict(hidden_channels=96, filter_channels=64),
    decoder=dict(skip_lone_first_class=False),
)
train_dataloader = dict(batch_size=16, batch_sampler=dict(num_pairs=0))
train_cfg = dict(max_iters=300)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
log_processor = dict(window_size=20)
