# THUMOS14 as BaS-Net and UM use it (num_segments 750 in both config.py): 750 snippets in training and at test (a leaf
# may change the latter), batches without pairs, scored in seconds on the 210 test videos of split_test.txt. Their own
# features are converted by tools/dataset_converters/basnet.py.
_base_ = ['./thumos14-i3d.py']

_length = 750

train_dataloader = dict(
    batch_size=16,
    # UM's authors shuffle the 200 videos and go through them; so do BaS-Net's for the first 13 steps, after which each
    # batch is the first of a new shuffle. Here each batch is drawn anew, with replacement, so that batch n depends on
    # the seed and n alone.
    batch_sampler=dict(num_pairs=0),
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='random_perturb', length=_length),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            dict(type='SampleSnippets', mode='uniform', length=_length),
            dict(type='PackWTALInputs'),
        ],
    ),
)
test_evaluator = dict(protocol='anet', videos='thumos14-210')
