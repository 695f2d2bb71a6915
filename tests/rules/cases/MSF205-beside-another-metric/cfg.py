model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('weed', 'crop'))))
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU', 'mFscore']),
    dict(type='CityscapesMetric', output_dir='out')
]
test_evaluator = dict(type='CityscapesMetric', output_dir='out')
