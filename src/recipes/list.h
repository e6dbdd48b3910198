// All recipes, in order of name: a file each, a row each.
RECIPE(counting)
RECIPE(length_generalization)
RECIPE(logn)
RECIPE(probe)
RECIPE(randomized_positions)
RECIPE(urpe)
