_base_ = '../_base_/pspnet.py'
crop_size = (64, 64)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs')
]
# This one comes to nothing.
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = train_dataloader
train_dataloader = dict(batch_size=2)
