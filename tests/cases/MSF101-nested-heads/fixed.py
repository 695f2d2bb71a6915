# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

model = dict(
    decode_head=dict(
        # MSF101 head-class-count
        kernel_update_head=[
            dict(type='KernelUpdateHead', num_classes=3, out_channels=512),
            dict(type='KernelUpdateHead', out_channels=512, num_classes=3)
        ],
        kernel_generate_head=dict(
            # MSF101 head-class-count: was 150
            num_classes=3)))
