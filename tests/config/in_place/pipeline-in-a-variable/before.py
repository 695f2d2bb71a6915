data_root = 'data/city/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),  # 19 classes
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')  # last
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=19))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type='RepeatDataset',
        times=10,
        dataset=dict(
            type='CityscapesDataset',
            data_root=data_root,
            pipeline=train_pipeline)))
val_dataloader = dict(
    batch_size=1,
    dataset=dict(type='CityscapesDataset', data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
custom_hooks = [
    dict(type='EMAHook'),
]
custom_imports = dict(imports=['my_models'], allow_failed_imports=False)
