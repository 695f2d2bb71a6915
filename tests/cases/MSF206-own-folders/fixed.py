# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF201 dataset-classes
metainfo = dict(classes=('weed', 'crop'), palette=[[0, 0, 0], [128, 0, 0]])

model = dict(
    decode_head=dict(
        # MSF101 head-class-count: was 19
        num_classes=2))

train_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF206 data-not-as-asked: was 'data/cityscapes'
        data_root='data/farm',
        data_prefix=dict(
            # MSF206 data-not-as-asked: was 'leftImg8bit/train'
            img_path='images/train',
            # MSF206 data-not-as-asked: was 'gtFine/train'
            seg_map_path='labels/train'),
        metainfo=metainfo,
        # MSF206 data-not-as-asked
        img_suffix='.jpg',
        seg_map_suffix='.png'))

val_dataloader = dict(
    dataset=dict(
        # MSF204 foreign-classes: was 'CityscapesDataset'
        type='BaseSegDataset',
        # MSF206 data-not-as-asked: was 'data/cityscapes'
        data_root='data/farm',
        data_prefix=dict(
            # MSF206 data-not-as-asked: was 'leftImg8bit/val'
            img_path='images/val',
            # MSF206 data-not-as-asked: was 'gtFine/val'
            seg_map_path='labels/val'),
        metainfo=metainfo,
        # MSF206 data-not-as-asked
        img_suffix='.jpg',
        seg_map_suffix='.png'))

test_dataloader = val_dataloader
