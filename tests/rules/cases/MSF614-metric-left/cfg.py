# Two metrics of one class a pixel in one split; a mean that there will not be.
custom_imports = dict(imports=['mmseg_fixkit'])
model = dict(
    type='MultiLabelEncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=3,
        loss_decode=dict(type='MultiLabelLoss')))
train_dataloader = dict(
    dataset=dict(type='BaseSegDataset', metainfo=dict(classes=('person', 'shadow'))))
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU', 'mDice'], nan_to_num=-1)
test_evaluator = [dict(type='MultiLabelIoUMetric'), dict(type='IoUMetric', output_dir='out')]
default_hooks = dict(checkpoint=dict(type='CheckpointHook', save_best='aAcc'))
