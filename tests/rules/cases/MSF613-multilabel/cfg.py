# A whole config of one class a pixel, to have several.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=19,
        sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=10000),
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_name='loss_ce', class_weight=[1.0] * 19),
            dict(type='DiceLoss', loss_name='loss_dice', loss_weight=3.0)]),
    auxiliary_head=[
        dict(type='FCNHead', in_channels=32, channels=16, num_classes=19),
        dict(
            type='STDCHead', in_channels=32, channels=16, num_classes=2,
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce', use_sigmoid=True),
                dict(type='DiceLoss', loss_name='loss_dice')])])
train_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset', data_root='data/street',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackSegInputs')]))
val_evaluator = [
    dict(type='IoUMetric', iou_metrics=['mIoU'], prefix='street'),
    dict(type='CityscapesMetric', output_dir='out')]
visualizer = dict(type='SegLocalVisualizer', name='visualizer')
default_hooks = dict(checkpoint=dict(type='CheckpointHook', save_best='mAcc'))
