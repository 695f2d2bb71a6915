_base_ = 'base.py'
model = dict(decode_head=dict(num_classes=3))
