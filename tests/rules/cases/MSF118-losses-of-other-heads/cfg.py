# Alone it has a fix; beside another loss, or edges that only PIDHead has, it is left for you.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='PSPHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(
            type='OhemCrossEntropy', ignore_label=255, min_kept=1000, class_weight=None,
            loss_weight=0.4)),
    auxiliary_head=[
        dict(
            type='FCNHead', in_channels=32, channels=16, num_classes=3,
            loss_decode=[dict(type='OhemCrossEntropy'), dict(type='DiceLoss')]),
        dict(
            type='FCNHead', in_channels=32, channels=16, num_classes=3,
            loss_decode=dict(type='BoundaryLoss')),
        dict(
            type='FCNHead', in_channels=32, channels=16, num_classes=3,
            sampler=dict(type='OHEMPixelSampler', min_kept=1000),
            loss_decode=dict(type='OhemCrossEntropy'))])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('road', 'car', 'sky'))))
