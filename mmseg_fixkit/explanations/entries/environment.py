"""What is wrong around the run, not in it; and the wrapper of faults on a GPU."""

from __future__ import annotations

from mmseg_fixkit.explanations.entry import Entry

#: Faults that end in a device-side assert.
ON_GPU = (
    "label-out-of-range",
    "label-255-not-ignored",
    "index-out-of-bounds",
    "gather-out-of-bounds",
    "label-one-hot",
    "class-weight-without-no-object",
    "class-weight-and-ignored-pixels",
    "one-channel-sampler",
)

ENTRIES = (
    Entry(
        id="device-side-assert",
        title="A kernel on the GPU stopped; this text does not say why",
        rank=100,
        patterns=(
            r"(?:CUDA|HIP) error: device-side assert triggered",
            r"cuda runtime error \((?P<code>59|710)\) ?: device-side assert triggered",
            r"cudaErrorAssert",
            r"error \((?P<code>59|710)\)(?!\d)",
            r"device-side assert triggered",
        ),
        anchors=("device-sideassert", "cudaErrorAssert", "error(59)", "error(710)"),
        what="The line with the reason is higher up, printed by the GPU itself: look for the word "
        "Assertion.",
        why="Kernels run behind the program, so the Python line in the traceback is not the place "
        "(accuracy.py is named often, and innocent). In training a segmentor, the reason is nearly "
        "always a label that is no class, or a class_weight of the wrong length.",
        sure="Run again with CUDA_LAUNCH_BLOCKING=1 for the right line, or on the CPU "
        "(CUDA_VISIBLE_DEVICES= python tools/train.py …) for a message with the value.",
        next=(
            "mmseg-fix explain LOG  # the whole log, with the lines above",
            "mmseg-fix check {config}",
            "mmseg-fix scan {config}",
        ),
        examples=(
            "RuntimeError: CUDA error: device-side assert triggered\nCUDA kernel errors might be "
            "asynchronously reported at some other API call, so the stacktrace below might be "
            "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1.",
            "torch.AcceleratorError: CUDA error: device-side assert triggered\nSearch for "
            "`cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__"
            "TYPES.html for more information.",
            "RuntimeError: cuda runtime error (59) : device-side assert triggered at "
            "/opt/conda/conda-bld/pytorch/aten/src/THC/generic/THCTensorMath.cu:26",
            "RuntimeError: cuda runtime error (710) : device-side assert triggered",
            "error (710)",
        ),
        after=ON_GPU,
        references=("mmseg#3574", "mmseg#3568", "mmseg#3724", "yu-changqian/TorchSeg#10"),
    ),
    Entry(
        id="pkg-resources",
        title="setuptools is too new for this MMEngine",
        rank=2,
        patterns=(r"No module named '?pkg_resources'?",),
        anchors=("pkg_resources",),
        what="MMEngine 0.10 imports pkg_resources, which setuptools no longer brings.",
        why="_base_ = 'mmseg::…' makes MMEngine look for the installed package that way.",
        sure="pip show setuptools: 81 or newer.",
        next=("pip install 'setuptools<81'",),
        examples=("ModuleNotFoundError: No module named 'pkg_resources'",),
    ),
    Entry(
        id="mmcv-version",
        title="MMCV is too new or too old for this MMSegmentation",
        rank=1,
        patterns=(r"(?P<package>MMCV|MMEngine)==(?P<version>[\w.+]+?) is used but incompatible",),
        anchors=("isusedbutincompatible",),
        what="{package} {version} is installed, which MMSegmentation refuses.",
        why="mmsegmentation 1.2.2 takes mmcv from 2.0.0rc4 to below 2.2.0.",
        sure="pip list | grep -i mm",
        next=(
            "pip install mmcv==2.1.0, or the maintained fork: pip install 'mmseg-fixkit[onedl]'.",
        ),
        examples=(
            "AssertionError: MMCV==2.2.0 is used but incompatible. Please install mmcv>=2.0.0rc4.",
        ),
    ),
    Entry(
        id="mmcv-without-ops",
        title="MMCV is installed without its compiled part",
        rank=1,
        patterns=(r"No module named '?mmcv\._ext'?", r"mmcv/_ext\.\S*?:undefined symbol"),
        anchors=("mmcv._ext", "mmcv/_ext"),
        what="mmcv._ext is missing, or does not fit the installed torch.",
        why="mmcv-lite, or an mmcv that was built for another torch.",
        sure='python -c "import mmcv.ops"',
        next=(
            "Install the mmcv that is built for your torch and CUDA (mim install mmcv==2.1.0), or "
            "onedl-mmcv.",
        ),
        examples=(
            "ModuleNotFoundError: No module named 'mmcv._ext'",
            "ImportError: /opt/lib/python3.11/site-packages/mmcv/_ext.cpython-311-x86_64-linux-gnu"
            ".so: undefined symbol: _ZN3c106detail14torchCheckFail",
        ),
    ),
    Entry(
        id="mmdet-missing",
        title="The head needs mmdet, which is not installed",
        rank=1,
        patterns=(
            r"Please install (?P<package>onedl-mmdetection) to use (?P<head>\w+?):",
            r"No module named '?(?P<package>mmdet|mmpretrain)'?(?!\w)",
        ),
        anchors=("Pleaseinstallonedl-mmdetection", "'mmdet'", "'mmpretrain'"),
        what="{package} is not installed.",
        why="Mask2Former and MaskFormer are built on heads and losses of mmdet; ConvNeXt and "
        "PoolFormer on backbones of mmpretrain.",
        sure="pip list | grep -i mm",
        next=("pip install mmdet, or onedl-mmdetection with the maintained fork.",),
        examples=(
            "ImportError: Please install onedl-mmdetection to use Mask2FormerHead: pip install "
            "onedl-mmdetection",
            "ModuleNotFoundError: No module named 'mmdet'",
        ),
    ),
)
