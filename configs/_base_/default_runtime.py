# What every run shares. A leaf sets what differs.
default_scope = 'mmwtal'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # The batch sampler needs no epoch: batch n depends on the seed and n alone.
    sampler_seed=None,
    checkpoint=dict(type='WTALCheckpointHook', interval=500, keep=1),
)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=False)
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])

# The backend is used where there is a GPU; several processes on a CPU use gloo.
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork'), dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)
load_from = None
resume = False
