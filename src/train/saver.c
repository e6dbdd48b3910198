// Saving beside the training. What the thread reads is a copy, or does not change while a run
// lasts, or (tables, result) is not touched by the training thread before it has joined this one.
#include "saver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/par.h"
#include "../../autograd/base/retry.h"
#include "../io/checkpoint.h"
#include "run_folder.h"

// Lines of errors are a thread's own: they go along.
static int note(struct saver *saver, enum save_part part, int code)
{
    saver->result.part[part].code = code;
    if (code < 0)
        snprintf(saver->result.part[part].line, sizeof saver->result.part[part].line, "%s",
                 err_last());
    return code;
}

static int sync_file(int fd, const struct save_order *order, const char *name)
{
    int result;
    RETRY(result, fdatasync(fd));
    if (result == 0 || errno == EINVAL || errno == EROFS)
        return 0;
    return err_set(ERR_FILE, "cannot write %s/%s: %s", order->folder, name, strerror(errno));
}

// The newest checkpoint matters more than the one before: it is written even if that cannot stay.
static void write_checkpoint(struct saver *saver, struct h5_writer *writer)
{
    const struct save_order *order = &saver->order;
    note(saver, SAVE_METRICS, sync_file(order->metrics, order, "metrics.jsonl"));
    if (order->events >= 0)
        note(saver, SAVE_EVENTS, sync_file(order->events, order, "events.out.tfevents.*"));
    if (order->elder >= 0)
        note(saver, SAVE_ELDER, run_folder_keep(order->lock, order->folder, order->elder));
    if (note(saver, SAVE_CHECKPOINT, h5_writer_publish(writer, order->checkpoint)) == 0)
        note(saver, SAVE_PRUNE,
             run_folder_prune(order->lock, order->folder, saver->result.step, order->keep - 1));
}

static bool wait_for_verdict(struct saver *saver)
{
    pthread_mutex_lock(&saver->lock);
    while (saver->verdict == SAVE_UNJUDGED)
        pthread_cond_wait(&saver->judged, &saver->lock);
    bool good = saver->verdict == SAVE_GOOD;
    pthread_mutex_unlock(&saver->lock);
    return good;
}

// best.h5 and checkpoint.h5 of one step have the same bytes.
static void write_files(struct saver *saver, const struct trainer *state,
                        const struct history *history)
{
    const struct save_order *order = &saver->order;
    bool best = order->best[0], checkpoint = order->checkpoint[0];
    struct h5_writer *writer =
        checkpoint_writer(checkpoint ? order->checkpoint : order->best, state, history);
    int code = writer ? 0 : err_code();
    saver->result.dropped = !wait_for_verdict(saver);
    if (code == 0 && !saver->result.dropped && order->folder[0])
        code = run_folder_check(order->lock, order->folder);
    if (best)
        note(saver, SAVE_BEST, code);
    if (checkpoint)
        note(saver, SAVE_CHECKPOINT, code);
    if (code == 0 && !saver->result.dropped) {
        if (best)
            note(saver, SAVE_BEST, h5_writer_publish(writer, order->best));
        if (checkpoint)
            write_checkpoint(saver, writer);
    }
    h5_writer_free(writer);
}

// --- beside the training

static void *beside(void *context)
{
    struct saver *saver = context;
    pthread_setname_np(pthread_self(), "posgrad-save"); // what top -H shows
    par_flush_denormals();
    write_files(saver, &saver->view, &saver->history);
    pthread_mutex_lock(&saver->lock);
    saver->done = true;
    pthread_mutex_unlock(&saver->lock);
    return NULL;
}

// Rows are added and never changed.
static int copy_history(struct history *to, const struct history *from)
{
    int code = 0;
    for (int s = 0; s < HISTORY_SPLITS; s++) {
        const struct history_series *series = &from->split[s];
        for (int64_t i = to->split[s].rows; i < series->rows && code == 0; i++) {
            double value[HISTORY_MAX_COLUMNS];
            for (int c = 0; c < history_layouts[s].columns; c++)
                value[c] = series->column[c][i];
            code = history_add(to, (enum history_split)s, series->step[i], value);
        }
    }
    return code;
}

