#include "tests/property/compose_world.h"

#include <string.h>

#include "compose/file/field.h"
#include "compose/file/shapes.h"
#include "engine/base/buf.h"

enum { SERVICES_MAX = 4, ITEMS_MAX = 10, KEYS_MAX = 140 };

static const char letters[] = "abcd";

/* ---- samples ----------------------------------------------------------------------------------
 */

enum sample_kind {
    SAMPLE_ONE,  /* one of the items is the value */
    SAMPLE_LIST, /* some of the items, as a list */
    SAMPLE_MAP,  /* some of the items, as a mapping */
};

/* In items, '%' is a service before this one, '#' this service's name, '^' a text that is hard to
 * print. */
struct sample {
    const char *key;
    enum sample_kind kind;
    const char *items[ITEMS_MAX];
};

static const struct sample build_samples[] = {
    {"context", SAMPLE_ONE, {".", "./sub", "/abs/dir", "https://example.com/a.git#main:dir"}},
    {"dockerfile", SAMPLE_ONE, {"Dockerfile", "sub/D", "/abs/D"}},
    {"args", SAMPLE_MAP, {"A: 1", "B: two", "C: \"$$x\"", "D: true"}},
    {"target", SAMPLE_ONE, {"stage", "\"1\""}},
    {"labels", SAMPLE_MAP, {"a: b", "c.d: \"\""}},
    {"cache_from", SAMPLE_LIST, {"a", "type=registry\\,ref=b"}},
    {"no_cache", SAMPLE_ONE, {"true", "false"}},
    {"pull", SAMPLE_ONE, {"true", "false"}},
    {"network", SAMPLE_ONE, {"host", "none"}},
    {"shm_size", SAMPLE_ONE, {"64m", "1073741824"}},
    {"extra_hosts", SAMPLE_LIST, {"\"a=10.0.0.1\"", "\"b=::1\""}},
    {"tags", SAMPLE_LIST, {"\"x:1\"", "\"x:2\""}},
    {"privileged", SAMPLE_ONE, {"true"}},
};

static const struct sample health_samples[] = {
    {"test", SAMPLE_ONE, {"[CMD, \"true\"]", "curl -f localhost", "[CMD-SHELL, \"a | b\"]"}},
    {"interval", SAMPLE_ONE, {"30s", "1m30s", "1.5h", "250ms"}},
    {"timeout", SAMPLE_ONE, {"10s", "1us"}},
    {"retries", SAMPLE_ONE, {"0", "3", "10"}},
    {"start_period", SAMPLE_ONE, {"0s", "1h"}},
    {"start_interval", SAMPLE_ONE, {"1s"}},
};

