# UM with the decoder that suits every base model, for comparison with its own inference.
_base_ = ['./um_synthetic.py']

model = dict(decoder=dict(_delete_=True, type='MultiThresholdDecoder'))
# What training anew must give, in percent; tools/analysis/model_zoo.py says what the stored results make of it.
_expected = dict(protocol='wtal_grid', seed=0, average=42.93, tolerance=2.0)
