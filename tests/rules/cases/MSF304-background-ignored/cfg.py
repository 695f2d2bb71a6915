# Whether the background is a class is said twice, and not alike.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2, ignore_index=0))
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('background', 'polyp'))))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=0)
