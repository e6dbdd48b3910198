// All position encodings, in order of name: a file each, a row each.
PE(learned)
PE(none)
PE(sinusoidal)
