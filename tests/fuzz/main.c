/* Runs the seeds of a fuzzer as ordinary tests, without libFuzzer:  tests/fuzz/seeds/NAME/ for the
 * program NAME. What the fuzzer found once stays there as a seed. --dictionary prints the words
 * that its mutations know, if it has any of its own. */

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/path.h"
#include "engine/base/str.h"

enum { SEED_MAX_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void mutate_print_dictionary(void) __attribute__((weak));

int main(int argc, char **argv)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *name = path_base(argv[0]);
    const char *dir = arena_printf(&arena, "tests/fuzz/seeds/%s", name);
    struct strings seeds = {0};

    if (argc > 1 && strcmp(argv[1], "--dictionary") == 0) {
        if (mutate_print_dictionary)
            mutate_print_dictionary();
        return 0;
    }
    (void)fs_list(AT_FDCWD, dir, &arena, &seeds, NULL); /* no folder: only the empty input */
    printf("1..%zu\n", seeds.n + 1);
    (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    printf("ok 1 - %s takes the empty input\n", name);
    for (size_t i = 0; i < seeds.n; i++) {
        cleanup_buf struct buf seed = BUF_INIT;
        struct error err = ERROR_INIT;

        fflush(stdout);
        if (fs_read_file(AT_FDCWD, path_join(&arena, dir, seeds.items[i]), SEED_MAX_BYTES, &seed,
                         &err) < 0) {
            fprintf(stderr, "# %s\n", err.text);
            return 1;
        }
        (void)LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&seed), seed.len);
        printf("ok %zu - %s takes %s\n", i + 2, name, seeds.items[i]);
    }
    return 0;
}
