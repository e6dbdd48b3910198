// Saving beside the training: the training waits while its state is copied, and no longer.
//
// One save is under way at a time. A thread of its own lays the file out around the copy, seals and
// writes it; what became of it is there for the training thread once saver_ended says so.
#ifndef POSGRAD_SAVER_H
#define POSGRAD_SAVER_H

#include <pthread.h>

#include "history.h"
#include "train.h"

// What a save does, in this order.
enum save_part {
    SAVE_BEST,    // best.h5
    SAVE_METRICS, // metrics.jsonl reaches the disk: no checkpoint knows of lines that a crash takes
    SAVE_EVENTS,  // so does the event file
    SAVE_ELDER,   // the checkpoint that was there gets its second name
    SAVE_CHECKPOINT,
    SAVE_PRUNE, // second names beyond --keep go
    SAVE_PARTS
};

// What is to be written where. Descriptors stay open until the save has ended.
struct save_order {
    char folder[OPTION_TEXT];
    char best[OPTION_TEXT + 64], checkpoint[OPTION_TEXT + 64]; // paths; "": not this one
    int lock, metrics, events;                                 // descriptors; no event file: -1
    int64_t elder; // step of the checkpoint that gets a second name, or -1
    int64_t keep;  // checkpoints that stay
    bool asked;    // by whoever runs it (struct run_observer), rather than due
};

struct save_result {
    int64_t step;
    bool dropped; // saver_judge said so; nothing was written
    struct {
        int code; // 0 also where there was nothing to do
        char line[1024];
    } part[SAVE_PARTS];
};

enum save_verdict { SAVE_UNJUDGED, SAVE_GOOD, SAVE_DROPPED };

// Zeroed: nothing is under way. Fields but `result` are for saver.c.
struct saver {
    struct save_result result; // of the save that ended last
    struct save_order order;
    real *copy;             // the state, kept from save to save; NULL before the first
    struct trainer view;    // the trainer with that state
    struct history history; // the rows so far
    pthread_t thread;       // where under_way
    pthread_mutex_t lock;   // of the next three
    pthread_cond_t judged;  // verdict is no longer SAVE_UNJUDGED
    enum save_verdict verdict;
    bool done, under_way;
};

// Makes the memory that a copy takes, which saver_begin does otherwise. ERR_MEMORY.
int saver_reserve(struct saver *saver, const struct trainer *trainer);
// Copies the state, of which nothing may be under way, and starts to save it. What is not `proven`
// to compute is written once saver_judge says so. ERR_NUMBER: something in it is not finite.
// ERR_MEMORY: there is no memory or no thread for it; saver_here needs neither.
int saver_begin(struct saver *saver, const struct save_order *order, struct trainer *trainer,
                const struct history *history, bool proven);
// Saves in this thread, without a copy, a state that was checked. `result` is there when it returns
// 0. ERR_NUMBER: a table made of it is not finite.
int saver_here(struct saver *saver, const struct save_order *order, struct trainer *trainer,
               const struct history *history);
// Whether a save is under way that waits for saver_judge.
bool saver_is_unjudged(struct saver *saver);
void saver_judge(struct saver *saver, bool good);
// True once for each save that was begun: it is at its end, and `result` is there. With `wait` not
// before that (the save must be judged); false then says that none was under way.
bool saver_ended(struct saver *saver, bool wait);
// Waits for what is under way, drops it where it was not judged, and frees the copy.
void saver_release(struct saver *saver);

#endif
