// All schedules, in order of name: a file each, a row each.
SCHEDULE(constant)
SCHEDULE(cosine)
SCHEDULE(inverse_sqrt)
SCHEDULE(linear)
