data_root = 'data/mine'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),  # 19 classes
    dict(type='AssertLabelBounds', num_classes=2),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')  # last
]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                 dict(type='AssertLabelBounds', num_classes=2)]
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        type='RepeatDataset',
        times=10,
        dataset=dict(
            type='CityscapesDataset',
            data_root=data_root,
            pipeline=train_pipeline,
            metainfo=dict(
                classes=('road', 'car'),
                palette=[[128, 64, 128], [0, 0, 142]]))))
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        type='CityscapesDataset',
        data_root=data_root,
        pipeline=test_pipeline,
        metainfo=dict(classes=('road', 'car'), palette=[[128, 64, 128], [0, 0, 142]])))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
custom_hooks = [
    dict(type='EMAHook'),
    dict(type='ClassCountHook'),
    dict(type='HeadAdaptHook'),
]
custom_imports = dict(imports=['my_models', 'mmseg_fixkit'], allow_failed_imports=False)
