// Starting the program anew, for what libraries read from the environment while they are loaded.
#ifndef POSGRAD_RESTART_H
#define POSGRAD_RESTART_H

// Replaces the process by the same program with the same arguments and the environment as it is
// now. Returns only when that fails.
void restart_program(char **argv);

#endif
