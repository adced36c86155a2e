/* The tables of keys: what every row must have. */

#include "compose/file/shapes.h"

#include <regex.h>
#include <string.h>

#include "compose/file/types.h"
#include "engine/base/buf.h"
#include "tests/tap.h"

enum { DEPTH_MAX = 12 };

/* Where a walk through the tables stands. */
struct walk {
    struct buf path;
    unsigned depth;
    bool is_kept;   /* in what is kept: nothing binds below */
    bool is_judged; /* a row above says whether it is honoured */
    bool has_place; /* the object here has a `kept` */
    size_t n_rows;
    size_t n_bad;
};

static void complain(struct walk *walk, const char *what)
{
    fprintf(stderr, "# %s: %s\n", buf_text(&walk->path), what);
    walk->n_bad++;
}

static void check_about(struct walk *walk, const struct field *field)
{
    size_t len = field->about ? strlen(field->about) : 0;

    if (len < 5 || len > 120)
        complain(walk, "needs a line that says what it is about");
    else if (field->about[len - 1] != '.')
        complain(walk, "what it is about ends with a full stop");
}

static void check_schema(struct walk *walk, const struct field *field)
{
    struct schema schema = field_schema(field);
    regex_t compiled;

    if (schema.forms == 0)
        complain(walk, "its type does not say what values look like");
    if (schema.pattern && regcomp(&compiled, schema.pattern, REG_EXTENDED | REG_NOSUB) != 0)
        complain(walk, "its pattern does not compile");
    else if (schema.pattern)
        regfree(&compiled);
    if ((schema.words || schema.pattern) && !(schema.forms & SCHEMA_TEXT))
        complain(walk, "has words or a pattern, but is no text");
}

/* Every kept value has a place, and a row that refuses it. */
static void check_state(struct walk *walk, const struct field *field)
{
    bool is_kept_type = field->type->keep != NULL;
    bool is_judged = walk->is_judged || field->state != FIELD_HONOURED || field->type->judges ||
                     (field->shape && field->shape->each && field->shape->each->type->judges);

    if (is_kept_type && field->type->decode)
        complain(walk, "is bound and kept");
    if (walk->is_kept && !is_kept_type)
        complain(walk, "binds, in something that is kept");
    if (is_kept_type && !walk->is_kept && !walk->has_place)
        complain(walk, "is kept, but the object has no place for it");
    if (is_kept_type && !is_judged && !(field->shape && field->shape->fields))
        complain(walk, "is kept, but neither it nor anything above it is refused");
}

static void walk_field(struct walk *walk, const struct field *field);

static void walk_shape(struct walk *walk, const struct shape *shape)
{
    for (size_t i = 0; i < shape->n_fields; i++)
        walk_field(walk, &shape->fields[i]);
    if (shape->each)
        walk_field(walk, shape->each);
}

static void walk_field(struct walk *walk, const struct field *field)
{
    struct walk outer = *walk;

    CHECK(walk->depth < DEPTH_MAX);
    buf_init(&walk->path, 1000);
    buf_printf(&walk->path, "%s.%s", buf_text(&outer.path),
               field->name.len > 0 ? field->name.data : "-");
    walk->depth++;
    walk->n_rows++;
    check_about(walk, field);
    if (!field->type) {
        complain(walk, "needs a type");
    } else {
        check_schema(walk, field);
        check_state(walk, field);
        walk->is_kept |= field->type->keep != NULL;
        walk->is_judged |= field->state != FIELD_HONOURED || field->type->judges;
        walk->has_place = field->shape && field->shape->kept_offset > 0;
        if (field->shape && field->type != &kept_ulimits) /* goes through the bound type */
            walk_shape(walk, field->shape);
    }
    buf_release(&walk->path);
    outer.n_rows = walk->n_rows;
    outer.n_bad = walk->n_bad;
    *walk = outer;
}

TEST(every_row_of_the_tables_is_complete)
{
    struct walk walk = {.depth = 0};

    buf_init(&walk.path, 1000);
    walk_field(&walk, &file_field);
    buf_release(&walk.path);
    CHECK(walk.n_rows > 150);
    CHECK_INT(walk.n_bad, 0);
}

TEST(rows_of_a_shape_have_different_keys)
{
    for (size_t i = 0; i < service_shape.n_fields; i++)
        CHECK(shape_find(&service_shape, service_shape.fields[i].name.data) ==
              &service_shape.fields[i]);
}
