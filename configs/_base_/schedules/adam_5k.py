# Adam without a learning rate schedule, as CO2-Net and its descendants train.
train_cfg = dict(type='WTALTrainLoop', max_iters=5000)
# --auto-scale-lr scales the learning rate by the batch of all processes together against this one.
auto_scale_lr = dict(base_batch_size=10, enable=False)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-5, weight_decay=1e-3))
