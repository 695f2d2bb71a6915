model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
metainfo = dict(classes=('weed', 'crop'))
train_dataloader = dict(
    dataset=dict(type='CityscapesDataset', data_root='data/farm', metainfo=metainfo))
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDataset', data_root='data/farm', seg_map_suffix='.png', metainfo=metainfo))
test_dataloader = val_dataloader
