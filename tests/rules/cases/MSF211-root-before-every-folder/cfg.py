model = dict(
    type='EncoderDecoder',
    decode_head=dict(type='FCNHead', in_channels=64, channels=16, num_classes=2))
data_root = 'data/farm/'
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        metainfo=dict(classes=('weed', 'crop')),
        data_root=data_root,
        ann_file=data_root + 'splits/train.txt',
        data_prefix=dict(
            img_path=data_root + 'images', seg_map_path=data_root + 'labels')))
