/* Differences of specs: which fields, which class, which texts. */

#include "reconcile/difference.h"

#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "tests/tap.h"

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    struct error err = ERROR_INIT;

    CHECK_OK(json_parse(str_from(text), &value, &err), &err);
    return value;
}

static struct differences compare(struct arena *arena, const char *old_text, const char *new_text)
{
    cleanup_json json_t *old_spec = parse(old_text), *new_spec = parse(new_text);

    return spec_difference(arena, old_spec, new_spec);
}

TEST(equal_specs_have_no_difference)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK_INT(compare(&arena, "{\"user\":\"a\"}", "{\"user\":\"a\"}").n, 0);
}

TEST(a_changed_variable_is_named_with_both_values)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct differences differences = compare(&arena, "{\"environment\":{\"A\":\"1\",\"B\":\"2\"}}",
                                             "{\"environment\":{\"A\":\"1\",\"B\":\"3\"}}");

    CHECK_INT(differences.n, 1);
    CHECK_TEXT(differences.items[0].field, "environment.B");
    CHECK_TEXT(differences.items[0].old_text, "2");
    CHECK_TEXT(differences.items[0].new_text, "3");
    CHECK(differences.needs_recreate);
}

TEST(what_was_unset_has_no_old_value)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct differences differences = compare(&arena, "{}", "{\"environment\":{\"A\":\"1\"}}");

    CHECK_INT(differences.n, 1);
    CHECK_TEXT(differences.items[0].field, "environment.A");
    CHECK(differences.items[0].old_text == NULL);
}

TEST(limits_and_policies_change_a_running_container)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct differences differences =
        compare(&arena, "{\"memory_bytes\":1,\"restart\":\"no\",\"labels\":{\"a\":\"1\"}}",
                "{\"memory_bytes\":2,\"restart\":\"always\",\"labels\":{\"a\":\"2\"}}");

    CHECK_INT(differences.n, 3);
    CHECK(differences.needs_update);
    CHECK(!differences.needs_recreate);
}

TEST(another_name_for_the_same_image_is_no_change)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct differences differences = compare(&arena, "{\"image\":\"a:1\",\"image_id\":\"x\"}",
                                             "{\"image\":\"a:2\",\"image_id\":\"x\"}");

    CHECK(!differences.needs_recreate);
    CHECK(!differences.needs_update);
}

TEST(secrets_are_compared_but_not_shown)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct differences differences = compare(&arena, "{\"environment\":{\"DB_PASSWORD\":\"old\"}}",
                                             "{\"environment\":{\"DB_PASSWORD\":\"new\"}}");

    CHECK_INT(differences.n, 1);
    CHECK_TEXT(differences.items[0].old_text, "(hidden)");
    CHECK_TEXT(differences.items[0].new_text, "(hidden)");
}
