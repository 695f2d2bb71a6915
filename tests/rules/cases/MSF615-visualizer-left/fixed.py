# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

visualizer = dict(
    # was 'SegLocalVisualizer' (MSF615)
    type='MultiLabelLocalVisualizer')