static const struct sample service_samples[] = {
    {"image", SAMPLE_ONE, {"busybox", "\"nginx:1.25\"", "a/b@sha256:00", "\"123\""}},
    {"annotations", SAMPLE_MAP, {"a: b", "c.d/e: 1"}},
    {"attach", SAMPLE_ONE, {"true", "false"}},
    {"blkio_config",
     SAMPLE_ONE,
     {"{weight: 300}", "{weight: 10, device_read_bps: [{path: /dev/sda, rate: 1m}]}"}},
    {"cap_add", SAMPLE_LIST, {"NET_ADMIN", "SYS_TIME", "ALL"}},
    {"cap_drop", SAMPLE_LIST, {"CHOWN", "MKNOD"}},
    {"cgroup_parent", SAMPLE_ONE, {"m-executor-abcd"}},
    {"cgroup", SAMPLE_ONE, {"host", "private"}},
    {"command",
     SAMPLE_ONE,
     {"a 'b c' \"d\"", "[]", "[sh, -c, \"echo $$X\"]", "null", "\"\"", "[^, ^, ^]"}},
    {"entrypoint", SAMPLE_ONE, {"/bin/sh", "[a, b]", "null", "[]"}},
    {"configs", SAMPLE_LIST, {"c1", "{source: c2, target: /etc/c2}"}},
    {"secrets", SAMPLE_LIST, {"s1", "{source: s2, target: other, mode: 0400}"}},
    {"container_name", SAMPLE_ONE, {"the-#"}},
    {"cpu_count", SAMPLE_ONE, {"2"}},
    {"cpu_percent", SAMPLE_ONE, {"50", "12.5"}},
    {"cpu_period", SAMPLE_ONE, {"100000"}},
    {"cpu_quota", SAMPLE_ONE, {"50000"}},
    {"cpu_rt_period", SAMPLE_ONE, {"1400us", "1000"}},
    {"cpu_rt_runtime", SAMPLE_ONE, {"400ms"}},
    {"cpu_shares", SAMPLE_ONE, {"73", "0"}},
    {"cpus", SAMPLE_ONE, {"1.5", "\"0.25\"", "2"}},
    {"cpuset", SAMPLE_ONE, {"0-3", "\"0,1\""}},
    {"credential_spec", SAMPLE_ONE, {"{file: a.json}", "{registry: r}"}},
    {"depends_on",
     SAMPLE_ONE,
     {"[\"%\"]", "{\"%\": {condition: service_healthy}}",
      "{\"%\": {condition: service_started, restart: true, required: false}}"}},
    {"deploy",
     SAMPLE_ONE,
     {"{mode: replicated, labels: {a: b}}", "{resources: {limits: {cpus: \"0.5\", memory: 50M}}}",
      "{placement: {constraints: [a]}}"}},
    {"develop", SAMPLE_ONE, {"{watch: [{path: ./src, action: rebuild}]}"}},
    {"device_cgroup_rules", SAMPLE_LIST, {"\"c 1:3 mr\"", "\"a 7:* rmw\""}},
    {"devices",
     SAMPLE_LIST,
     {"/dev/null", "\"/dev/zero:/dev/z:r\"", "{source: /dev/full, target: /dev/f}"}},
    {"dns", SAMPLE_ONE, {"8.8.8.8", "[8.8.8.8, 9.9.9.9]", "\"::1\""}},
    {"dns_opt", SAMPLE_LIST, {"use-vc", "\"ndots:2\""}},
    {"dns_search", SAMPLE_ONE, {"example.com", "[a.example, b.example]"}},
    {"domainname", SAMPLE_ONE, {"example.com"}},
    {"environment",
     SAMPLE_MAP,
     {"A: 1", "B: \"\"", "C: null", "D: 0x1f", "E: true", "F: \"a: b # c\"", "G: \"$$x\"",
      "H: \"\\u00e9\\n\"", "\"I.J\": 1.50"}},
    {"env_file",
     SAMPLE_LIST,
     {"{path: gone.env, required: false}", "{path: sub/gone.env, required: false, format: raw}"}},
    {"expose", SAMPLE_LIST, {"80", "\"90-91\"", "\"53/udp\""}},
    {"external_links", SAMPLE_LIST, {"redis", "\"db:pg\""}},
    {"extra_hosts", SAMPLE_MAP, {"a: 10.0.0.1", "b: \"::1\"", "c: host-gateway"}},
    {"gpus", SAMPLE_ONE, {"all", "[{driver: nvidia, count: 2}]"}},
    {"group_add", SAMPLE_LIST, {"mail", "\"1000\"", "5"}},
    {"hostname", SAMPLE_ONE, {"host1", "a.b.example"}},
    {"init", SAMPLE_ONE, {"true", "false"}},
    {"ipc", SAMPLE_ONE, {"host", "shareable", "\"service:%\"", "private"}},
    {"isolation", SAMPLE_ONE, {"default", "process"}},
    {"labels", SAMPLE_MAP, {"a: b", "c.d: ^", "e: null", "f: \"x=y\"", "g: true"}},
    {"links", SAMPLE_LIST, {"\"%\"", "\"%:other\""}},
    {"logging", SAMPLE_ONE, {"{driver: json-file, options: {max-size: 10m}}", "{driver: local}"}},
    {"mac_address", SAMPLE_ONE, {"\"02:42:ac:11:65:43\""}},
    {"mem_limit", SAMPLE_ONE, {"64m", "1.5gb", "1000000"}},
    {"mem_reservation", SAMPLE_ONE, {"32m", "6291456"}},
    {"mem_swappiness", SAMPLE_ONE, {"0", "60"}},
    {"memswap_limit", SAMPLE_ONE, {"2gb", "-1"}},
    {"models", SAMPLE_ONE, {"[m1]"}},
    {"networks",
     SAMPLE_ONE,
     {"[n1]", "[n1, n2]", "{n1: null}",
      "{n1: {aliases: [x, y], ipv4_address: 10.1.0.9}, default: {priority: 10}}",
      "{n2: {driver_opts: {a: b}, gw_priority: 1, mac_address: \"02:00:00:00:00:01\"}}"}},
    {"oom_kill_disable", SAMPLE_ONE, {"true", "false"}},
    {"oom_score_adj", SAMPLE_ONE, {"-500", "0", "7"}},
    {"pid", SAMPLE_ONE, {"host", "\"service:%\""}},
    {"pids_limit", SAMPLE_ONE, {"10", "-1"}},
    {"platform", SAMPLE_ONE, {"linux/amd64"}},
    {"ports",
     SAMPLE_LIST,
     {"80", "\"8080:81\"", "\"127.0.0.1:8000-8003:90-93\"", "\"53:53/udp\"", "\"[::1]:7000:7000\"",
      "{target: 99, published: \"99\", mode: host, app_protocol: http, name: p}",
      "{target: 98, host_ip: 127.0.0.1, protocol: udp}", "\"9000-9005:95\""}},
    {"post_start", SAMPLE_ONE, {"[{command: a b}]"}},
    {"pre_start", SAMPLE_ONE, {"[{command: a b, image: i}]"}},
    {"pre_stop", SAMPLE_ONE, {"[{command: [a, b], user: root}]"}},
    {"privileged", SAMPLE_ONE, {"true", "false"}},
    {"profiles", SAMPLE_LIST, {"dev", "prod"}},
    {"provider", SAMPLE_ONE, {"{type: awesomecloud, options: {a: b}}"}},
    {"pull_policy",
     SAMPLE_ONE,
     {"always", "if_not_present", "missing", "never", "build", "every_12h", "daily"}},
    {"read_only", SAMPLE_ONE, {"true", "false"}},
    {"restart", SAMPLE_ONE, {"always", "\"no\"", "on-failure:3", "unless-stopped", "on-failure"}},
    {"runtime", SAMPLE_ONE, {"runc"}},
    {"scale", SAMPLE_ONE, {"1", "3", "0"}},
    {"security_opt",
     SAMPLE_LIST,
     {"\"no-new-privileges:true\"", "\"label=disable\"", "\"seccomp:unconfined\""}},
    {"shm_size", SAMPLE_ONE, {"64m", "\"1gb\""}},
    {"stdin_open", SAMPLE_ONE, {"true", "false"}},
    {"stop_grace_period", SAMPLE_ONE, {"1m30s", "0s", "2.5s"}},
    {"stop_signal", SAMPLE_ONE, {"SIGUSR1", "INT"}},
    {"storage_opt", SAMPLE_MAP, {"size: 1G", "a: b"}},
    {"sysctls", SAMPLE_MAP, {"net.core.somaxconn: 1024", "net.ipv4.tcp_syncookies: \"0\""}},
    {"tmpfs", SAMPLE_LIST, {"/run", "\"/tmp:size=64m,mode=1777\""}},
    {"tty", SAMPLE_ONE, {"true", "false"}},
    {"ulimits", SAMPLE_MAP, {"nproc: 65535", "nofile: {soft: 20000, hard: 40000}", "core: -1"}},
    {"use_api_socket", SAMPLE_ONE, {"true"}},
    {"user", SAMPLE_ONE, {"root", "\"1000:1000\"", "\"1000\""}},
    {"userns_mode", SAMPLE_ONE, {"host"}},
    {"uts", SAMPLE_ONE, {"host"}},
    {"volumes",
     SAMPLE_LIST,
     {"v1:/v1", "\"v2:/v2:ro\"", "./a:/a", "\"/abs:/abs:ro,z\"", "/anonymous",
      "{type: bind, source: ./b, target: /b, bind: {propagation: rslave, create_host_path: false}}",
      "{type: volume, source: v1, target: /w1, volume: {nocopy: true, subpath: s}}",
      "{type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 0700}}", "\"~/c:/c\""}},
    {"volumes_from", SAMPLE_LIST, {"\"%:ro\"", "\"container:x\""}},
    {"working_dir", SAMPLE_ONE, {"/srv", "rel/dir"}},
    {"x-extra", SAMPLE_ONE, {"1", "{a: [b, {c: null}], d: 1.50}", "{a: ^, b: [^, ^]}", "[]"}},
};

