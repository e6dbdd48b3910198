// All optimizers, in order of name: a file each, a row each.
OPTIMIZER(adam)
OPTIMIZER(adamw)
OPTIMIZER(lion)
OPTIMIZER(sgd)
