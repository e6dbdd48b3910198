// Random command lines: made of the real names of commands, options and values, and of junk. None
// may crash or hang the program; each ends with 0, 1 or 2, and an error is one line (wrong usage:
// and one that points to --help).
//
// Each command line is a child process of this one, which has the whole program in it but for
// main(): the child runs it as far as where computing would begin, after all arguments were read,
// and one of some goes on from there, under limits. POSGRAD_VECTORS is how many, 2000 where it is
// not set; the same number makes the same ones. --wrap=command_check_products is in the Makefile.
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

// The program, with another name for its main.
int posgrad_main(int argc, char **argv);
#define main posgrad_main
#include "../../src/cli/main.c"
#undef main

#include "../../autograd/base/rng.h"
#include "../../src/recipes/recipe.h"
#include "../../src/train/train.h"
#include "../support/check.h"

enum { SHORT = 2000, MAX_ARGUMENTS = 24, MAX_WORDS = 2048, TEXT = 1 << 16, CLEAN_EVERY = 500 };
// One of so many command lines that are good goes on to compute, for at most so long.
enum { RUN_ONE_OF = 100, SECONDS = 2 };

// --- the program in a child

// What the child tells of itself.
static struct shared {
    int compute;  // whether it may
    int computes; // that it came to where computing begins
} * shared;

int __real_command_check_products(void);
int __wrap_command_check_products(void);
int __wrap_command_check_products(void)
{
    shared->computes = 1;
    if (!shared->compute)
        exit(0);
    setrlimit(RLIMIT_CPU, &(struct rlimit){SECONDS, SECONDS + 1});
    return __real_command_check_products();
}

// All builds are this one.
static int enter(int argc, char **argv)
{
    par_flush_denormals();
    for (int i = 0; i < command_count; i++)
        if (strcmp(commands[i]->name, argv[0]) == 0)
            return command_run(commands[i], argc, argv);
    abort();
}
#define BUILD(name)                                                                                \
    int name(int argc, char **argv)                                                                \
    {                                                                                              \
        return enter(argc, argv);                                                                  \
    }
#ifdef POSGRAD_HAS_avx512
BUILD(posgrad_float_avx512)
BUILD(posgrad_double_avx512)
#endif
#ifdef POSGRAD_HAS_avx2
BUILD(posgrad_float_avx2)
BUILD(posgrad_double_avx2)
#endif
#ifdef POSGRAD_HAS_base
BUILD(posgrad_float_base)
BUILD(posgrad_double_base)
#endif

static int out, err; // files that get what the child prints

static void run_child(int argc, char **argv)
{
    int nothing = open("/dev/null", O_RDONLY);
    dup2(nothing, 0);
    dup2(out, 1);
    dup2(err, 2);
    setrlimit(RLIMIT_CPU, &(struct rlimit){60, 61});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 24, 1 << 24});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGXFSZ, SIG_IGN);
    argp_err_exit_status = 2;
    exit(finish(dispatch(argc, argv)));
}

static int run_vector(int argc, char **argv, bool compute)
{
    int status;
    assert_true(ftruncate(out, 0) == 0 && ftruncate(err, 0) == 0);
    lseek(out, 0, SEEK_SET);
    lseek(err, 0, SEEK_SET);
    *shared = (struct shared){.compute = compute};
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_child(argc, argv);
    assert_true(waitpid(child, &status, 0) == child);
    return status;
}

static size_t printed(int file, char text[TEXT])
{
    ssize_t size = pread(file, text, TEXT - 1, 0);
    assert_true(size >= 0);
    text[size] = '\0';
    return (size_t)size;
}

// --- words that command lines are made of

static struct words {
    int count;
    char *word[MAX_WORDS];
} general, values, options_of[MAX_COMMANDS];

__attribute__((format(printf, 2, 3))) static void add_word(struct words *words, const char *format,
                                                           ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert_true(words->count < MAX_WORDS);
    words->word[words->count++] = strdup(text);
}

static void add_pairs(const struct option_def *table)
{
    static const char *const settings[] = {"1", "0", "-3", "0.5", "yes", "x", "1e99", ""};
    for (int i = 0; table && table[i].key; i++) {
        add_word(&values, "%s=%s", table[i].key, table[i].default_value);
        add_word(&values, "%s=%s", table[i].key, settings[i % 8]);
    }
}