/* Made otherwise: in `print_service`. */
static const char *const other_keys[] = {
    "build",        "healthcheck", "extends",           "dockerfile",
    "network_mode", "label_file",  "pull_refresh_after"};

enum {
    N_BUILD = sizeof(build_samples) / sizeof(build_samples[0]),
    N_HEALTH = sizeof(health_samples) / sizeof(health_samples[0]),
    N_SERVICE = sizeof(service_samples) / sizeof(service_samples[0]),
};

static const char resources[] = "networks:\n"
                                "  n1: {ipam: {config: [{subnet: 10.1.0.0/24}]}, labels: [a=b]}\n"
                                "  n2: {internal: true, name: other}\n"
                                "volumes:\n"
                                "  v1:\n"
                                "  v2: {external: true}\n"
                                "configs:\n"
                                "  c1: {content: \"a $$b\\n\"}\n"
                                "  c2: {file: ./c2, name: other}\n"
                                "secrets:\n"
                                "  s1: {environment: HOME}\n"
                                "  s2: {file: ./s2, labels: [a=b]}\n"
                                "models:\n"
                                "  m1: {model: ai/small, context_size: 1024}\n";

/* As in double quotes. */
static const char *const texts[] = {
    "",           "~",           "null",      "true",
    "yes",        "0x1f",        "0o17",      "1e3",
    "1_000",      "1:30",        "<<",        "=",
    "2001-01-01", "-",           "- a",       "? a",
    ": a",        "a: b",        "a #b",      "# a",
    "'a'",        "\\\"a",       "a\\\\b",    "%a",
    "@a",         "`a",          "!a",        "&a",
    "*a",         "|",           ">",         "{a",
    "[a",         ", a",         " a",        "a ",
    "a\\n",       "\\na",        "a\\nb\\n",  "a\\n\\nb",
    " a\\nb",     "a\\tb",       "\\ta",      "a\\r\\n",
    "a\\eb",      "a\\u0085b",   "a\\u2028b", "\\ufeffa",
    "\\u00e9",    "\\U0001f600", "a\\x7fb",   ".inf",
    ".5",         "+1",          "$$",        "$${a}",
    "---",        "...",         "a\\nb ",    "a\\n ",
    "\\n",        "\\n\\n",      "1e400",     "99999999999999999999",
};
enum { N_TEXTS = sizeof(texts) / sizeof(texts[0]) };

