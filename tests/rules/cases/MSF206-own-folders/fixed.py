# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# added (MSF201)
metainfo = dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]])

model = dict(
    decode_head=dict(
        # was 19 (MSF101)
        num_classes=2))

train_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/cityscapes' (MSF206)
        data_root='data/farm',
        data_prefix=dict(
            # was 'leftImg8bit/train' (MSF206)
            img_path='images/train',
            # was 'gtFine/train' (MSF206)
            seg_map_path='labels/train'),
        metainfo=metainfo,
        # added (MSF206)
        img_suffix='.jpg',
        seg_map_suffix='.png'))

val_dataloader = dict(
    dataset=dict(
        # was 'CityscapesDataset' (MSF204)
        type='BaseSegDataset',
        # was 'data/cityscapes' (MSF206)
        data_root='data/farm',
        data_prefix=dict(
            # was 'leftImg8bit/val' (MSF206)
            img_path='images/val',
            # was 'gtFine/val' (MSF206)
            seg_map_path='labels/val'),
        metainfo=metainfo,
        # added (MSF206)
        img_suffix='.jpg',
        seg_map_suffix='.png'))

test_dataloader = val_dataloader