static void collect_values(void)
{
    static const char *const some[] = {"0",
                                       "-1",
                                       "1",
                                       "2",
                                       "3",
                                       "8",
                                       "16",
                                       "32",
                                       "4096",
                                       "1048577",
                                       "1e3",
                                       "1e999",
                                       "nan",
                                       "inf",
                                       "0x10",
                                       "99999999999999999999",
                                       "1 ",
                                       "",
                                       " 1",
                                       "12abc",
                                       "+5",
                                       "-0",
                                       "1.5",
                                       "0.1",
                                       "32,64",
                                       "8,,9",
                                       "8-",
                                       "0-4",
                                       "0,1,2",
                                       "5-1",
                                       "1-99999",
                                       "yes",
                                       "no",
                                       "maybe",
                                       "last",
                                       "best",
                                       "run",
                                       "run/",
                                       "run/checkpoint.h5",
                                       "run/config.json",
                                       "none",
                                       "run/metrics.jsonl",
                                       "text",
                                       "missing",
                                       "missing/x",
                                       ".",
                                       "-",
                                       "double",
                                       "float",
                                       "encoder",
                                       "decoder",
                                       "softmax",
                                       "linear",
                                       "l2",
                                       "json",
                                       "npz",
                                       "csv",
                                       "npy",
                                       "tables",
                                       "model",
                                       "ema",
                                       "clip",
                                       "ntk,yarn",
                                       "wrap,clip,none",
                                       "test",
                                       "validation",
                                       "all",
                                       "encodings",
                                       "tasks",
                                       "ops",
                                       "a.csv",
                                       "b.npz",
                                       "c.h5",
                                       "d.json",
                                       "=",
                                       "a=",
                                       "=b",
                                       "a=b=c",
                                       "rope.base=500",
                                       "x.y=z",
                                       "accuracy",
                                       "loss",
                                       "exact_match",
                                       "%s%n%d",
                                       "position_table"};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
        add_word(&general, "%s", some[i]);
    for (int i = 0; i < pe_count; i++) {
        add_word(&values, "%s", pe_list[i]->name);
        add_word(&values, "%s+%s", pe_list[i]->name, pe_list[(i * 7 + 3) % pe_count]->name);
        add_pairs(pe_list[i]->options);
    }
    for (int i = 0; i < task_count; i++) {
        add_word(&values, "%s", task_list[i]->name);
        add_pairs(task_list[i]->options);
    }
    for (int i = 0; i < optimizer_count; i++) {
        add_word(&values, "%s", optimizer_list[i]->name);
        add_pairs(optimizer_list[i]->options);
    }
    for (int i = 0; i < schedule_count; i++)
        add_word(&values, "%s", schedule_list[i]->name);
    for (int i = 0; i < recipe_count; i++)
        add_word(&values, "%s", recipe_list[i]->name);
}

// The options of a command are what its --help has.
static void collect_options(int command)
{
    static char text[TEXT];
    char name[64], help[] = "--help", program[] = "posgrad";
    char *argv[] = {program, name, help, NULL};
    snprintf(name, sizeof name, "%s", commands[command]->name);
    assert_int_equal(run_vector(3, argv, false), 0);
    printed(out, text);
    for (char *p = text; (p = strstr(p, "--"));) {
        size_t size = 2 + strspn(p + 2, "abcdefghijklmnopqrstuvwxyz-");
        if (size > 2 && p[-1] == ' ')
            add_word(&options_of[command], "%.*s", (int)size, p);
        p += size;
    }
    assert_in_range(options_of[command].count, 2, MAX_WORDS);
}

// --- command lines

static struct rng rng;

static uint32_t below(uint32_t n)
{
    return rng_below(&rng, n);
}

static const char *pick(const struct words *words)
{
    return words->word[below((uint32_t)words->count)];
}

// A command line under way; an argument is at most an 8192th part of what the system takes.
struct line {
    int argc;
    char *argv[MAX_ARGUMENTS + 1];
    char text[MAX_ARGUMENTS][4096];
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    if (line->argc == MAX_ARGUMENTS)
        return;
    va_start(arguments, format);
    vsnprintf(line->text[line->argc], sizeof line->text[0], format, arguments);
    va_end(arguments);
    line->argv[line->argc] = line->text[line->argc];
    line->argv[++line->argc] = NULL;
}

// Any bytes but those that could name a file elsewhere.
static void junk(char text[4096])
{
    uint32_t size = below(16) ? below(12) : below(4095);
    bool letters = below(2);
    for (uint32_t i = 0; i < size; i++) {
        text[i] = (char)(letters ? 0x20 + below(0x5F) : 1 + below(255));
        if (text[i] == '/' || text[i] == '.')
            text[i] = '=';
    }
    text[size] = '\0';
}

