// The list of subcommands, made of its rows.
#include "command.h"

#define COMMAND(name) extern const struct command command_##name;
#include "list.h"
#undef COMMAND

#define COMMAND(name) &command_##name,
const struct command *const commands[] = {
#include "list.h"
};
#undef COMMAND
const int command_count = (int)(sizeof commands / sizeof commands[0]);
