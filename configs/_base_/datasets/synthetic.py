# The embedded dataset, written by tools/dataset_converters/synthetic.py: 200 + 40 videos, 8 classes, 64 + 64 channels.
_data_root = 'data/synthetic'

train_dataloader = dict(
    batch_size=10,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='ClassPairBatchSampler', num_pairs=3),
    dataset=dict(
        type='WTALDataset',
        data_root=_data_root,
        subset='training',
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            # A video has 60 to 200 snippets, 130 on average: phases of two snippets mostly stay, little is stretched.
            dict(type='SampleSnippets', mode='random_perturb', length=130),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='WTALDataset',
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
