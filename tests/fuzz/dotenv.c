/* Env files from hostile bytes, in both formats. */

#include <stdint.h>
#include <stdlib.h>

#include "compose/file/dotenv.h"
#include "compose/file/interpolate.h"
#include "compose/file/report.h"
#include "engine/base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(struct str text, enum dotenv_format format)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_report struct report report;
    struct pair item = {"HOME", "/home/user"};
    struct pairs pairs = {&item, 1};
    struct variables outer = {.find = variables_find_sorted, .context = &pairs};
    struct pairs none = {0};
    struct variables earlier = {.find = variables_find_sorted, .context = &none};
    struct dotenv_scope scope = {.outer = &outer, .earlier = &earlier};
    struct dotenv parsed = {0};
    uint32_t file;
    int result;

    report_init(&report, &arena);
    file = report_add_source(&report, "fuzz.env", "/fuzz.env", text);
    result = dotenv_parse(&report, file, format, &scope, &parsed);
    if ((result < 0) != (report.n_errors > 0))
        abort();
    for (size_t i = 0; i < parsed.n; i++) {
        if (!parsed.items[i].name[0] || parsed.items[i].line == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};

    parse(text, DOTENV_COMPOSE);
    parse(text, DOTENV_RAW);
    return 0;
}