/* ---- dice -------------------------------------------------------------------------------------
 */

uint32_t dice_below(struct dice *dice, uint32_t n)
{
    dice->state = dice->state * 6364136223846793005ULL + 1442695040888963407ULL;
    return n == 0 ? 0 : (uint32_t)((dice->state >> 33) % n);
}

bool dice_one_in(struct dice *dice, uint32_t n)
{
    return dice_below(dice, n) == 0;
}

/* ---- printing ---------------------------------------------------------------------------------
 */

struct printer {
    struct buf *out;
    struct dice content;
    struct dice order;
    uint32_t service; /* its number */
    uint32_t text; /* of the value that is printed: its items' texts follow from it, in any order */
    unsigned flags;
};

static uint32_t count_items(const struct sample *sample)
{
    uint32_t n = 0;

    while (n < ITEMS_MAX && sample->items[n])
        n++;
    return n;
}

static void shuffle(struct printer *printer, const char **items, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t k = dice_below(&printer->order, i);
        const char *item = items[k];

        items[k] = items[i - 1];
        items[i - 1] = item;
    }
}

static void print_item(struct printer *printer, const char *item)
{
    uint32_t earlier = dice_below(&printer->content, printer->service);
    uint32_t text = printer->text + 7U * (unsigned char)*item;

    for (; *item; item++) {
        if (*item == '%')
            buf_add_char(printer->out, letters[earlier]);
        else if (*item == '#')
            buf_add_char(printer->out, letters[printer->service]);
        else if (*item == '^')
            buf_printf(printer->out, "\"%s\"", texts[text++ % N_TEXTS]);
        else
            buf_add_char(printer->out, *item);
    }
}

static const char *random_tag(struct printer *printer)
{
    if (!(printer->flags & FILE_TAGS) || !dice_one_in(&printer->content, 6))
        return "";
    return dice_one_in(&printer->content, 2) ? "!reset " : "!override ";
}

static void print_some(struct printer *printer, const struct sample *sample, uint32_t n)
{
    const char *chosen[ITEMS_MAX];
    uint32_t n_chosen = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (dice_one_in(&printer->content, 2))
            chosen[n_chosen++] = sample->items[i];
    }
    if (sample->kind == SAMPLE_MAP)
        shuffle(printer, chosen, n_chosen);
    buf_add_char(printer->out, sample->kind == SAMPLE_MAP ? '{' : '[');
    for (uint32_t i = 0; i < n_chosen; i++) {
        buf_add_text(printer->out, i > 0 ? ", " : "");
        print_item(printer, chosen[i]);
    }
    buf_add_char(printer->out, sample->kind == SAMPLE_MAP ? '}' : ']');
}

static void print_value(struct printer *printer, const struct sample *sample)
{
    uint32_t n = count_items(sample);

    printer->text = dice_below(&printer->content, N_TEXTS);
    buf_add_text(printer->out, random_tag(printer));
    if (sample->kind == SAMPLE_ONE)
        print_item(printer, sample->items[dice_below(&printer->content, n)]);
    else
        print_some(printer, sample, n);
    buf_add_char(printer->out, '\n');
}

/* `keys[i]` are lines; in any order. */
struct lines {
    struct buf text;
    size_t ends[KEYS_MAX];
    size_t n;
};

