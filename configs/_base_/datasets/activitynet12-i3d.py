# ActivityNet 1.2, the I3D features that W-TALC released: 1,024 RGB and 1,024 flow channels. The data root is made by
# tools/dataset_converters/activitynet_arrays.py. Training is on `training`, testing on `validation`, as everybody does.
# As in the published loader, videos with 10 snippets or fewer are left out; their instances count as missed.
_data_root = 'data/activitynet12'

train_dataloader = dict(
    batch_size=10,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    batch_sampler=dict(type='ClassPairBatchSampler', num_pairs=3),
    dataset=dict(
        type='ActivityNet12Dataset',
        data_root=_data_root,
        subset='training',
        min_snippets=11,
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='random_perturb', length=60),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ActivityNet12Dataset',
        data_root=_data_root,
        subset='validation',
        test_mode=True,
        min_snippets=11,
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='full'),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_evaluator = dict(
    type='WTALMetric', data_root=_data_root, subset='validation', protocol='anet', tious='0.5:0.95:0.05'
)
test_cfg = dict(type='TestLoop')
