model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', seg_pad_val=255),
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=3))
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('road', 'car', 'sky')),
        pipeline=[
            dict(type='LoadAnnotations'),
            dict(type='RandomCrop', crop_size=(64, 64)),
            dict(type='PackSegInputs')
        ]))
val_evaluator = dict(type='IoUMetric')
