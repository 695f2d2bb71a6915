# One class has to be told from something: the background is a class too.
model = dict(
    type='EncoderDecoder',
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=16, num_classes=1,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)),
    auxiliary_head=dict(type='FCNHead', in_channels=32, channels=16, num_classes=1))
metainfo = dict(classes=('weed',), palette=[[0, 128, 0]])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
val_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
