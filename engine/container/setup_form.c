/* The two forms of a setup program: lines to read, bytes to run. */

#include <linux/mount.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/container/container.h"
#include "engine/container/setup.h"

/* ------------------------------------------------------------------ lines */

static const struct {
    uint64_t bit;
    const char *word;
} attribute_words[] = {
    {MOUNT_ATTR_RDONLY, "ro"},       {MOUNT_ATTR_NOSUID, "nosuid"},
    {MOUNT_ATTR_NODEV, "nodev"},     {MOUNT_ATTR_NOEXEC, "noexec"},
    {MOUNT_ATTR_NOATIME, "noatime"}, {MOUNT_ATTR_STRICTATIME, "strictatime"},
};

static const struct {
    uint64_t bit;
    const char *word;
} namespace_words[] = {
    {CLONE_NEWNS, "mount"}, {CLONE_NEWIPC, "ipc"},       {CLONE_NEWUTS, "uts"},
    {CLONE_NEWNET, "net"},  {CLONE_NEWCGROUP, "cgroup"},
};

static void print_attributes(struct buf *out, uint64_t attributes)
{
    const char *separator = " [";

    for (size_t i = 0; i < sizeof(attribute_words) / sizeof(*attribute_words); i++) {
        if (!(attributes & attribute_words[i].bit))
            continue;
        buf_printf(out, "%s%s", separator, attribute_words[i].word);
        separator = ",";
    }
    if (separator[0] == ',')
        buf_add_char(out, ']');
}

static void print_slot(struct buf *out, const struct setup_program *program, int index)
{
    const struct setup_slot *slot = &program->slots[index];

    switch (slot->kind) {
    case SLOT_GIVEN:
        buf_printf(out, " (%s)", slot->label);
        break;
    case SLOT_OVERLAY:
        buf_add_text(out, " overlay");
        for (size_t i = 0; i < program->layers.n; i++)
            buf_printf(out, " %s", program->layers.items[i]);
        print_attributes(out, slot->attributes);
        break;
    case SLOT_BIND:
        buf_printf(out, " from %s %s%s", slot->source, slot->propagation,
                   slot->create_source ? " create" : "");
        print_attributes(out, slot->attributes);
        break;
    case SLOT_FILE:
        buf_printf(out, " from own %s", slot->source);
        print_attributes(out, slot->attributes);
        break;
    }
}

static void print_list(struct buf *out, const char *head, const struct strings *list)
{
    for (size_t i = 0; i < list->n; i++)
        buf_printf(out, "%s%s\n", head, list->items[i]);
}

static void print_limit(struct buf *out, uint64_t value)
{
    if (value == UINT64_MAX)
        buf_add_text(out, " unlimited");
    else
        buf_printf(out, " %llu", (unsigned long long)value);
}

static void print_groups(struct buf *out, const struct setup_step *step)
{
    for (size_t i = 0; i < step->data_size; i += sizeof(gid_t)) {
        gid_t group;

        memcpy(&group, (const char *)step->data + i, sizeof(group));
        buf_printf(out, " %u", group);
    }
}

static void print_node(struct buf *out, const struct setup_step *step)
{
    mode_t mode = (mode_t)step->number[0];

    buf_printf(out, " %c %u:%u %04o %u:%u",
               S_ISBLK(mode)    ? 'b'
               : S_ISFIFO(mode) ? 'p'
                                : 'c',
               major(step->number[1]), minor(step->number[1]), mode & 07777,
               (unsigned)(step->number[2] >> 32), (unsigned)step->number[2]);
}

/* What follows the name, path and text of a step. */
static void print_numbers(struct buf *out, const struct setup_step *step)
{
    switch (step->op) {
    case SETUP_MOUNT:
        print_attributes(out, step->number[0]);
        break;
    case SETUP_JOIN_NAMESPACES:
        for (size_t i = 0; i < sizeof(namespace_words) / sizeof(*namespace_words); i++) {
            if (step->number[0] & namespace_words[i].bit)
                buf_printf(out, " %s", namespace_words[i].word);
        }
        break;
    case SETUP_MAKE_NODE:
        print_node(out, step);
        break;
    case SETUP_STDIO:
    case SETUP_OOM_SCORE:
        buf_printf(out, " %lld", (long long)step->number[0]);
        if (step->op == SETUP_STDIO && step->slot < 0)
            buf_add_text(out, " (/dev/null)");
        break;
    case SETUP_RLIMIT:
        print_limit(out, step->number[1]);
        print_limit(out, step->number[2]);
        break;
    case SETUP_UMASK:
        buf_printf(out, " %04llo", (unsigned long long)step->number[0]);
        break;
    case SETUP_CHDIR:
        buf_add_text(out, step->number[0] ? " create" : "");
        break;
    case SETUP_TERMINAL:
        buf_add_text(out, step->number[0] ? " as console" : "");
        break;
    case SETUP_ARMED:
        buf_add_text(out, step->number[0] ? ", wait" : "");
        break;
    case SETUP_BOUNDING:
    case SETUP_CAPABILITIES:
        buf_printf(out, " %016llx", (unsigned long long)step->number[0]);
        break;
    case SETUP_GROUPS:
        print_groups(out, step);
        break;
    case SETUP_USER:
        buf_printf(out, " %llu:%llu", (unsigned long long)step->number[0],
                   (unsigned long long)step->number[1]);
        break;
    case SETUP_SECCOMP:
        buf_printf(out, " %zu instructions", step->data_size / 8);
        break;
    default: /* the others have said it all */
        break;
    }
}

