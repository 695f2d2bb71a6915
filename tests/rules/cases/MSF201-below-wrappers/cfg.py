# RepeatDataset and ConcatDataset hide the datasets that read the files.
field = dict(type='BaseSegDataset', data_root='data/a', metainfo=dict(classes=['weed', 'crop']))
model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
train_dataloader = dict(
    dataset=dict(
        type='RepeatDataset',
        times=10,
        dataset=dict(
            type='ConcatDataset',
            datasets=[
                field,
                dict(type='BaseSegDataset', data_root='data/b', metainfo=dict(classes=['crop']))
            ])))
