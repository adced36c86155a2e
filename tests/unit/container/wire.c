/* A flat setup program is refused unless everything in it lies inside it. */

#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/container/container.h"
#include "engine/container/setup.h"
#include "tests/tap.h"

enum { STEPS = 3, N_SLOTS = 2 };

static const char *const words[] = {"/bin/ls", "-l", "A=b"};

/* A mount, a filter and an exec. */
static struct buf make(void)
{
    static const uint64_t filter[] = {6, 6};
    struct setup_step steps[STEPS] = {
        {.op = SETUP_ATTACH, .slot = 1, .path = "/data"},
        {.op = SETUP_SECCOMP, .slot = -1, .data = filter, .data_size = sizeof(filter)},
        {.op = SETUP_EXEC,
         .slot = -1,
         .number = {2, 1},
         .path = "/bin/ls",
         .argv = {(const char **)(uintptr_t)words, 2},
         .environment = {(const char **)(uintptr_t)words + 2, 1}},
    };
    struct setup_program program = {.steps = steps, .n_steps = STEPS, .n_slots = N_SLOTS};
    struct buf bytes = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_OK(setup_program_encode(&program, &bytes, &err), &err);
    return bytes;
}

static struct wire_program *head_of(struct buf *bytes)
{
    return (struct wire_program *)(void *)bytes->data;
}

static struct wire_step *step_of(struct buf *bytes, size_t i)
{
    return (struct wire_step *)(void *)(bytes->data + sizeof(struct wire_program)) + i;
}

TEST(an_encoded_program_reads_back)
{
    struct buf bytes = make();
    const struct wire_program *program = head_of(&bytes);
    const struct wire_step *exec = wire_step(program, 2);

    CHECK(wire_check(bytes.data, bytes.len, N_SLOTS));
    CHECK_TEXT(wire_text(program, wire_step(program, 0)->path), "/data");
    CHECK_INT(wire_step(program, 0)->slot, 1);
    CHECK(wire_text(program, exec->text) == NULL);
    CHECK(memcmp(bytes.data + exec->data.offset, "/bin/ls\0-l\0A=b", 15) == 0);
    buf_release(&bytes);
}

/* Each spoils one thing. */
static void bad_magic(struct buf *b)
{
    head_of(b)->magic++;
}
static void bad_version(struct buf *b)
{
    head_of(b)->version++;
}
static void bad_size(struct buf *b)
{
    head_of(b)->size--;
}
static void bad_reserved(struct buf *b)
{
    head_of(b)->reserved = 1;
}
static void no_steps(struct buf *b)
{
    head_of(b)->n_steps = 0;
}
static void steps_past_the_end(struct buf *b)
{
    head_of(b)->n_steps = 100;
}
static void steps_that_overflow(struct buf *b)
{
    head_of(b)->n_steps = UINT32_MAX;
}
static void other_slots(struct buf *b)
{
    head_of(b)->n_slots++;
}
static void unknown_op(struct buf *b)
{
    step_of(b, 0)->op = SETUP_OP_COUNT;
}
static void slot_past_the_end(struct buf *b)
{
    step_of(b, 0)->slot = N_SLOTS;
}
static void slot_far_below(struct buf *b)
{
    step_of(b, 0)->slot = INT32_MIN;
}
static void slot_missing(struct buf *b)
{
    step_of(b, 0)->slot = -1;
}
static void path_missing(struct buf *b)
{
    step_of(b, 0)->path.size = 0;
}
static void path_without_end(struct buf *b)
{
    step_of(b, 0)->path.size--;
}
static void path_with_two_ends(struct buf *b)
{
    b->data[step_of(b, 0)->path.offset + 1] = '\0';
}
static void path_past_the_end(struct buf *b)
{
    step_of(b, 0)->path.size = UINT32_MAX;
}
static void path_that_wraps(struct buf *b)
{
    step_of(b, 0)->path = (struct wire_range){UINT32_MAX - 2, 8};
}
static void path_over_the_header(struct buf *b)
{
    step_of(b, 0)->path = (struct wire_range){0, 4};
}
static void filter_unaligned(struct buf *b)
{
    step_of(b, 1)->data.offset += 4;
    step_of(b, 1)->data.size -= 8;
}
static void filter_of_half_an_instruction(struct buf *b)
{
    step_of(b, 1)->data.size -= 4;
}
static void filter_missing(struct buf *b)
{
    step_of(b, 1)->data.size = 0;
}
static void one_word_too_many(struct buf *b)
{
    step_of(b, 2)->number[0]++;
}
static void words_that_overflow(struct buf *b)
{
    step_of(b, 2)->number[0] = UINT64_MAX - 1;
    step_of(b, 2)->number[1] = 5;
}
static void no_words(struct buf *b)
{
    step_of(b, 2)->number[0] = 0;
}
static void words_without_end(struct buf *b)
{
    step_of(b, 2)->data.size--;
}

TEST(anything_that_does_not_fit_is_refused)
{
    static void (*const spoil[])(struct buf *) = {bad_magic,
                                                  bad_version,
                                                  bad_size,
                                                  bad_reserved,
                                                  no_steps,
                                                  steps_past_the_end,
                                                  steps_that_overflow,
                                                  other_slots,
                                                  unknown_op,
                                                  slot_past_the_end,
                                                  slot_far_below,
                                                  slot_missing,
                                                  path_missing,
                                                  path_without_end,
                                                  path_with_two_ends,
                                                  path_past_the_end,
                                                  path_that_wraps,
                                                  path_over_the_header,
                                                  filter_unaligned,
                                                  filter_of_half_an_instruction,
                                                  filter_missing,
                                                  one_word_too_many,
                                                  words_that_overflow,
                                                  no_words,
                                                  words_without_end};

    for (size_t i = 0; i < sizeof(spoil) / sizeof(*spoil); i++) {
        struct buf bytes = make();

        spoil[i](&bytes);
        if (wire_check(bytes.data, bytes.len, N_SLOTS))
            tap_fail(TAP_HERE, "case %zu was let through", i);
        buf_release(&bytes);
    }
}

TEST(every_truncation_is_refused)
{
    struct buf bytes = make();

    for (size_t n = 0; n < bytes.len; n++) {
        CHECK(!wire_check(bytes.data, n, N_SLOTS));
        if (n >= sizeof(struct wire_program)) { /* also when the header agrees with it */
            struct buf copy = make();

            head_of(&copy)->size = (uint32_t)n;
            CHECK(!wire_check(copy.data, n, N_SLOTS));
            buf_release(&copy);
        }
    }
    buf_release(&bytes);
}

TEST(random_damage_never_leads_outside)
{
    unsigned seed = 1;

    for (int round = 0; round < 20000; round++) {
        struct buf bytes = make();

        for (int i = 0; i < 3; i++)
            bytes.data[(size_t)rand_r(&seed) % bytes.len] = (char)rand_r(&seed);
        /* what passes must be safe to walk; the sanitizers look on */
        if (wire_check(bytes.data, bytes.len, N_SLOTS)) {
            const struct wire_program *program = head_of(&bytes);

            for (uint32_t i = 0; i < program->n_steps; i++) {
                const char *path = wire_text(program, wire_step(program, i)->path);

                CHECK(path == NULL || strlen(path) < bytes.len);
            }
        }
        buf_release(&bytes);
    }
}
