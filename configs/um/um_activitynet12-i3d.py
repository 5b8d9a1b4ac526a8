# UM on ActivityNet 1.2. All values are ours: the paper reports results, but Pilhyeon/WTAL-Uncertainty-Modeling
# has no code for them. Model, learning rate, weight decay and batch are those of THUMOS14; 60 snippets in training and,
# as on THUMOS14, as many at test; 10,000 iterations over 4,819 videos. Scored in seconds at tIoU .5 to .95.
_base_ = [
    '../_base_/datasets/activitynet12-i3d.py',
    '../_base_/models/um.py',
    '../_base_/schedules/adam_b16.py',
    '../_base_/default_runtime.py',
]
model = dict(num_classes=100)
train_dataloader = dict(batch_size=16, batch_sampler=dict(num_pairs=0))
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='uniform', length=60, keep_shorter=True),
            dict(type='PackWTALInputs'),
        ],
    ),
)
