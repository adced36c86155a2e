/* Specs survive the way to JSON and back, whatever is in them. */

#include <stdlib.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/json.h"
#include "engine/engine.h"
#include "tests/tap.h"

static const char *print(struct arena *arena, json_t *json)
{
    cleanup_buf struct buf out = BUF_INIT;

    json_print(&out, json);
    json_decref(json);
    return arena_strdup(arena, buf_text(&out));
}

static json_t *parse(const char *text)
{
    struct error err = ERROR_INIT;
    json_t *json = NULL;

    CHECK_OK(json_parse(str_from(text), &json, &err), &err);
    return json;
}

static const char *round_trip(struct arena *arena, const char *text)
{
    cleanup_json json_t *json = parse(text);
    struct container_spec spec;
    struct error err = ERROR_INIT;

    CHECK_OK(container_spec_from_json(arena, json, &spec, &err), &err);
    return print(arena, container_spec_to_json(&spec));
}

TEST(an_empty_spec_has_the_defaults)
{
    struct arena arena = ARENA_INIT;
    cleanup_json json_t *json = parse("{}");
    struct container_spec spec;
    struct error err = ERROR_INIT;

    CHECK_OK(container_spec_from_json(&arena, json, &spec, &err), &err);
    CHECK_INT(spec.stop_grace_ns, -1);
    CHECK(!spec.has_command && !spec.health.is_set);
    CHECK_TEXT(print(&arena, container_spec_to_json(&spec)), "{}");
    arena_release(&arena);
}

TEST(every_key_comes_back_in_the_fixed_order)
{
    static const char text[] =
        "{\"name\":\"shop-web-1\",\"project\":\"shop\",\"image\":\"nginx\",\"image_id\":\"sha256:"
        "1\","
        "\"entrypoint\":[],\"command\":[\"nginx\",\"-g\",\"daemon off;\"],"
        "\"environment\":{\"A\":\"1\",\"GONE\":null},\"working_dir\":\"/srv\",\"user\":\"www\","
        "\"hostname\":\"web\",\"labels\":{\"x\":\"y\"},"
        "\"mounts\":[{\"kind\":\"bind\",\"source\":\"/a\",\"target\":\"/b\",\"read_only\":true,"
        "\"create_source\":true,\"propagation\":\"rslave\"},"
        "{\"kind\":\"tmpfs\",\"target\":\"/t\",\"size_bytes\":1048576,\"mode\":448,"
        "\"options\":\"uid=1\"},{\"kind\":\"volume\",\"source\":\"v\",\"target\":\"/v\","
        "\"no_copy\":true}],"
        "\"networks\":[{\"network\":\"shop_default\",\"aliases\":[\"web\"],"
        "\"ipv4_address\":\"10.0.0.2\"}],\"network_mode\":\"none\","
        "\"ports\":[{\"host_ip\":\"127.0.0.1\",\"host_first\":80,\"host_last\":90,"
        "\"container_port\":8080,\"protocol\":\"tcp\"}],\"expose\":[\"80/tcp\"],"
        "\"extra_hosts\":[\"a:1.2.3.4\"],\"dns\":[\"9.9.9.9\"],\"init\":true,\"tty\":true,"
        "\"stdin_open\":true,\"read_only\":true,\"privileged\":true,\"no_new_privileges\":true,"
        "\"cap_add\":[\"NET_ADMIN\"],\"cap_drop\":[\"ALL\"],\"sysctls\":{\"net.core.somaxconn\":"
        "\"1\"},\"ulimits\":[{\"name\":\"nofile\",\"soft\":-1,\"hard\":-1}],"
        "\"memory_bytes\":67108864,\"nano_cpus\":500000000,\"pids_limit\":-1,"
        "\"restart\":\"on-failure\",\"restart_max_retries\":3,\"health\":{\"test\":[\"CMD\",\"x\"],"
        "\"interval_ns\":1,\"timeout_ns\":2,\"start_period_ns\":3,\"start_interval_ns\":4,"
        "\"retries\":5},\"stop_signal\":\"SIGINT\",\"stop_grace_ns\":0}";
    struct arena arena = ARENA_INIT;

    CHECK_TEXT(round_trip(&arena, text), text);
    arena_release(&arena);
}

TEST(an_order_of_keys_does_not_matter_on_the_way_in)
{
    struct arena arena = ARENA_INIT;

    CHECK_TEXT(round_trip(&arena, "{\"tty\":true,\"init\":false,\"image\":\"a\",\"name\":\"b\"}"),
               "{\"name\":\"b\",\"image\":\"a\",\"tty\":true}");
    arena_release(&arena);
}

TEST(what_is_unknown_or_of_the_wrong_type_is_refused)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"imge\":\"a\"}", "key \"imge\" is unknown"},
        {"{\"image\":1}", "\"image\" is not a text"},
        {"{\"init\":1}", "\"init\" is not true or false"},
        {"{\"command\":\"ls\"}", "\"command\" is not a list of texts"},
        {"{\"command\":[1]}", "\"command\" is not a list of texts"},
        {"{\"labels\":{\"a\":1}}", "\"labels\" is not a map of texts"},
        {"{\"restart\":\"maybe\"}", "\"restart\": \"maybe\" is unknown"},
        {"{\"memory_bytes\":-1}", "out of range"},
        {"{\"ports\":[{\"container_port\":65536}]}", "\"ports\"[0]: \"container_port\""},
        {"{\"mounts\":[{\"kind\":\"npipe\"}]}", "\"mounts\"[0]: \"kind\": \"npipe\" is unknown"},
        {"[]", "not a JSON object"},
    };
    struct arena arena = ARENA_INIT;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cleanup_json json_t *json = parse(cases[i].text);
        struct container_spec spec;
        struct error err = ERROR_INIT;

        CHECK_FAILS(container_spec_from_json(&arena, json, &spec, &err), ERROR_INVALID,
                    cases[i].part);
    }
    arena_release(&arena);
}

