/* Image configs as engine.h shows them. */

#include <string.h>
#include <time.h>

#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/units.h"
#include "engine/engine.h"
#include "engine/image/store.h"

enum { LAYERS_MAX = 500 }; /* the kernel's limit for overlay */

int config_diff_ids(struct arena *arena, const json_t *config, struct strings *ret,
                    struct error *err)
{
    const json_t *rootfs = json_object_get(config, "rootfs");
    const json_t *diff_ids = json_object_get(rootfs, "diff_ids");
    size_t n = json_array_size(diff_ids);
    struct strings list;

    if (!json_is_object(rootfs) ||
        (diff_ids && !json_is_array(diff_ids) && !json_is_null(diff_ids)))
        return error_set(err, ERROR_INVALID, "not an image config: no rootfs.diff_ids");
    if (n > LAYERS_MAX)
        return error_set(err, ERROR_UNSUPPORTED, "%zu layers; at most %d can be mounted", n,
                         LAYERS_MAX);
    list = (struct strings){arena_new_array(arena, const char *, n), n};
    for (size_t i = 0; i < n; i++) {
        const char *diff_id = json_string_value(json_array_get(diff_ids, i));

        if (!diff_id || !digest_is_valid(diff_id))
            return error_set(err, ERROR_INVALID, "rootfs.diff_ids[%zu] is no sha256 digest", i);
        list.items[i] = arena_strdup(arena, diff_id);
    }
    *ret = list;
    return 0;
}

static bool parse_digits(const char *text, size_t n, int *ret)
{
    int value = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *ret = value;
    return true;
}

/* RFC 3339 as image configs have it: "2024-01-02T03:04:05.123456789Z" or with "+02:00".
 * 0 when it is none: the time is only shown. */
static int64_t parse_time_ns(const char *text)
{
    struct tm tm = {0};
    int hours = 0, minutes = 0, sign = 1;
    int64_t ns = 0, scale = NS_PER_S / 10;

    if (!text || strlen(text) < sizeof("2024-01-02T03:04:05") - 1 ||
        !parse_digits(text, 4, &tm.tm_year) || text[4] != '-' ||
        !parse_digits(text + 5, 2, &tm.tm_mon) || text[7] != '-' ||
        !parse_digits(text + 8, 2, &tm.tm_mday) || (text[10] != 'T' && text[10] != 't') ||
        !parse_digits(text + 11, 2, &tm.tm_hour) || text[13] != ':' ||
        !parse_digits(text + 14, 2, &tm.tm_min) || text[16] != ':' ||
        !parse_digits(text + 17, 2, &tm.tm_sec))
        return 0;
    /* Outside of what int64_t nanoseconds hold (Go's zero time is year 1). */
    if (tm.tm_year < 1970 || tm.tm_year > 2261)
        return 0;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;

    text += 19;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10)
            ns += (*text - '0') * scale;
    if ((*text == '+' || *text == '-') && strlen(text) == sizeof("+02:00") - 1) {
        sign = *text == '-' ? -1 : 1;
        if (!parse_digits(text + 1, 2, &hours) || !parse_digits(text + 4, 2, &minutes))
            return 0;
    }
    return ((int64_t)timegm(&tm) - sign * (hours * 3600 + minutes * 60)) * NS_PER_S + ns;
}

static struct strings object_keys(struct arena *arena, json_t *object)
{
    struct strings keys = {arena_new_array(arena, const char *, json_object_size(object)), 0};

    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        keys.items[keys.n++] = arena_strdup(arena, json_object_iter_key(at));
    strings_sort(&keys);
    return keys;
}

static struct health_spec read_health(struct arena *arena, const json_t *config)
{
    const json_t *json = json_object_get(config, "Healthcheck");
    struct health_spec health = {0};

    if (!json_is_object(json))
        return health;
    health.test = json_strings(arena, json, "Test");
    health.is_set = health.test.n > 0;
    health.disabled = health.test.n == 1 && text_equal(health.test.items[0], "NONE");
    health.interval_ns = json_i64_or(json, "Interval", 0);
    health.timeout_ns = json_i64_or(json, "Timeout", 0);
    health.start_period_ns = json_i64_or(json, "StartPeriod", 0);
    health.start_interval_ns = json_i64_or(json, "StartInterval", 0);
    health.retries = (int)json_i64_or(json, "Retries", 0);
    return health;
}

/* Empty texts mean "not set" in configs. */
static const char *text_or_null(struct arena *arena, const json_t *config, const char *key)
{
    const char *text = json_text_or(config, key, "");

    return text[0] ? arena_strdup(arena, text) : NULL;
}

int image_info_from_config(struct arena *arena, const char *image_id, const json_t *document,
                           struct image_info *ret, struct error *err)
{
    const json_t *config = json_object_get(document, "config");
    struct image_info info = {0};

    if (config_diff_ids(arena, document, &info.layers, err) < 0)
        return -1;
    info.id = arena_strdup(arena, image_id);
    info.created_ns = parse_time_ns(json_text_or(document, "created", NULL));
    info.entrypoint = json_strings(arena, config, "Entrypoint");
    info.command = json_strings(arena, config, "Cmd");
    info.environment = json_strings(arena, config, "Env");
    info.exposed_ports = object_keys(arena, json_object_get(config, "ExposedPorts"));
    info.volumes = object_keys(arena, json_object_get(config, "Volumes"));
    info.user = text_or_null(arena, config, "User");
    info.working_dir = text_or_null(arena, config, "WorkingDir");
    info.stop_signal = text_or_null(arena, config, "StopSignal");
    info.labels = json_pairs(arena, config, "Labels");
    pairs_sort(&info.labels);
    info.health = read_health(arena, config);

    *ret = info;
    return 0;
}
