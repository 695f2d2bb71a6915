# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# MSF501 checkpoint-not-as-asked
load_from = 'pspnet_cityscapes.pth'

# MSF501 checkpoint-not-as-asked: was True
resume = False
