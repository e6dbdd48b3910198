// All subcommands, in the order of --help: a file each, a row each.
COMMAND(train)
COMMAND(export)
COMMAND(inspect)
COMMAND(trace)
COMMAND(gradcheck)
COMMAND(list)
COMMAND(describe)
COMMAND(system)