/* ------------------------------------------------------------------ property: round trip */

static unsigned pick(unsigned *seed, unsigned n)
{
    return (unsigned)rand_r(seed) % n;
}

static const char *pick_text(struct arena *arena, unsigned *seed)
{
    static const char *const words[] = {"a", "", "ä\"\\\n", "x=y", "\x01", "long word with spaces"};

    return pick(seed, 3) == 0 ? NULL
                              : arena_printf(arena, "%s%u", words[pick(seed, 6)], pick(seed, 9));
}

static struct strings pick_strings(struct arena *arena, unsigned *seed)
{
    struct strings list = {arena_new_array(arena, const char *, 4), pick(seed, 4)};

    for (size_t i = 0; i < list.n; i++)
        list.items[i] = arena_printf(arena, "item %u", pick(seed, 100));
    return list;
}

static struct pairs pick_pairs(struct arena *arena, unsigned *seed)
{
    struct pairs list = {arena_new_array(arena, struct pair, 4), pick(seed, 4)};

    for (size_t i = 0; i < list.n; i++)
        list.items[i] = (struct pair){arena_printf(arena, "k%zu", i), pick_text(arena, seed)};
    return list;
}

static void pick_mounts(struct arena *arena, unsigned *seed, struct container_spec *spec)
{
    spec->n_mounts = pick(seed, 3);
    spec->mounts = arena_new_array(arena, struct mount_spec, 3);
    for (size_t i = 0; i < spec->n_mounts; i++)
        spec->mounts[i] = (struct mount_spec){.kind = pick(seed, 3),
                                              .source = pick_text(arena, seed),
                                              .target = pick_text(arena, seed),
                                              .read_only = pick(seed, 2),
                                              .no_copy = pick(seed, 2),
                                              .size_bytes = pick(seed, 3) * 4096,
                                              .mode = (int)pick(seed, 512) - 1};
}

static struct container_spec pick_spec(struct arena *arena, unsigned *seed)
{
    struct container_spec spec = {.name = pick_text(arena, seed), .image = pick_text(arena, seed)};

    spec.has_entrypoint = pick(seed, 2);
    if (spec.has_entrypoint)
        spec.entrypoint = pick_strings(arena, seed);
    spec.environment = pick_pairs(arena, seed);
    spec.labels = pick_pairs(arena, seed);
    pick_mounts(arena, seed, &spec);
    spec.dns = pick_strings(arena, seed);
    spec.init = pick(seed, 2);
    spec.privileged = pick(seed, 2);
    spec.memory_bytes = pick(seed, 2) * (UINT64_C(1) << 40);
    spec.pids_limit = (int64_t)pick(seed, 3) - 1;
    spec.restart = pick(seed, 4);
    spec.health.is_set = pick(seed, 2);
    if (spec.health.is_set)
        spec.health = (struct health_spec){
            .is_set = true, .test = pick_strings(arena, seed), .retries = (int)pick(seed, 4)};
    spec.stop_grace_ns = (int64_t)pick(seed, 4) - 1;
    return spec;
}

TEST(random_specs_print_the_same_after_a_round_trip)
{
    for (unsigned i = 1; i <= 500; i++) { /* i is the seed that CHECK_TEXT's output leads to */
        struct arena arena = ARENA_INIT;
        unsigned seed = i;
        struct container_spec spec = pick_spec(&arena, &seed);
        const char *text = print(&arena, container_spec_to_json(&spec));

        CHECK_TEXT(round_trip(&arena, text), text);
        arena_release(&arena);
    }
}

TEST(networks_and_volumes_round_trip)
{
    static const char network_text[] = "{\"name\":\"n\",\"project\":\"p\",\"internal\":true,"
                                       "\"subnet\":\"10.0.0.0/24\",\"gateway\":\"10.0.0.1\","
                                       "\"labels\":{\"a\":\"b\"}}";
    static const char volume_text[] = "{\"name\":\"v\",\"project\":\"p\",\"labels\":{\"a\":\"b\"}}";
    struct arena arena = ARENA_INIT;
    cleanup_json json_t *network_json = parse(network_text), *volume_json = parse(volume_text);
    struct network_spec network;
    struct volume_spec volume;
    struct error err = ERROR_INIT;

    CHECK_OK(network_spec_from_json(&arena, network_json, &network, &err), &err);
    CHECK_TEXT(print(&arena, network_spec_to_json(&network)), network_text);
    CHECK_OK(volume_spec_from_json(&arena, volume_json, &volume, &err), &err);
    CHECK_TEXT(print(&arena, volume_spec_to_json(&volume)), volume_text);
    arena_release(&arena);
}
