# UM on your own data: give --data-root, the folder that tools/dataset_converters/custom.py wrote. Classes and feature
# width are taken from the data. Values are those of THUMOS14; tune `length` (snippets of a video, in training and at
# test), `max_iters` and the learning rate to yours.
_base_ = ['./um_thumos14-i3d.py']

_data_root = 'data/custom'
_dataset = dict(type='WTALDataset', data_root=_data_root)

model = dict(num_classes='auto', in_channels='auto')
train_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
test_evaluator = dict(data_root=_data_root, protocol='anet', tious='0.1:0.7:0.1', videos=None)
