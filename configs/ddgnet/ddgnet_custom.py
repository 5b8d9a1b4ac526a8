# DDG-Net on your own features: give --data-root, the folder that tools/dataset_converters/custom.py wrote. Classes and
# feature width are taken from the data. Values are those of THUMOS14; tune `length` (snippets a training sample has),
# `max_iters` and the learning rate, backbone.similarity_threshold (0.8 suits I3D's features, none of which is negative;
# the cosines of others can be far lower) and the weight of loss_feature_consistency, which grows with the features.
# It needs features of two modalities; backbone.modalities states their widths if they are not halves.
_base_ = ['./ddgnet_thumos14-i3d.py']

_data_root = 'data/custom'
_dataset = dict(type='WTALDataset', data_root=_data_root)

model = dict(num_classes='auto', in_channels='auto')
train_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
test_evaluator = dict(data_root=_data_root, protocol='anet', tious='0.1:0.7:0.1')