static void print_step(struct buf *out, const struct setup_program *program,
                       const struct setup_step *step)
{
    bool is_exec = step->op == SETUP_EXEC;

    buf_add_text(out, setup_op_names[step->op]);
    if (step->op == SETUP_MOUNT)
        buf_printf(out, " %s %s%s%s", step->text, step->path, step->options != NULL ? " " : "",
                   step->options != NULL ? step->options : "");
    else if (step->op == SETUP_MAKE_LINK)
        buf_printf(out, " %s -> %s", step->path, step->text);
    else if (step->op == SETUP_SYSCTL)
        buf_printf(out, " %s = %s", step->path, step->text);
    else if (!is_exec && (step->path != NULL || step->text != NULL))
        buf_printf(out, " %s", step->path != NULL ? step->path : step->text);
    print_numbers(out, step);
    if (step->slot >= 0)
        print_slot(out, program, step->slot);
    buf_add_char(out, '\n');
    if (is_exec) {
        print_list(out, "      ", &step->argv);
        print_list(out, "      env ", &step->environment);
    }
}

void setup_program_print(struct buf *out, const struct setup_program *program)
{
    for (size_t i = 0; i < program->n_steps; i++) {
        buf_printf(out, "%3zu ", i);
        print_step(out, program, &program->steps[i]);
    }
}

/* ------------------------------------------------------------------ bytes */

static void pad(struct buf *out)
{
    while (out->len % 8 != 0)
        buf_add_char(out, '\0');
}

static struct wire_range add_bytes(struct buf *out, const void *data, size_t size)
{
    struct wire_range range = {(uint32_t)out->len, (uint32_t)size};

    buf_add(out, data, size);
    return range;
}

static struct wire_range add_text(struct buf *out, const char *text)
{
    if (text == NULL)
        return (struct wire_range){0, 0};
    return add_bytes(out, text, strlen(text) + 1);
}

static struct wire_range add_strings(struct buf *out, const struct strings *a,
                                     const struct strings *b)
{
    size_t start = out->len;

    for (size_t i = 0; i < a->n; i++)
        (void)add_text(out, a->items[i]);
    for (size_t i = 0; i < b->n; i++)
        (void)add_text(out, b->items[i]);
    return (struct wire_range){(uint32_t)start, (uint32_t)(out->len - start)};
}

static struct wire_step encode_step(struct buf *out, const struct setup_step *step)
{
    struct wire_step wire = {.op = step->op, .slot = step->slot};

    memcpy(wire.number, step->number, sizeof(wire.number));
    wire.path = add_text(out, step->path);
    wire.text = add_text(out, step->text);
    wire.options = add_text(out, step->options);
    if (step->op == SETUP_EXEC) {
        wire.data = add_strings(out, &step->argv, &step->environment);
    } else if (step->data != NULL || step->op == SETUP_GROUPS) {
        pad(out);
        wire.data = add_bytes(out, step->data, step->data_size);
    }
    return wire;
}

int setup_program_encode(const struct setup_program *program, struct buf *ret, struct error *err)
{
    size_t steps_size = program->n_steps * sizeof(struct wire_step);
    struct wire_program head = {.magic = WIRE_MAGIC, .version = WIRE_VERSION};
    struct wire_step *steps = x_alloc_array(program->n_steps, sizeof(*steps));
    int result = 0;

    buf_init(ret, WIRE_PROGRAM_MAX);
    buf_add(ret, &head, sizeof(head));
    buf_add(ret, steps, steps_size); /* the place is filled in below */
    for (size_t i = 0; i < program->n_steps; i++)
        steps[i] = encode_step(ret, &program->steps[i]);
    head.size = (uint32_t)ret->len;
    head.n_steps = (uint32_t)program->n_steps;
    head.n_slots = (uint32_t)program->n_slots;
    if (ret->truncated) {
        result = error_set(err, ERROR_UNSUPPORTED,
                           "command and environment are larger than %d bytes", WIRE_PROGRAM_MAX);
    } else {
        memcpy(ret->data, &head, sizeof(head));
        memcpy(ret->data + sizeof(head), steps, steps_size);
        if (!wire_check(ret->data, ret->len, program->n_slots))
            BUG();
    }
    free(steps);
    return result;
}
