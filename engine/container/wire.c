/* Reading a flat setup program without trusting it. Also part of the zygote: no libc. */

#include "engine/container/wire.h"

const char *const setup_op_names[SETUP_OP_COUNT] = {
#define X(op, name, needs) [SETUP_##op] = (name),
    SETUP_OPS(X)
#undef X
};

static const uint8_t op_needs[SETUP_OP_COUNT] = {
#define X(op, name, needs) [SETUP_##op] = (needs),
    SETUP_OPS(X)
#undef X
};

/* Inside the block, behind header and steps. */
static bool range_is_inside(struct wire_range range, const struct wire_program *program)
{
    size_t start = sizeof(*program) + (size_t)program->n_steps * sizeof(struct wire_step);

    if (range.size == 0)
        return true;
    return range.offset >= start && range.offset <= program->size &&
           range.size <= program->size - range.offset;
}

/* One NUL, at the end. */
static bool text_is_whole(struct wire_range range, const struct wire_program *program)
{
    const char *bytes = (const char *)program + range.offset;

    if (range.size == 0)
        return true;
    for (uint32_t i = 0; i < range.size; i++) {
        if ((bytes[i] == '\0') != (i == range.size - 1))
            return false;
    }
    return true;
}

/* Exactly `n` strings, each with its NUL. */
static bool strings_are_whole(struct wire_range range, const struct wire_program *program,
                              uint64_t n)
{
    const char *bytes = (const char *)program + range.offset;
    uint64_t found = 0;

    for (uint32_t i = 0; i < range.size; i++)
        found += bytes[i] == '\0';
    return found == n && (range.size == 0 || bytes[range.size - 1] == '\0');
}

static bool arguments_fit(const struct wire_step *step, const struct wire_program *program)
{
    switch ((enum setup_op)step->op) {
    case SETUP_STDIO:
        return step->number[0] <= 2;
    case SETUP_GROUPS:
        return step->data.size % sizeof(uint32_t) == 0 && step->data.offset % 4 == 0;
    case SETUP_SECCOMP: /* struct sock_filter is 8 bytes; BPF_MAXINSNS is 4096 */
        return step->data.size > 0 && step->data.size % 8 == 0 && step->data.size / 8 <= 4096 &&
               step->data.offset % 8 == 0;
    case SETUP_EXEC:
        return step->number[0] >= 1 && step->number[0] <= WIRE_STRINGS_MAX &&
               step->number[1] <= WIRE_STRINGS_MAX &&
               strings_are_whole(step->data, program, step->number[0] + step->number[1]);
    default:
        return true;
    }
}

static bool step_is_valid(const struct wire_step *step, const struct wire_program *program)
{
    uint8_t needs;

    if (step->op >= SETUP_OP_COUNT)
        return false;
    needs = op_needs[step->op];
    if (step->slot < -1 || step->slot >= (int64_t)program->n_slots)
        return false;
    if ((needs & WIRE_SLOT) && step->slot < 0)
        return false;
    if (((needs & WIRE_PATH) && step->path.size == 0) ||
        ((needs & WIRE_TEXT) && step->text.size == 0))
        return false;
    if (!range_is_inside(step->path, program) || !range_is_inside(step->text, program) ||
        !range_is_inside(step->options, program) || !range_is_inside(step->data, program))
        return false;
    if (!text_is_whole(step->path, program) || !text_is_whole(step->text, program) ||
        !text_is_whole(step->options, program))
        return false;
    if (step->path.size > 4096)
        return false;
    return arguments_fit(step, program);
}

bool wire_check(const void *bytes, size_t size, size_t n_slots)
{
    const struct wire_program *program = bytes;

    if (size < sizeof(*program) || size > WIRE_PROGRAM_MAX || (uintptr_t)bytes % 8 != 0)
        return false;
    if (program->magic != WIRE_MAGIC || program->version != WIRE_VERSION || program->size != size ||
        program->reserved != 0)
        return false;
    if (program->n_steps == 0 || program->n_steps > WIRE_STEPS_MAX ||
        program->n_steps > (size - sizeof(*program)) / sizeof(struct wire_step))
        return false;
    if (program->n_slots != n_slots || n_slots > WIRE_SLOTS_MAX)
        return false;
    for (uint32_t i = 0; i < program->n_steps; i++) {
        if (!step_is_valid(wire_step(program, i), program))
            return false;
    }
    return true;
}

const struct wire_step *wire_step(const struct wire_program *program, uint32_t index)
{
    return (const struct wire_step *)(const void *)(program + 1) + index;
}

const char *wire_text(const struct wire_program *program, struct wire_range range)
{
    return range.size == 0 ? NULL : (const char *)program + range.offset;
}
