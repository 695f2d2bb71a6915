# Ignored pixels hold 200, as the head and its data say; these do not know.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2, ignore_index=200,
        loss_decode=[
            dict(type='CrossEntropyLoss'),
            dict(type='TverskyLoss'),
            dict(type='DiceLoss', ignore_index=0)]))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', ignore_index=200,
        metainfo=dict(classes=('weed', 'crop')),
        pipeline=[
            dict(type='LoadAnnotations'),
            dict(type='RandomCutOut', prob=0.5, n_holes=1, cutout_ratio=(0.1, 0.1), seg_fill_in=0),
            dict(type='RandomCutOut', prob=0.5, n_holes=1, cutout_ratio=(0.1, 0.1), seg_fill_in=255),
            dict(type='Pad', size=(64, 64)),
            dict(type='Pad', size=(64, 64), pad_val=0),
            dict(type='Pad', size=(64, 64), pad_val=dict(img=0, seg=200)),
            dict(type='RandomMosaic', prob=0.5)]))
