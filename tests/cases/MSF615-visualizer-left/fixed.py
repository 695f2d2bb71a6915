# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

visualizer = dict(
    # MSF615 multilabel-pictures: was 'SegLocalVisualizer'
    type='MultiLabelLocalVisualizer')
