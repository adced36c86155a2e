/* "ls" of every group. */

#include "engine/command/listing.h"

#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/cli/app.h"
#include "engine/cli/cli.h"
#include "engine/cli/table.h"
#include "engine/command/command.h"
#include "engine/engine.h"

enum listing_format { LISTING_TABLE, LISTING_JSON };
static const char *const formats[] = {"table", "json", NULL};

const struct cli_option listing_flags[] = {
    {"quiet", 'q', CLI_FLAG, offsetof(struct listing_options, quiet), NULL,
     "print ids or names only"},
    {"format", 0, CLI_CHOICE, offsetof(struct listing_options, format), "FORMAT",
     "how to print; json is one object per line", formats},
    CLI_OPTIONS_END,
};

static void print_json_line(struct buf *out, json_t *item_take)
{
    cleanup_json json_t *item = item_take;

    json_print(out, item);
    buf_add_char(out, '\n');
}

static void print_list(struct cli_context *context, const struct listing_options *options,
                       const struct listing *listing, const char *items, size_t n, struct buf *out)
{
    struct arena *arena = &app_of(context)->arena;
    struct table table;

    table_init(&table, arena, listing->headings);
    for (size_t i = 0; i < n; i++) {
        const void *item = items + i * listing->item_size;

        if (options->quiet)
            buf_printf(out, "%s\n", listing->key(item));
        else if (options->format == LISTING_JSON)
            print_json_line(out, listing->to_json(item));
        else
            listing->add_rows(&table, arena, item);
    }
    if (!options->quiet && options->format == LISTING_TABLE)
        table_print(&table, out, context->stdout_colour ? TABLE_COLOUR : 0);
}

int listing_run(struct cli_context *context, const struct listing_options *options,
                const struct listing *listing, struct error *err)
{
    cleanup_buf struct buf out = BUF_INIT;
    struct engine *engine;
    void *items;
    size_t n;
    int result;

    if (engine_command_open(context, &engine, err) < 0)
        return -1;
    result = listing->load(engine, &app_of(context)->arena, &items, &n, err);
    if (result == 0) {
        print_list(context, options, listing, items, n, &out);
        result = fs_write_all(STDOUT_FILENO, buf_text(&out), out.len, err);
    }
    engine_close(engine);
    return result;
}
