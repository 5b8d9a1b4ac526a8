# Adam without a learning rate schedule, as CO2-Net trains on ActivityNet.
train_cfg = dict(type='WTALTrainLoop', max_iters=22000)
# --auto-scale-lr scales the learning rate by the batch of all processes together against this one.
auto_scale_lr = dict(base_batch_size=10, enable=False)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-5, weight_decay=5e-4))
