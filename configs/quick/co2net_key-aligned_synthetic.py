# The small CO2-Net with key semantic matching on a stream that is aligned with the texts. A data root that was written
# before the embedded dataset had it is written again: tools/dataset_converters/synthetic.py ROOT --overwrite.
# The control, vectors without meaning: --cfg-options model.guidance.texts.control=random_vectors.
_base_ = ['./co2net_synthetic.py', '../_base_/guidance/key_aligned.py']

train_dataloader = dict(dataset=dict(streams={{_base_._streams}}))
model = dict(guidance={{_base_._guidance}})
optim_wrapper = {{_base_._optim_wrapper}}
