// All tasks, in order of name: a file each, a row each.
TASK(copy)
TASK(images)
TASK(masked_text)
TASK(probe)
TASK(probe2d)
TASK(reverse)
TASK(text)
