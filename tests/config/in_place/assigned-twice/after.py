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
test_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        data_root='data/city',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(64, 64)),
            dict(type='PackSegInputs')
        ],
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

model = dict(
    decode_head=dict(num_classes=2),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=2),
        dict(type='FCNHead', in_channels=16, channels=16, num_classes=2)
    ])

val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))
