model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=1))
metainfo = dict(classes=('water'), palette=[[0, 255, 255]])
train_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
val_dataloader = dict(dataset=dict(type='BaseSegDataset', metainfo=metainfo))
