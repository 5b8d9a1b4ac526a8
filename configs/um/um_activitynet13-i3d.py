# UM on ActivityNet 1.3. Its repository has no code for it: the values of 1.2, which are ours. Twice the videos and
# classes may ask for more iterations.
_base_ = ['./um_activitynet12-i3d.py']

_data_root = 'data/activitynet13'
_dataset = dict(type='ActivityNet13Dataset', data_root=_data_root)

model = dict(num_classes=200)
train_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
test_evaluator = dict(data_root=_data_root)
