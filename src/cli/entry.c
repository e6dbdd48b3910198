// The way into one build of the program: main() chooses among those of two precisions and of all
// levels of vector code, and everything that is called from here is of the same build.
#include <string.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../io/json_memory.h"
#include "entry.h"

int POSGRAD_ENTRY(int argc, char **argv)
{
    par_flush_denormals();
    json_memory_failures(); // watched from here on
    for (int i = 0; argc > 0 && i < command_count; i++)
        if (strcmp(commands[i]->name, argv[0]) == 0)
            return command_run(commands[i], argc, argv);
    err_bug(__FILE__, __LINE__, "a command that no list has");
}
