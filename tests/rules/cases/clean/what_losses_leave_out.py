# DiceLoss leaves out a channel, and a hole may be filled with a class.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=2,
        loss_decode=[
            dict(type='CrossEntropyLoss', use_sigmoid=True, class_weight=[[[1.0]], [[2.0]]]),
            dict(type='DiceLoss', ignore_index=0)]))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('soil', 'crop')),
        pipeline=[
            dict(type='LoadAnnotations'),
            dict(type='Pad', size=(64, 64), pad_val=0),
            dict(type='RandomCutOut', prob=0.5, n_holes=1, cutout_ratio=(0.1, 0.1), seg_fill_in=0)]))
