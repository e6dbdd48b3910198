// All export formats, in order of name: a file each (export_NAME.c), a row each.
FORMAT(csv)
FORMAT(json)
FORMAT(npy)
FORMAT(npz)
FORMAT(onnx)
