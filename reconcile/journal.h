#pragma once

/* What an execution did, one line before and one behind each effect: run/projects/P/journal. A
 * later `up` computes its plan from what it observes; the journal only tells people (and the next
 * command) what was under way when somebody pulled the plug. Process crashes can't lose it, so it
 * is not synced. */

#include <stdbool.h>
#include <stddef.h>

struct engine;
struct error;
struct plan;

struct journal {
    int fd;
};

#define JOURNAL_INIT                                                                               \
    {                                                                                              \
        -1                                                                                         \
    }
#define cleanup_journal __attribute__((cleanup(journal_release)))
void journal_release(struct journal *journal);

int journal_open(struct engine *engine, const struct plan *plan, struct journal *ret,
                 struct error *err);
void journal_begin(struct journal *journal, const struct plan *plan, size_t node);
void journal_end(struct journal *journal, size_t node, bool is_done);
void journal_close_clean(struct journal *journal); /* the execution is over: marks it so */
