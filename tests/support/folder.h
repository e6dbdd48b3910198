// Folders that tests make, and take away with all that is in them.
#ifndef POSGRAD_TESTS_FOLDER_H
#define POSGRAD_TESTS_FOLDER_H

// 0, or what `rm` ended with.
int folder_remove(const char *folder);

#endif