static void print_lines(struct printer *printer, const struct lines *lines)
{
    const char *items[KEYS_MAX];

    for (size_t i = 0; i < lines->n; i++)
        items[i] = lines->text.data + (i > 0 ? lines->ends[i - 1] : 0);
    shuffle(printer, items, (uint32_t)lines->n);
    for (size_t i = 0; i < lines->n; i++)
        buf_add(printer->out, items[i], strlen(items[i]));
}

/* The line is whole: ended by a NUL, so that it can stand elsewhere. */
static void end_line(struct lines *lines)
{
    buf_add_char(&lines->text, '\0');
    lines->ends[lines->n++] = lines->text.len;
}

/* Two keys that must not stand together, or a key of which nothing is known yet. */
static bool is_excluded(const struct printer *printer, const struct sample *sample, unsigned *taken)
{
    static const struct {
        const char *key;
        unsigned group;
    } groups[] = {
        {"container_name", 1}, {"scale", 1}, {"deploy", 1}, {"build", 2}, {"provider", 2}};
    const struct field *field = shape_find(&service_shape, sample->key);

    if (field && printer->flags & FILE_HONOURED && field->state != FIELD_HONOURED)
        return true;
    for (uint32_t i = 0; i < ITEMS_MAX && sample->items[i] && printer->service == 0; i++) {
        if (strchr(sample->items[i], '%')) /* there is none before */
            return true;
    }
    if (printer->flags & FILE_REGULAR && strcmp(sample->key, "ulimits") == 0)
        return true;
    if (strcmp(sample->key, "image") == 0)
        return true;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (strcmp(groups[i].key, sample->key) != 0)
            continue;
        if (*taken & groups[i].group)
            return true;
        *taken |= groups[i].group;
    }
    return false;
}

/* Mappings of known keys, each of them sometimes there. */
static void print_section(struct printer *printer, const char *key, const struct sample *samples,
                          size_t n, struct lines *lines)
{
    struct buf *out = printer->out;
    bool is_first = true;

    printer->out = &lines->text;
    buf_printf(&lines->text, "    %s: ", key);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && !dice_one_in(&printer->content, 3))
            continue;
        buf_printf(&lines->text, "%s      %s: ", is_first ? "\n" : "", samples[i].key);
        is_first = false;
        print_value(printer, &samples[i]);
    }
    end_line(lines);
    printer->out = out;
}

static void print_service(struct printer *printer)
{
    uint32_t rarity = printer->flags & FILE_PART ? 12 : 5;
    struct lines lines = {.n = 0};
    struct buf *out = printer->out;
    unsigned taken = 0;

    buf_printf(out, "  %c:\n", letters[printer->service]);
    printer->out = &lines.text;
    buf_add_text(&lines.text, "    image: ");
    print_value(printer, &service_samples[0]);
    end_line(&lines);
    for (size_t i = 1; i < N_SERVICE; i++) {
        if (!dice_one_in(&printer->content, rarity) ||
            is_excluded(printer, &service_samples[i], &taken))
            continue;
        buf_printf(&lines.text, "    %s: ", service_samples[i].key);
        print_value(printer, &service_samples[i]);
        end_line(&lines);
    }
    printer->out = out;
    if (dice_one_in(&printer->content, rarity))
        print_section(printer, "build", build_samples, N_BUILD, &lines);
    if (dice_one_in(&printer->content, rarity))
        print_section(printer, "healthcheck", health_samples, N_HEALTH, &lines);
    print_lines(printer, &lines);
    buf_release(&lines.text);
}

void file_print(struct buf *out, uint64_t content, uint64_t order, unsigned flags)
{
    struct printer printer = {.out = out,
                              .content = {content * 2654435761U + 1},
                              .order = {order * 40503U + 7},
                              .flags = flags};
    uint32_t n;

    (void)dice_below(&printer.content, 2); /* the first ones of near seeds are alike */
    n = 1 + dice_below(&printer.content, SERVICES_MAX);
    if (order & 1)
        buf_add_text(out, resources);
    buf_add_text(out, "services:\n");
    for (printer.service = 0; printer.service < n; printer.service++)
        print_service(&printer);
    if (!(order & 1))
        buf_add_text(out, resources);
}

bool file_has_sample(const char *service_key)
{
    for (size_t i = 0; i < N_SERVICE; i++) {
        if (strcmp(service_samples[i].key, service_key) == 0)
            return true;
    }
    for (size_t i = 0; i < sizeof(other_keys) / sizeof(other_keys[0]); i++) {
        if (strcmp(other_keys[i], service_key) == 0)
            return true;
    }
    return false;
}
