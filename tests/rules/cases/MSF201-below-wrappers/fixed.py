# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            # changed (MSF201)
            datasets=[
                dict(
                    type='BaseSegDataset',
                    data_root='data/a',
                    metainfo=dict(classes=['weed', 'crop'])),
                dict(
                    type='BaseSegDataset',
                    data_root='data/b',
                    metainfo=dict(
                        classes=('weed', 'crop'),
                        palette=[[0, 0, 0], [128, 0, 0]]))
            ])))