int saver_reserve(struct saver *saver, const struct trainer *trainer)
{
    if (!saver->copy)
        saver->copy = aligned_zeroed(trainer_state_count(trainer), sizeof(real));
    return saver->copy ? 0 : ERR_MEMORY;
}

static int copy_state(struct saver *saver, struct trainer *trainer, const struct history *history)
{
    int code = saver_reserve(saver, trainer);
    if (code == 0)
        code = trainer_check_state(trainer, saver->copy);
    if (code == 0)
        code = copy_history(&saver->history, history);
    if (code == 0)
        code = trainer_refresh_tables(trainer);
    if (code == 0)
        trainer_view(&saver->view, trainer, saver->copy);
    return code;
}

static void begin(struct saver *saver, const struct save_order *order, int64_t step,
                  enum save_verdict verdict)
{
    memset(&saver->result, 0, sizeof saver->result);
    saver->result.step = step;
    saver->order = *order;
    saver->verdict = verdict;
    saver->done = false;
    pthread_mutex_init(&saver->lock, NULL);
    pthread_cond_init(&saver->judged, NULL);
}

static void end(struct saver *saver)
{
    pthread_mutex_destroy(&saver->lock);
    pthread_cond_destroy(&saver->judged);
    saver->under_way = false;
}

// Signals are for the thread that trains.
static bool start(struct saver *saver)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    saver->under_way = pthread_create(&saver->thread, NULL, beside, saver) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return saver->under_way;
}

int saver_begin(struct saver *saver, const struct save_order *order, struct trainer *trainer,
                const struct history *history, bool proven)
{
    BUG_ON(saver->under_way);
    int code = copy_state(saver, trainer, history);
    if (code < 0)
        return code;
    begin(saver, order, trainer->step, proven ? SAVE_GOOD : SAVE_UNJUDGED);
    if (start(saver))
        return 0;
    end(saver);
    return err_set(ERR_MEMORY, "there is no thread to save beside the training");
}

int saver_here(struct saver *saver, const struct save_order *order, struct trainer *trainer,
               const struct history *history)
{
    BUG_ON(saver->under_way);
    int code = trainer_refresh_tables(trainer);
    if (code < 0)
        return code;
    begin(saver, order, trainer->step, SAVE_GOOD);
    write_files(saver, trainer, history);
    end(saver);
    return 0;
}

bool saver_is_unjudged(struct saver *saver)
{
    if (!saver->under_way)
        return false;
    pthread_mutex_lock(&saver->lock);
    bool unjudged = saver->verdict == SAVE_UNJUDGED;
    pthread_mutex_unlock(&saver->lock);
    return unjudged;
}

void saver_judge(struct saver *saver, bool good)
{
    BUG_ON(!saver->under_way);
    pthread_mutex_lock(&saver->lock);
    saver->verdict = good ? SAVE_GOOD : SAVE_DROPPED;
    pthread_cond_signal(&saver->judged);
    pthread_mutex_unlock(&saver->lock);
}

bool saver_ended(struct saver *saver, bool wait)
{
    if (!saver->under_way)
        return false;
    BUG_ON(wait && saver_is_unjudged(saver));
    pthread_mutex_lock(&saver->lock);
    bool done = saver->done;
    pthread_mutex_unlock(&saver->lock);
    if (!done && !wait)
        return false;
    pthread_join(saver->thread, NULL);
    end(saver);
    return true;
}

void saver_release(struct saver *saver)
{
    if (saver_is_unjudged(saver))
        saver_judge(saver, false);
    saver_ended(saver, true);
    history_release(&saver->history);
    free(saver->copy);
    saver->copy = NULL;
}
