# UM on THUMOS14. Source of every value: run.sh (--seed 0), options.py, config.py and main.py of
# Pilhyeon/WTAL-Uncertainty-Modeling: 10,000 steps of a batch of 16, Adam 1e-4, weight decay 5e-4, 750 snippets.
# The published code tests after every step and keeps the step that is best on the test split.
_base_ = [
    '../_base_/datasets/thumos14-i3d_t750.py',
    '../_base_/models/um.py',
    '../_base_/schedules/adam_b16.py',
    '../_base_/default_runtime.py',
]
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadSnippetFeatures'),
            # Unlike BaS-Net, UM leaves videos of up to 750 snippets as they are.
            dict(type='SampleSnippets', mode='uniform', length=750, keep_shorter=True),
            dict(type='PackWTALInputs'),
        ],
    ),
)
