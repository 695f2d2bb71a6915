"""How labels that may overlap stand in files: the names that options and arguments take."""

#: Name -> what it is.
FORMATS = {
    "bits": "one grey PNG an image, of 8 or 16 bit, whose bits are the labels",
    "planes": "one grey PNG of shape (H, L * W) an image, a plane for each label side by side",
    "files": "one single-channel file for each image and label",
    "coco": "one COCO JSON with polygons or RLE, a category for each label",
}

#: What a file of one label is called beside the label map that the dataset names.
FILE_PATTERN = "{stem}_{label}.png"
