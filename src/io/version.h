// The version of the program, as it is written into files and said by --version.
#ifndef POSGRAD_VERSION_H
#define POSGRAD_VERSION_H

#define POSGRAD_VERSION "0.1.0"

#endif
