# BaS-Net with the decoder that suits every base model, for comparison with its own inference.
_base_ = ['./basnet_synthetic.py']

model = dict(decoder=dict(_delete_=True, type='MultiThresholdDecoder'))
# What training anew must give, in percent; tools/analysis/model_zoo.py says what the stored results make of it.
_expected = dict(protocol='wtal_grid', seed=0, average=30.88, tolerance=3.0)
