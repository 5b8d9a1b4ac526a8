# A small UM on the embedded dataset: trains in half a minute on a CPU. Architecture, losses and decoding are the
# published ones; width, the margin of the magnitude loss and the schedule are ours, chosen for a small model and a
# short run (the published margin of 100 belongs to embeddings 2,048 wide).
_base_ = [
    '../_base_/datasets/synthetic.py',
    '../_base_/models/um.py',
    '../_base_/schedules/adam_b16.py',
    '../_base_/default_runtime.py',
]
model = dict(
    num_classes='auto',
    in_channels='auto',
    backbone=dict(hidden_channels=128),
    head=dict(losses=dict(loss_um=dict(margin=10.0))),
)
train_dataloader = dict(batch_size=16, batch_sampler=dict(num_pairs=0))
train_cfg = dict(max_iters=300)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
log_processor = dict(window_size=20)
