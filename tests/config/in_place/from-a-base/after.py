_base_ = '../_base_/pspnet.py'
model = dict(
    decode_head=dict(channels=32, num_classes=2),  # wider
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=2),
        dict(type='FCNHead', in_channels=16, channels=16, num_classes=2)
    ],
)
val_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))

test_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]]),
        img_suffix='_leftImg8bit.png',
        seg_map_suffix='_gtFine_labelTrainIds.png'))
