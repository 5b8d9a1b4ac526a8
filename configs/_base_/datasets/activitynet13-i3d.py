# ActivityNet 1.3 with I3D features of 1,024 RGB and 1,024 flow channels; otherwise as 1.2. The CO2-Net family released
# no features for it: the annotations come from tools/dataset_converters/json_annotations.py, the features, with their
# own time grid, from feature_store.py (or both from basnet.py or activitynet_arrays.py, depending on the source).
_base_ = ['./activitynet12-i3d.py']

_data_root = 'data/activitynet13'
_dataset = dict(type='ActivityNet13Dataset', data_root=_data_root)

train_dataloader = dict(dataset=_dataset)
test_dataloader = dict(dataset=_dataset)
test_evaluator = dict(data_root=_data_root)
