/* See field_text.h. */

#include "reconcile/field_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/base/sha256.h"
#include "engine/base/units.h"

enum { TEXT_SHOWN_MAX = 120, DIGEST_SHOWN = sizeof("sha256:0123456789ab") - 1 };

/* ---- words ----------------------------------------------------------------------------------- */

/* The row of the field, or the longest one that encloses it. */
static const struct field_word *find_row(const struct field_words *words, const char *field)
{
    const struct field_word *best = NULL;
    size_t best_len = 0;

    for (size_t i = 0; words && i < words->n; i++) {
        size_t len = strlen(words->items[i].field);

        if (len > best_len && strncmp(words->items[i].field, field, len) == 0 &&
            (field[len] == '\0' || field[len] == '.')) {
            best = &words->items[i];
            best_len = len;
        }
    }
    return best;
}

const char *field_word(struct arena *arena, const struct field_words *words, const char *field)
{
    const struct field_word *row = find_row(words, field);

    if (!row)
        return field;
    return arena_printf(arena, "%s%s", row->word, field + strlen(row->field));
}

static enum field_unit unit_of(const struct field_words *words, const char *field)
{
    const struct field_word *row = find_row(words, field);

    return row && strcmp(row->field, field) == 0 ? row->unit : UNIT_NONE;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The largest unit that says it exactly, as it would be written in a file. */
static void print_exact_bytes(struct buf *out, int64_t bytes)
{
    static const char units[] = "bkmgt";
    size_t unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && units[unit + 1] != '\0') {
        bytes /= 1024;
        unit++;
    }
    buf_printf(out, "%" PRId64 "%c", bytes, units[unit]);
}

static void print_number(struct buf *out, int64_t number, enum field_unit unit)
{
    switch (unit) {
    case UNIT_NONE:
        buf_printf(out, "%" PRId64, number);
        break;
    case UNIT_BYTES:
        print_exact_bytes(out, number);
        break;
    case UNIT_DURATION_NS:
        print_duration_go(out, number);
        break;
    case UNIT_NANO:
        buf_printf(out, "%g", (double)number / 1e9);
        break;
    }
}

static void print_port(struct buf *out, const json_t *port)
{
    const char *ip = json_text_or(port, "host_ip", NULL);
    int64_t first = json_i64_or(port, "host_first", 0), last = json_i64_or(port, "host_last", 0);

    if (ip)
        buf_printf(out, strchr(ip, ':') ? "[%s]:" : "%s:", ip);
    if (first > 0)
        buf_printf(out, "%" PRId64, first);
    if (last > first)
        buf_printf(out, "-%" PRId64, last);
    buf_printf(out, "%s%" PRId64 "/%s", ip || first > 0 ? ":" : "",
               json_i64_or(port, "container_port", 0), json_text_or(port, "protocol", "tcp"));
}

static void print_mount(struct buf *out, const json_t *mount)
{
    buf_printf(out, "%s:%s%s", json_text_or(mount, "source", json_text_or(mount, "kind", "")),
               json_text_or(mount, "target", ""),
               json_bool_or(mount, "read_only", false) ? ":ro" : "");
}

static void print_attachment(struct buf *out, const json_t *attachment)
{
    buf_add_text(out, json_text_or(attachment, "network", ""));
}

static void print_ulimit(struct buf *out, const json_t *ulimit)
{
    buf_printf(out, "%s=%" PRId64 ":%" PRId64, json_text_or(ulimit, "name", ""),
               json_i64_or(ulimit, "soft", 0), json_i64_or(ulimit, "hard", 0));
}

/* Things in lists, by a member that only they have (engine/container/spec.c). */
static const struct {
    const char *mark;
    void (*print)(struct buf *out, const json_t *item);
} things[] = {
    {"container_port", print_port},
    {"target", print_mount},
    {"network", print_attachment},
    {"soft", print_ulimit},
};

/* False when it's none that we know. */
static bool print_thing(struct buf *out, const json_t *item)
{
    for (size_t i = 0; i < sizeof(things) / sizeof(*things); i++) {
        if (json_object_get(item, things[i].mark)) {
            things[i].print(out, item);
            return true;
        }
    }
    return false;
}

static const char *shortened(struct arena *arena, const struct buf *text)
{
    size_t len = TEXT_SHOWN_MAX;

    if (text->len <= TEXT_SHOWN_MAX)
        return arena_strdup(arena, buf_text(text));
    while (len > 0 && ((unsigned char)text->data[len] & 0xc0) == 0x80) /* within a character */
        len--;
    return arena_printf(arena, "%.*s…", (int)len, buf_text(text));
}

static const char *value_text(struct arena *arena, const json_t *value, enum field_unit unit)
{
    cleanup_buf struct buf text = BUF_INIT;

    if (!value)
        return NULL;
    if (json_is_string(value) && digest_is_valid(json_string_value(value)))
        buf_printf(&text, "%.*s", DIGEST_SHOWN, json_string_value(value));
    else if (json_is_string(value))
        buf_add_text(&text, json_string_value(value));
    else if (json_is_integer(value))
        print_number(&text, json_integer_value(value), unit);
    else
        json_print(&text, value);
    return shortened(arena, &text);
}

/* ---- lists of things --------------------------------------------------------------------------
 */

static bool has_item(const json_t *list, const json_t *item)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (json_equal(json_array_get(list, i), item))
            return true;
    }
    return false;
}

/* What `list` has and `other` has not: "a, b". NULL: nothing, or something we have no words for. */
static const char *own_items_text(struct arena *arena, const json_t *list, const json_t *other)
{
    cleanup_buf struct buf text = BUF_INIT;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        if (has_item(other, item))
            continue;
        if (text.len > 0)
            buf_add_text(&text, ", ");
        if (!print_thing(&text, item))
            return NULL;
    }
    return text.len > 0 ? shortened(arena, &text) : NULL;
}

static bool holds_things(const json_t *value)
{
    return json_array_size(value) > 0 && json_is_object(json_array_get(value, 0));
}

struct field_texts field_texts(struct arena *arena, const struct field_words *words,
                               const char *field, const json_t *old_value, const json_t *new_value)
{
    enum field_unit unit = unit_of(words, field);
    struct field_texts texts = {0};

    if (holds_things(old_value) || holds_things(new_value)) {
        texts.old_text = own_items_text(arena, old_value, new_value);
        texts.new_text = own_items_text(arena, new_value, old_value);
    }
    /* Another order, or a part that has no words: all of it, as it is. */
    if ((!texts.old_text && !texts.new_text) || text_equal(texts.old_text, texts.new_text)) {
        texts.old_text = value_text(arena, old_value, unit);
        texts.new_text = value_text(arena, new_value, unit);
    }
    return texts;
}