// Some of its letters are others.
static void misspell(char *text)
{
    size_t size = strlen(text);
    for (uint32_t left = below(3); left > 0 && size > 2; left--)
        text[2 + below((uint32_t)size - 2)] = "abz-_=1"[below(7)];
    if (size > 3 && below(3) == 0)
        text[3 + below((uint32_t)size - 3)] = '\0';
}

static void value(char text[4096])
{
    if (below(8) == 0)
        junk(text);
    else
        snprintf(text, 4096, "%s", pick(below(2) ? &general : &values));
    if (below(16) == 0 && strlen(text) > 2 && !strchr(text, '/'))
        misspell(text);
}

static void add_option(struct line *line, int command)
{
    char name[128], text[4096];
    const struct words *from =
        &options_of[below(10) ? (uint32_t)command : below((uint32_t)command_count)];
    snprintf(name, sizeof name, "%s", pick(from));
    if (below(12) == 0)
        misspell(name);
    value(text);
    if (below(8) == 0)
        add(line, "%s", name);
    else if (below(2))
        add(line, "%.120s=%.3900s", name, text);
    else {
        add(line, "%s", name);
        add(line, "%s", text);
    }
}

// A setting of a run as it is where nothing is said.
static void add_good_option(struct line *line)
{
    int rows = 0;
    while (train_options[rows].key)
        rows++;
    const struct option_def *row = &train_options[below((uint32_t)rows)];
    if (strcmp(row->key, "pe") != 0 && strcmp(row->key, "task") != 0)
        add(line, "--%s=%s", row->key, row->default_value);
}

static void add_something(struct line *line, int command)
{
    static const char *const odd[] = {"-",         "--",  "---",  "--=",    "--=x", "-o",
                                      "-oa.csv",   "-?",  "-V",   "-h",     "-xyz", "--help=x",
                                      "--version", "-\n", "--\n", "--pe\t", "-o="};
    char text[4096];
    switch (below(12)) {
    case 0:
        junk(text);
        add(line, "%s", text);
        break;
    case 1:
        add(line, "%s", odd[below(sizeof odd / sizeof odd[0])]);
        break;
    case 2:
    case 3:
        value(text);
        add(line, "%s", text);
        break;
    default:
        add_option(line, command);
    }
}

// What makes a training that goes on small; later options win.
static void add_small(struct line *line)
{
    static const char *const small[] = {
        "--steps=2",      "--dim=8",    "--heads=2",   "--layers=1",    "--ff-dim=8",
        "--batch-size=2", "--length=8", "--threads=1", "--out-dir=new", "--overwrite"};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        if (line->argc < MAX_ARGUMENTS)
            add(line, "%s", small[i]);
}

static void make_line(struct line *line, int number)
{
    char text[4096];
    rng_init(&rng, rng_stream(1, "arguments"), (uint64_t)number, 0);
    line->argc = 0;
    int command = (int)below((uint32_t)command_count);
    bool train = strcmp(commands[command]->name, "train") == 0;
    add(line, "%s", train && below(2) ? "some/train" : "posgrad");
    if (strcmp(line->argv[0], "posgrad") == 0 && below(40)) {
        snprintf(text, sizeof text, "%s", commands[command]->name);
        if (below(40) == 0)
            misspell(text);
        add(line, "%s", text);
    } else if (below(40) == 0) {
        add(line, "help");
    }
    // Half of all are what the command asks for, so that what stands behind is reached.
    if (train && below(2)) {
        add(line, "--pe=%s", pe_list[below((uint32_t)pe_count)]->name);
        add(line, "--task=%s", task_list[below((uint32_t)task_count)]->name);
    } else if (below(2)) {
        add(line, "%s", below(3) ? "run" : below(2) ? "missing" : pick(&general));
    }
    for (uint32_t left = below(3) ? below(below(4) ? 4 : 14) : 0; left > 0; left--)
        if (train && below(2))
            add_good_option(line);
        else
            add_something(line, command);
    if (train && number % RUN_ONE_OF == 0)
        add_small(line);
}

// --- the verdict

static void show(const struct line *line, int number, const char *why)
{
    print_error("command line %d: %s:", number, why);
    for (int i = 0; i < line->argc; i++) {
        print_error(" $'");
        for (const char *c = line->argv[i]; *c; c++)
            if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F || *c == '\'' || *c == '\\')
                print_error("\\x%02x", (unsigned)(unsigned char)*c);
            else
                print_error("%c", *c);
        print_error("'");
    }
    print_error("\n");
}

// Lines that are on stderr; -1 where there is what no line may have.
static int lines_of(const char *text)
{
    int lines = 0;
    for (const char *c = text; *c; c++) {
        lines += *c == '\n';
        if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7F)
            return -1;
    }
    return lines;
}

