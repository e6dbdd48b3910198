// What the targets of fuzzing share: the entry that libFuzzer (and replay.c) call, and ways to make
// texts, lines and files out of the bytes that it brings.
//
// A target is one file, fuzz_NAME.c, with its seeds in corpus/NAME. It calls readers of ours as the
// commands do. What a reader may never do ends the program: a crash, a leak, an error without a
// line, a value read that is not the value written.
#ifndef POSGRAD_TESTS_FUZZ_INPUT_H
#define POSGRAD_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../datasets/dataset.h"

// The name is libFuzzer's. Returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Ends the program where `code` is an error and there is no line that says it, or more than one.
void fuzz_judge(int code);

// The bytes as a text, malloc'ed to its size, so that reading past its end is noticed. A NUL ends
// it early.
char *fuzz_text(const uint8_t *data, size_t size);

// The lines of a text, one after the other; the text is cut up. NULL behind the last one, which may
// end in a newline.
char *fuzz_line(char **text);

// A file of these bytes that has a name while it is open.
struct fuzz_file {
    int descriptor;
    char path[64];
};
void fuzz_file_make(struct fuzz_file *file, const uint8_t *data, size_t size);
void fuzz_file_close(struct fuzz_file *file);

// Draws a few rows of every split of an open task; ends the program where a row is not what a row
// may be.
void fuzz_rows(const struct dataset *dataset);

// A folder for the whole life of the program, removed with what is in it when it ends; files in it
// are made by name, and replaced.
const char *fuzz_folder(void);
void fuzz_folder_put(const char *name, const uint8_t *data, size_t size);
void fuzz_folder_remove(const char *name);

#endif
