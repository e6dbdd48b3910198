// All export formats, in order of name: a file each (export_NAME.c), a row each.
FORMAT(csv)
FORMAT(h5)
FORMAT(header)
FORMAT(json)
FORMAT(npy)
FORMAT(npz)
FORMAT(onnx)
FORMAT(safetensors)
