/* Differences of specs: which fields, which class, which texts. */

#include "reconcile/difference.h"

#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "reconcile/desired.h"
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

    return spec_difference(arena, NULL, old_spec, new_spec);
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

/* ---- words -----------------------------------------------------------------------------------
 */

static const struct field_word rows[] = {
    {"environment", "environment"},
    {"health", "healthcheck"},
    {"health.interval_ns", "healthcheck.interval", UNIT_DURATION_NS},
    {"memory_bytes", "mem_limit", UNIT_BYTES},
    {"mounts", "volumes"},
    {"nano_cpus", "cpus", UNIT_NANO},
    {"ports", "ports"},
};

/* "word old -> new; …" */
static const char *said(struct arena *arena, const char *old_text, const char *new_text)
{
    const struct field_words words = {rows, sizeof(rows) / sizeof(*rows)};
    cleanup_json json_t *old_spec = parse(old_text), *new_spec = parse(new_text);
    struct differences differences = spec_difference(arena, &words, old_spec, new_spec);
    const char *text = "";

    for (size_t i = 0; i < differences.n; i++) {
        const struct difference *item = &differences.items[i];

        text = arena_printf(arena, "%s%s%s %s -> %s", text, i > 0 ? "; " : "", item->word,
                            item->old_text ? item->old_text : "(unset)",
                            item->new_text ? item->new_text : "(unset)");
    }
    return text;
}

TEST(fields_are_named_as_in_the_files_and_numbers_have_units)
{
    cleanup_arena struct arena arena = ARENA_INIT;

    CHECK_TEXT(said(&arena, "{\"memory_bytes\":67108864}", "{\"memory_bytes\":100000}"),
               "mem_limit 64m -> 100000b");
    CHECK_TEXT(said(&arena, "{}", "{\"memory_bytes\":1099511627776}"), "mem_limit (unset) -> 1t");
    CHECK_TEXT(said(&arena, "{\"nano_cpus\":500000000}", "{\"nano_cpus\":2000000000}"),
               "cpus 0.5 -> 2");
    CHECK_TEXT(said(&arena, "{\"health\":{\"interval_ns\":90000000000,\"retries\":3}}",
                    "{\"health\":{\"interval_ns\":500000000,\"retries\":4}}"),
               "healthcheck.interval 1m30s -> 500ms; healthcheck.retries 3 -> 4");
    CHECK_TEXT(said(&arena, "{\"environment\":{\"A\":\"1\"}}", "{\"environment\":{\"A\":\"2\"}}"),
               "environment.A 1 -> 2");
    CHECK_TEXT(said(&arena, "{}", "{\"user\":\"a\"}"), "user (unset) -> a");
}

TEST(of_lists_of_things_only_what_differs_is_said)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *one =
        "{\"host_first\":80,\"host_last\":80,\"container_port\":80,\"protocol\":\"tcp\"}";
    const char *two =
        "{\"host_ip\":\"::1\",\"host_first\":90,\"host_last\":92,\"container_port\":90,"
        "\"protocol\":\"udp\"}";

    CHECK_TEXT(said(&arena, arena_printf(&arena, "{\"ports\":[%s]}", one),
                    arena_printf(&arena, "{\"ports\":[%s,%s]}", one, two)),
               "ports (unset) -> [::1]:90-92:90/udp");
    CHECK_TEXT(said(&arena, arena_printf(&arena, "{\"ports\":[%s]}", one),
                    arena_printf(&arena, "{\"ports\":[%s]}", two)),
               "ports 80:80/tcp -> [::1]:90-92:90/udp");
    CHECK_TEXT(said(&arena,
                    "{\"mounts\":[{\"kind\":\"volume\",\"source\":\"a\",\"target\":\"/a\"}]}",
                    "{\"mounts\":[{\"kind\":\"tmpfs\",\"target\":\"/t\"}]}"),
               "volumes a:/a -> tmpfs:/t");
    /* What the short form does not tell apart is told by all of it. */
    CHECK_CONTAINS(said(&arena,
                        "{\"mounts\":[{\"kind\":\"volume\",\"source\":\"a\",\"target\":\"/a\"}]}",
                        "{\"mounts\":[{\"kind\":\"volume\",\"source\":\"a\",\"target\":\"/a\","
                        "\"no_copy\":true}]}"),
                   "no_copy");
}
