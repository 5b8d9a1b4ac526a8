# Adam without a learning rate schedule and a batch of 16, as BaS-Net and UM train; a leaf sets max_iters.
train_cfg = dict(type='WTALTrainLoop', max_iters=10000)
# --auto-scale-lr scales the learning rate by the batch of all processes together against this one.
auto_scale_lr = dict(base_batch_size=16, enable=False)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, weight_decay=5e-4))
