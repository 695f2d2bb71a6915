custom_hooks = 5
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=[19], ignore_index='255',
        loss_decode=dict(type='CrossEntropyLoss', class_weight=2.0)))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=('soil', 'weed')), data_prefix=2.5,
        pipeline=[dict(type='LoadImageFromFile'), 'LoadAnnotations']))
val_evaluator = (dict(type='IoUMetric', iou_metrics=['mIoU']),)
