num_classes = 19
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='PSPHead', in_channels=64, channels=16, num_classes=num_classes),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=num_classes),
        dict(type='FCNHead', in_channels=16, channels=16, num_classes=num_classes),
    ])
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(type='CityscapesDataset', data_root='data/city', pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(type='CityscapesDataset', data_root='data/city', pipeline=train_pipeline))
test_dataloader = val_dataloader
