# DELU with the decoder that suits every base model, for comparison with its own inference.
_base_ = ['./delu_synthetic.py']

model = dict(decoder=dict(_delete_=True, type='MultiThresholdDecoder'))
# What training anew must give, in percent; tools/analysis/model_zoo.py says what the stored results make of it.
_expected = dict(protocol='wtal_grid', seed=0, average=33.02, tolerance=4.5)
