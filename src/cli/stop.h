// Signals that ask a command to come to an end: what it has begun is saved first.
//
// A signal only sets a flag, which whoever works looks at. Two things are in the way of a stop, and
// are dealt with here: a signal that comes twice, and output that nobody reads.
#ifndef POSGRAD_STOP_H
#define POSGRAD_STOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

// From now on SIGINT, SIGTERM and SIGHUP set the flag; a SIGHUP that is ignored stays so (nohup).
// The same one again, half a second later or more, ends the program at once. Before that it is one
// wish said twice: timeout(1) signals the process and then its group, a terminal all of a group
// whose first process passes it on.
//
// Once the flag is set, a write that waits for its reader is cut short within a second.
void stop_catch(void);

// The signal that came first; 0 for none.
volatile sig_atomic_t *stop_flag(void);
// Its name, "SIGTERM".
const char *stop_name(void);

// Whether something may be printed there: always before a stop, and then only where a reader takes
// it without being waited for.
bool stop_may_print(FILE *file);
// fflush. After a stop, what no reader takes is dropped, and the result is false.
bool stop_flush(FILE *file);

#endif
