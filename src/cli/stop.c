// See stop.h. What changes at file scope here is what a handler can reach.
#include "stop.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio_ext.h>
#include <time.h>
#include <unistd.h>

enum { AGAIN = 500 }; // milliseconds after which the same signal is a second wish

static const struct {
    int signal;
    const char *name;
} kinds[] = {{SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"}};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static volatile sig_atomic_t asked;
static _Atomic int64_t first[KINDS]; // milliseconds; 0: did not come

static int64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1 + (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void install(int signal, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}; // no SA_RESTART: a write ends with EINTR
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

// A signal that comes just before a write begins does not interrupt it: this one, again and again,
// does.
static void on_alarm(int signal)
{
    (void)signal;
    alarm(1);
}

static void on_stop(int signal)
{
    int error = errno;
    int64_t time = milliseconds();
    for (int i = 0; i < KINDS; i++) {
        int64_t before = 0;
        if (kinds[i].signal == signal &&
            !atomic_compare_exchange_strong(&first[i], &before, time) && time - before >= AGAIN) {
            install(signal, SIG_DFL);
            raise(signal); // once this handler has returned
        }
    }
    if (!asked)
        asked = signal;
    alarm(1);
    errno = error;
}

static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void stop_catch(void)
{
    asked = 0;
    for (int i = 0; i < KINDS; i++)
        first[i] = 0;
    install(SIGALRM, on_alarm);
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].signal != SIGHUP || !is_ignored(SIGHUP))
            install(kinds[i].signal, on_stop);
}

volatile sig_atomic_t *stop_flag(void)
{
    return &asked;
}

const char *stop_name(void)
{
    for (int i = 0; i < KINDS; i++)
        if (kinds[i].signal == asked)
            return kinds[i].name;
    return "nothing";
}

bool stop_may_print(FILE *file)
{
    struct pollfd poll_it = {.fd = fileno(file), .events = POLLOUT};
    return !asked || poll(&poll_it, 1, 0) != 0;
}

bool stop_flush(FILE *file)
{
    if (stop_may_print(file) && (fflush(file) == 0 || !asked))
        return true;
    __fpurge(file);
    return false;
}
