/* The journal of an execution. */

#include "reconcile/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/engine.h"
#include "reconcile/plan.h"

void journal_release(struct journal *journal)
{
    cleanup_close_fd(&journal->fd);
    journal->fd = -1;
}

int journal_open(struct engine *engine, const struct plan *plan, struct journal *ret,
                 struct error *err)
{
    cleanup_fd int dir = -1;

    if (engine_project_run_dir(engine, plan->project, &dir, err) < 0)
        return -1;
    ret->fd = openat(dir, "journal", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (ret->fd < 0)
        return error_sys(err, errno, "open the journal of project \"%s\"", plan->project);
    return 0;
}

/* A full disk must not stop a stack from coming up or down: the journal is a help, not a need. */
static void append(struct journal *journal, const struct buf *line)
{
    if (journal->fd >= 0)
        (void)fs_write_all(journal->fd, line->data, line->len, NULL);
}

void journal_begin(struct journal *journal, const struct plan *plan, size_t node)
{
    cleanup_buf struct buf line = BUF_INIT;

    buf_printf(&line, "B %zu %s %s ", node, op_kind_names[plan->nodes[node].kind],
               plan->nodes[node].subject);
    clock_print_rfc3339(&line, clock_realtime_ns());
    buf_add_char(&line, '\n');
    append(journal, &line);
}

void journal_end(struct journal *journal, size_t node, bool is_done)
{
    cleanup_buf struct buf line = BUF_INIT;

    buf_printf(&line, "E %zu %s\n", node, is_done ? "done" : "failed");
    append(journal, &line);
}

void journal_close_clean(struct journal *journal)
{
    cleanup_buf struct buf line = BUF_INIT;

    buf_add_text(&line, "end\n");
    append(journal, &line);
    journal_release(journal);
}
