// Names of tokens: printable, without spaces, each once, for every task.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "../support/batch.h"
#include "../support/check.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void check_names(const struct dataset *dataset)
{
    char(*names)[DATASET_NAME] = calloc((size_t)dataset->vocab, sizeof *names);
    assert_non_null(names);
    for (int64_t token = 0; token < dataset->vocab; token++) {
        dataset_token_name(dataset, token, names[token]);
        size_t length = strnlen(names[token], DATASET_NAME);
        assert_true(length > 0 && length < DATASET_NAME);
        for (size_t i = 0; i < length; i++)
            assert_true(isgraph((unsigned char)names[token][i]));
    }
    qsort(names, (size_t)dataset->vocab, sizeof *names, by_text);
    for (int64_t i = 1; i < dataset->vocab; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            fail_msg("task %s: two tokens are called %s", dataset->task->name, names[i]);
    free(names);
}

static void every_task_names_each_token_once(void **state)
{
    (void)state;
    static const int64_t lengths[] = {32, 36}; // a grid is a square
    for (int i = 0; i < task_count; i++) {
        struct dataset dataset;
        int code = batch_open(&dataset, task_list[i]->name, lengths[0], 0, "");
        if (code < 0)
            code = batch_open(&dataset, task_list[i]->name, lengths[1], 0, "");
        check_ok(code);
        check_names(&dataset);
        dataset_close(&dataset);
    }
}

static void names_are_these(void **state)
{
    (void)state;
    static const struct {
        const char *task, *options, *names; // of the tokens from `first` on
        int64_t first;
    } cases[] = {
        {"copy", "symbols=3", "0 1 2 [SEP] [BLANK]", 0},
        {"addition", "", "9 + [SEP] [BLANK]", 9},
        {"modular-arithmetic", "", "4 + - ( ) * [SEP] [BLANK]", 4},
        {"modular-arithmetic-simple", "", "4 + - * [SEP] [BLANK]", 4},
        {"solve-equation", "", "4 + - ( ) x = [SEP] [BLANK]", 4},
        {"missing-duplicate", "", "0 1 ? _ [SEP] [BLANK]", 0},
        {"parity", "", "0 1 [SEP] [BLANK]", 0},
        {"binary-addition", "", "0 1 2 [SEP] [BLANK]", 0},
        {"probe", "bos=1", "31 [BOS]", 31},
        {"probe", "", "30 31", 30},
        {"counting", "variant=selective symbols=2 bos=1 classes=40", "39 item0 item1 [BOS]", 39},
        {"flip-flop", "", "0 1 write read ignore [BLANK]", 0},
        {"selective-copy", "symbols=3", "2 _ [SEP] [BLANK]", 2},
        {"indirect-indexing", "symbols=3 max_shift=2", "2 -2 -1 +0 +1 +2 [SEP] [BLANK]", 2},
        {"dyck", "types=2", "0 1 close", 0},
        {"even-tokens", "symbols=2", "0 1 [END]", 0},
        {"induction", "symbols=16", "15 [SEP]", 15},
        {"masked-text", "", "~ <0x7f>", 126},
        {"masked-text", "", "<0xff> [MASK]", 255},
        {"text", "", "<0x1f> <0x20> ! \"", 31},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dataset dataset;
        char all[256] = "";
        check_ok(batch_open(&dataset, cases[i].task, 32, 0, cases[i].options));
        int64_t token = cases[i].first;
        for (const char *c = cases[i].names; c; c = strchr(c + 1, ' '), token++) {
            char name[DATASET_NAME];
            assert_true(token < dataset.vocab);
            dataset_token_name(&dataset, token, name);
            strcat(strcat(all, *all ? " " : ""), name);
        }
        assert_string_equal(all, cases[i].names);
        dataset_close(&dataset);
    }
}

CHECK_MAIN(cmocka_unit_test(every_task_names_each_token_once), cmocka_unit_test(names_are_these))
