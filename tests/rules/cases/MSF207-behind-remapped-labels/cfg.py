# The labels that the loss sees are those that RemapLabels makes.
custom_imports = dict(imports=['mmseg_fixkit'], allow_failed_imports=False)
custom_hooks = [dict(type='ClassCountHook'), dict(type='HeadAdaptHook')]
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RemapLabels', mapping=[(7, 0), (11, 1), (23, 2)], default='ignore'),
    dict(type='RandomCrop', crop_size=(64, 64)),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('road', 'car', 'sky')),
        pipeline=train_pipeline))
