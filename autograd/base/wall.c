// A child process behind limits, and the pipe through which it answers.
#include "wall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "err.h"
#include "retry.h"

// --- what the child gives up

#if defined __linux__ && defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#elif defined __linux__ && defined __aarch64__ && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#ifdef MACHINE

// A filter is a program that sees each system call: steps that load a number of the call (of an
// argument its low half), compare it, and skip some of the steps that follow.
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), 0, skip)
#define WHERE(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), skip, 0)
#define WHERE_SET(bits, skip) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, skip, 0)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define ALLOW_CALL(number) UNLESS(number, 1), ALLOW

// A call that is refused fails with EPERM, so that code which tries one comes to an error of its
// own.
static bool filter_calls(int answer)
{
    struct sock_filter step[] = {
        LOAD(arch),
        WHERE(MACHINE, 1), // other ways into the system have other numbers
        REFUSE,
        LOAD(nr),
        // Memory, but for files and for code.
        UNLESS(SYS_mmap, 6),
        LOAD(args[2]),
        WHERE_SET(PROT_EXEC, 3),
        LOAD(args[4]),
        UNLESS(-1, 1),
        ALLOW,
        REFUSE,
        UNLESS(SYS_mprotect, 4),
        LOAD(args[2]),
        WHERE_SET(PROT_EXEC, 1),
        ALLOW,
        REFUSE,
        ALLOW_CALL(SYS_brk),
        ALLOW_CALL(SYS_munmap),
        ALLOW_CALL(SYS_mremap),
        ALLOW_CALL(SYS_madvise),
        // The answer.
        UNLESS(SYS_write, 4),
        LOAD(args[0]),
        UNLESS(answer, 1),
        ALLOW,
        REFUSE,
        // The end, and what only looks.
        ALLOW_CALL(SYS_exit),
        ALLOW_CALL(SYS_exit_group),
        ALLOW_CALL(SYS_rt_sigreturn),
        ALLOW_CALL(SYS_futex),
        ALLOW_CALL(SYS_sched_yield),
        ALLOW_CALL(SYS_clock_gettime),
        ALLOW_CALL(SYS_gettimeofday),
        REFUSE,
    };
    struct sock_fprog program = {sizeof step / sizeof step[0], step};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

#else

static bool filter_calls(int answer)
{
    (void)answer;
    return false;
}

#endif

// Bytes of addresses that this process has; 0 where nothing tells.
static int64_t memory_now(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void limit(unsigned what, int64_t most)
{
    setrlimit(what, &(struct rlimit){(rlim_t)most, (rlim_t)most});
}

static void give_up(const struct wall_limits *limits, int64_t memory, int answer)
{
    // What this process does on signals is not for the child: it just ends.
    static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGILL,  SIGABRT, SIGBUS,  SIGFPE,
                                  SIGUSR1, SIGSEGV, SIGUSR2, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 0);
    limit(RLIMIT_NPROC, 0);
    // Below the second number the end is SIGXCPU, by which it is known.
    setrlimit(RLIMIT_CPU, &(struct rlimit){(rlim_t)limits->seconds, (rlim_t)limits->seconds + 1});
    if (memory)
        limit(RLIMIT_AS, memory + limits->memory);
    if (!limits->no_filter)
        filter_calls(answer);
}

static void answer_and_end(int pipe, const unsigned char *answer, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t now = write(pipe, answer + done, size - done);
        if (now <= 0)
            _exit(1);
        done += (size_t)now;
    }
    _exit(0);
}

// --- this side

// How a child ended that gave no whole answer.
enum { STATUS_UNKNOWN = -1, STATUS_SILENT = -2 };

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Bytes of the answer that came before the child closed its end or `deadline` was there.
static size_t listen_to(int pipe, unsigned char *answer, size_t size, int64_t deadline)
{
    size_t done = 0;
    while (done < size) {
        struct pollfd poll_for = {.fd = pipe, .events = POLLIN};
        int64_t left = deadline - now();
        int ready = left > 0 ? poll(&poll_for, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        ssize_t count = ready > 0 ? read(pipe, answer + done, size - done) : 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

// The child's status, for which a child that said all or nothing is not waited: it is killed.
static int end_child(pid_t child, bool answered, int64_t deadline)
{
    static const struct timespec pause = {0, 1000000};
    int status;
    pid_t gone = 0;
    while (!answered && gone == 0 && now() < deadline) {
        gone = waitpid(child, &status, WNOHANG);
        if (gone == 0)
            nanosleep(&pause, NULL);
    }
    if (gone == child)
        return status;
    kill(child, SIGKILL);
    RETRY(gone, waitpid(child, &status, 0));
    return gone < 0 ? STATUS_UNKNOWN : STATUS_SILENT;
}

static int explain(int status, const struct wall_limits *limits)
{
    if (status == STATUS_SILENT)
        return err_set(ERR_FORMAT, "its reader gave no answer within %d s", limits->patience);
    if (status != STATUS_UNKNOWN && WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);
        if (signal == SIGXCPU)
            return err_set(ERR_FORMAT, "its reader did not come to an end within %d s of computing",
                           limits->seconds);
        return err_set(ERR_FORMAT, "its reader crashed (signal %d, %s)", signal, strsignal(signal));
    }
    return err_set(ERR_FORMAT, "its reader ended without an answer");
}

static int judge(pid_t child, int pipe, const struct wall_limits *limits, void *answer, size_t size)
{
    int64_t deadline = now() + (int64_t)limits->patience * 1000;
    bool answered = listen_to(pipe, answer, size, deadline) == size;
    int status = end_child(child, answered, deadline);
    return answered ? 0 : explain(status, limits);
}

int wall_ask(wall_work *work, const void *context, const struct wall_limits *limits, void *answer,
             size_t size)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_set(ERR_FILE, "there is no pipe to a reader of it: %s", strerror(errno));
    memset(answer, 0, size);
    int64_t memory = memory_now();
    pid_t child = fork();
    int code = 0;
    if (child == 0) {
        give_up(limits, memory, ends[1]);
        work(context, answer);
        answer_and_end(ends[1], answer, size);
    } else if (child < 0) {
        code = err_set(ERR_MEMORY, "there is no process to read it in: %s", strerror(errno));
    }
    close(ends[1]);
    if (code == 0)
        code = judge(child, ends[0], limits, answer, size);
    close(ends[0]);
    return code;
}

// A filter of ours refuses any question but a few.
static void look_for_filter(const void *context, void *answer)
{
    (void)context;
    errno = 0;
    *(bool *)answer = getpriority(PRIO_PROCESS, 0) == -1 && errno == EPERM;
}

bool wall_has_filter(void)
{
    static const struct wall_limits limits = {.memory = 1 << 24, .seconds = 5, .patience = 10};
    bool is = false;
    return wall_ask(look_for_filter, NULL, &limits, &is, sizeof is) == 0 && is;
}
