/* Generations: what was applied, when. state/projects/P/generations/N/{desired.json,plan.json}, and
 * state/projects/P/current, a file that holds N. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "reconcile/reconcile.h"

enum { GENERATIONS_KEPT = 10, CURRENT_MAX_BYTES = 32 };

static int read_current(int project_fd, int64_t *ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;
    struct error absent = ERROR_INIT;

    *ret = 0;
    if (fs_read_file(project_fd, "current", CURRENT_MAX_BYTES, &text, &absent) < 0) {
        if (absent.code == ERROR_NOT_FOUND)
            return 0;
        if (err)
            *err = absent;
        return -1;
    }
    if (parse_i64(str_trim(buf_str(&text)), 0, INT64_MAX - 1, ret, err) < 0)
        *ret = 0; /* torn by a power cut: numbering starts again, nothing depends on it */
    return 0;
}

int generation_current(struct engine *engine, const char *project, int64_t *ret, struct error *err)
{
    cleanup_fd int project_fd = -1;

    if (engine_project_dir(engine, project, &project_fd, err) < 0)
        return -1;
    return read_current(project_fd, ret, err);
}

static int write_json(int dir, const char *name, json_t *value, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    json_print(&text, value);
    buf_add_char(&text, '\n');
    return fs_replace(dir, name, text.data, text.len, 0600, FS_VOLATILE, err);
}

int generation_record(struct engine *engine, const struct desired *want, const struct plan *plan,
                      const struct strings *files, struct error *err)
{
    cleanup_fd int project_fd = -1, dir = -1;
    cleanup_json json_t *desired_json = desired_to_json(want);
    cleanup_json json_t *plan_json = plan_to_json(plan, files);
    char name[64], number[32]; /* "generations/" and at most 20 digits */
    int64_t current;

    if (engine_project_dir(engine, want->project, &project_fd, err) < 0 ||
        read_current(project_fd, &current, err) < 0)
        return -1;
    current++;
    (void)snprintf(name, sizeof(name), "generations/%" PRId64, current);
    (void)snprintf(number, sizeof(number), "%" PRId64 "\n", current);
    if (fs_open_dirs(project_fd, name, 0700, &dir, err) < 0 ||
        write_json(dir, "desired.json", desired_json, err) < 0 ||
        write_json(dir, "plan.json", plan_json, err) < 0 ||
        fs_replace(project_fd, "current", number, str_from(number).len, 0600, FS_VOLATILE, err) < 0)
        return error_wrap(err, "record generation %" PRId64 " of project \"%s\"", current,
                          want->project);

    if (current > GENERATIONS_KEPT) {
        (void)snprintf(name, sizeof(name), "generations/%" PRId64, current - GENERATIONS_KEPT);
        (void)fs_remove_tree(project_fd, name, NULL); /* an old record too many does no harm */
    }
    return 0;
}
