# What the quick configs share: the embedded dataset, and a run of half a minute on a CPU. All values are ours.
_base_ = ['./datasets/synthetic.py', './schedules/adam_5k.py', './default_runtime.py']

train_cfg = dict(max_iters=300)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
default_hooks = dict(checkpoint=dict(interval=100), logger=dict(interval=20))
log_processor = dict(window_size=20)
