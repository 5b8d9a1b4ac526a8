# Adam without a learning rate schedule, as CO2-Net and its descendants train.
train_cfg = dict(type='WTALTrainLoop', max_iters=5000)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=5e-5, weight_decay=1e-3))