static bool begins_well(const char *text)
{
    return strncmp(text, "posgrad", 7) == 0 || strncmp(text, "train: ", 7) == 0;
}

// Why it is not as it should be; NULL where it is.
static const char *wrong(const struct line *line, int status)
{
    static char said[TEXT], told[TEXT];
    size_t output = printed(out, told);
    printed(err, said);
    int lines = lines_of(said);
    if (WIFSIGNALED(status))
        return shared->computes && WTERMSIG(status) == SIGXCPU ? NULL : strsignal(WTERMSIG(status));
    // These two say by their status what they found, and it is on stdout.
    bool speaks = line->argc > 1 &&
                  (strcmp(line->argv[1], "diff") == 0 || strcmp(line->argv[1], "gradcheck") == 0);
    switch (WEXITSTATUS(status)) {
    case 0:
        return lines < 0 ? "control characters on stderr" : NULL;
    case 1:
        if (speaks && output && lines == 0)
            return NULL;
        return lines == 1 && begins_well(said) ? NULL : "status 1 and not one line on stderr";
    case 2: {
        if (output)
            return "status 2 and something on stdout";
        // argp cuts its pointer to --help into lines of a terminal.
        char *pointer = strstr(said, "\nTry ");
        if (pointer)
            pointer[1] = '\0';
        return begins_well(said) && lines_of(said) == 1 ? NULL
                                                        : "status 2 and not one line on stderr";
    }
    default:
        return "a strange exit status";
    }
}

// --- a folder with a run in it

static char folder[] = "/tmp/posgrad-arguments-XXXXXX";

static void make_run(void)
{
    struct line *line = calloc(1, sizeof *line);
    assert_non_null(line);
    add(line, "train");
    add(line, "--pe=learned");
    add(line, "--task=probe");
    add_small(line);
    add(line, "--out-dir=run");
    assert_int_equal(run_vector(line->argc, line->argv, true), 0);
    assert_int_equal(access("run/checkpoint.h5", R_OK), 0);
    free(line);
}

// Removes what command lines left behind, and makes the run anew.
static void clean(void)
{
    assert_true(system("rm -rf -- ./* ./.[!.]*") == 0);
    FILE *text = fopen("text", "w");
    assert_non_null(text);
    for (int i = 0; i < 500; i++)
        fprintf(text, "line %d\n", i);
    fclose(text);
    make_run();
}

static void test_random_command_lines(void **state)
{
    (void)state;
    static struct line line;
    const char *asked = getenv("POSGRAD_VECTORS");
    const char *begin = getenv("POSGRAD_FIRST");
    int wanted = asked ? (int)strtol(asked, NULL, 10) : SHORT, bad = 0, computed = 0, ends[3] = {0};
    int first = begin ? (int)strtol(begin, NULL, 10) : 0;
    clean();
    collect_values();
    for (int i = 0; i < command_count; i++)
        collect_options(i);
    for (int number = first; number < first + wanted && bad < 20; number++) {
        // Most of many only begin: what computing does is for other tests.
        bool compute = number % (number < 10000 ? RUN_ONE_OF : 10 * RUN_ONE_OF) == 0;
        if (number % CLEAN_EVERY == CLEAN_EVERY - 1)
            clean();
        make_line(&line, number);
        // That one starts the program that it is in, which is this test.
        bool starts = line.argc > 1 && strcmp(line.argv[1], "reproduce") == 0;
        int status = run_vector(line.argc, line.argv, compute && !starts);
        const char *why = wrong(&line, status);
        if (why)
            show(&line, number, why);
        bad += why != NULL;
        computed += shared->computes;
        if (WIFEXITED(status) && WEXITSTATUS(status) < 3)
            ends[WEXITSTATUS(status)]++;
    }
    print_message("%d command lines: %d ended with 0, %d with 1, %d with 2; %d were good enough to "
                  "compute\n",
                  wanted, ends[0], ends[1], ends[2], computed);
    assert_int_equal(bad, 0);
    // Else this tests little.
    assert_true(wanted < SHORT ||
                (20 * computed > wanted && 100 * ends[1] > wanted && 4 * ends[2] > wanted));
}

static int set_up(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    out = memfd_create("out", MFD_CLOEXEC);
    err = memfd_create("err", MFD_CLOEXEC);
    return shared != MAP_FAILED && out >= 0 && err >= 0 && mkdtemp(folder) && chdir(folder) == 0
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_command_lines)};
    return cmocka_run_group_tests(tests, set_up, tear_down) != 0;
}
