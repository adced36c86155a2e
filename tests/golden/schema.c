/* schemas/compose.json is what the tables of keys print. GOLDEN_ACCEPT=1 (or `make schema`)
 * rewrites it. */

#include "compose/file/schema.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "tests/tap.h"

static const char schema_path[] = "schemas/compose.json";

/* The first line that differs. */
static void show_difference(const char *want, const char *got)
{
    size_t line = 1;
    size_t at = 0;

    for (size_t i = 0; want[i] && want[i] == got[i]; i++) {
        if (want[i] == '\n') {
            line++;
            at = i + 1;
        }
    }
    fprintf(stderr, "# %s:%zu: is\n# %.*s\n# but the tables say\n# %.*s\n# make schema\n",
            schema_path, line, (int)strcspn(want + at, "\n"), want + at,
            (int)strcspn(got + at, "\n"), got + at);
}

TEST(the_checked_in_schema_is_what_the_tables_say)
{
    cleanup_buf struct buf want = BUF_INIT;
    cleanup_buf struct buf got = BUF_INIT;
    struct error err = ERROR_INIT;

    compose_schema_print(&got);
    if (getenv("GOLDEN_ACCEPT"))
        CHECK_OK(
            fs_replace(AT_FDCWD, schema_path, buf_text(&got), got.len, 0644, FS_VOLATILE, &err),
            &err);
    CHECK_OK(fs_read_file(AT_FDCWD, schema_path, 10 << 20, &want, &err), &err);
    if (strcmp(buf_text(&want), buf_text(&got)) != 0)
        show_difference(buf_text(&want), buf_text(&got));
    CHECK_TEXT(buf_text(&got), buf_text(&want));
}

TEST(printing_twice_gives_the_same)
{
    cleanup_buf struct buf first = BUF_INIT;
    cleanup_buf struct buf second = BUF_INIT;

    compose_schema_print(&first);
    compose_schema_print(&second);
    CHECK(first.len > 10000);
    CHECK_TEXT(buf_text(&first), buf_text(&second));
}
