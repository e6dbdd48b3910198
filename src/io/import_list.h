// All formats of import, in order of name: a file each (import_NAME.c), a row each.
FORMAT(hdf5)
FORMAT(npy)
FORMAT(npz)
FORMAT(posgrad)
FORMAT(safetensors)
