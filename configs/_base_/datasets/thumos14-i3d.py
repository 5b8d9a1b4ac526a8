# THUMOS14, the I3D features of the CO2-Net family: 1,024 RGB and 1,024 flow channels, 16 frames a snippet at 25 fps.
# The data root is made by tools/dataset_converters/thumos14.py. Training is on the 200 annotated validation videos.
_data_root = 'data/thumos14'

train_dataloader = dict(
    batch_size=10,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='ClassPairBatchSampler', num_pairs=3),
    dataset=dict(
        type='Thumos14Dataset',
        data_root=_data_root,
        subset='training',
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='random_perturb', length=500),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='Thumos14Dataset',
        data_root=_data_root,
        subset='test',
        test_mode=True,
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='full'),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_evaluator = dict(type='WTALMetric', data_root=_data_root, subset='test', protocol='wtal_grid', tious='0.1:0.7:0.1')
test_cfg = dict(type='TestLoop')
