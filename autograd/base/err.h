// Errors are values: a negative code to branch on, one line of text to show.
//
// A function that can fail returns 0 or one of the codes below and leaves its line in a
// thread-local buffer. The line says what was wrong and what to do, with no newline and no program
// name; only commands print it. BUG_ON is for our own mistakes and is the only thing that aborts.
#ifndef POSGRAD_ERR_H
#define POSGRAD_ERR_H

enum err_code {
    ERR_MEMORY = -1,   // an allocation failed
    ERR_ARGUMENT = -2, // the caller's value is wrong (an option, a shape, a name)
    ERR_FILE = -3,     // the outside world: open, read, write, rename, lock
    ERR_FORMAT = -4,   // a file is not what it should be, or is damaged
    ERR_NUMBER = -5,   // a loss or gradient is not finite
    ERR_STOPPED = -6,  // a signal asked for the end
};

// Stores the formatted line (cut at 1023 bytes, control characters replaced by '?') and returns
// `code`, so that `return err_set(ERR_FILE, "...", ...)` is one statement. Thread-safe; the buffer
// is per thread.
__attribute__((format(printf, 2, 3))) int err_set(int code, const char *format, ...);
// What is returned is said where it can be seen: a checker that follows a path across files knows
// then that an error is not 0. (`code` is evaluated twice.)
static inline int err_known(int set, int code)
{
    (void)set;
    return code;
}
#define err_set(code, ...) err_known(err_set(code, __VA_ARGS__), code)

// Puts "prefix: " before the line stored last, for a caller that knows more. Returns `code`.
__attribute__((format(printf, 2, 3))) int err_prefix(int code, const char *format, ...);

// Replaces control characters in the same way, in a line that is not of an error.
void err_plain(char *line);

// The line stored last in this thread; "" when there is none. Valid until the next err_set.
const char *err_last(void);
// The code that was stored with it; 0 when there is none. For callers of functions that return
// NULL.
int err_code(void);

// Prints file and line to stderr and aborts: a condition that only our own mistake can bring about.
__attribute__((noreturn)) void err_bug(const char *file, int line, const char *condition);
#define BUG_ON(condition)                                                                          \
    do {                                                                                           \
        if (condition)                                                                             \
            err_bug(__FILE__, __LINE__, #condition);                                               \
    } while (0)

#endif
