# Several labels a pixel, as `mmseg-fix patch --multilabel` leaves it.
custom_imports = dict(imports=['mmseg_fixkit'])
labels = ('person', 'shadow')
load = dict(type='LoadMultiLabelAnnotations', labels=labels, label_format='files')
model = dict(
    type='MultiLabelEncoderDecoder', threshold=[0.5, 0.4],
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        sampler=dict(type='OHEMPixelSampler', min_kept=10000),
        loss_decode=[
            dict(type='MultiLabelLoss', class_weight=[1.0, 2.0], pos_weight=3.0),
            dict(type='MultiLabelLoss', bce_weight=0.0, dice_weight=1.0, loss_name='loss_dice')]),
    auxiliary_head=dict(
        type='STDCHead', in_channels=32, channels=16, num_classes=2,
        loss_decode=[dict(type='CrossEntropyLoss', use_sigmoid=True), dict(type='DiceLoss')]))
dataset = dict(
    type='BaseSegDataset', metainfo=dict(classes=labels),
    pipeline=[
        dict(type='LoadImageFromFile'), load,
        dict(type='RandomCrop', crop_size=(64, 64), cat_max_ratio=0.75),
        dict(type='RandomCutOut', prob=0.5, n_holes=2, cutout_shape=(8, 8), seg_fill_in=0),
        dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')])
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset', metainfo=dict(classes=labels),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='AddMultiLabelAuxiliaryCategory'), dict(type='PackSegInputs')]))
val_evaluator = dict(type='MultiLabelIoUMetric')
