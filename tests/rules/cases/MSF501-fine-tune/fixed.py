# Written by mmseg-fix: cfg.py with the changes below.
_base_ = 'cfg.py'

# was None (MSF501)
load_from = 'pspnet_cityscapes.pth'

# was True (MSF501)
resume = False
