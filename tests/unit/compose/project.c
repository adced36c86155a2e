/* project.h: what the model's users rely on. */

#include "compose/file/project.h"

#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/clock.h"
#include "engine/base/fs.h"
#include "tests/tap.h"

static struct arena arena; /* a test is a process: never released */

static int load(const char *text, struct strings services, unsigned flags,
                const struct project **ret, struct diagnostics *ret_diagnostics, struct error *err)
{
    cleanup_fd int fd = memfd_create("compose", MFD_CLOEXEC);
    static const char *minus = "-";
    static struct pair home = {"HOME", "/home/user"};
    struct project_options options = {
        .files = {.items = &minus, .n = 1},
        .working_dir = "/work/dir",
        .name = "p",
        .environment = {&home, 1},
        .services = services,
        .stdin_fd = fd,
        .flags = flags,
    };

    CHECK_OK(fs_write_all(fd, text, strlen(text), err), err);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return project_load(&arena, &options, ret, ret_diagnostics, err);
}

static const struct project *loaded(const char *text)
{
    const struct project *project;
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;

    CHECK_OK(load(text, (struct strings){0}, 0, &project, &diagnostics, &err), &err);
    return project;
}

static const char rich[] = "services:\n"
                           "  web:\n"
                           "    image: nginx\n"
                           "    ports: [\"127.0.0.1:8080:80\", \"9000-9001:90-91/udp\", 70]\n"
                           "    volumes:\n"
                           "      - ./src:/src:ro\n"
                           "      - data:/data\n"
                           "      - /anonymous\n"
                           "    environment:\n"
                           "      - FOO=1\n"
                           "      - GONE\n"
                           "    labels: {a.b: c}\n"
                           "    depends_on:\n"
                           "      db.main: {condition: service_healthy}\n"
                           "    networks: {back: {aliases: [w]}}\n"
                           "    healthcheck: {test: true, interval: 1m30s}\n"
                           "    stop_grace_period: 1.5s\n"
                           "    mem_limit: 64m\n"
                           "    restart: on-failure:3\n"
                           "    command: a 'b c'\n"
                           "  db.main: {image: pg}\n"
                           "networks: {back: {internal: true}}\n"
                           "volumes: {data: }\n";

TEST(the_model_has_what_the_file_says)
{
    char text[sizeof(rich)];
    const struct project *project;
    const struct service *web;

    memcpy(text, rich, sizeof(rich));
    memcpy(strstr(text, "true, "), "'tt', ", 6); /* test: must be text */
    project = loaded(text);
    web = project_find_service(project, "web");
    CHECK_TEXT(project->name, "p");
    CHECK_TEXT(project->directory, "/work/dir");
    CHECK(web != NULL && web == &project->services[1]);
    CHECK_INT(web->n_ports, 4);
    CHECK_TEXT(web->ports[0].host_ip, "127.0.0.1");
    CHECK_INT(web->ports[0].published_first, 8080);
    CHECK_INT(web->ports[2].published_first, 9001);
    CHECK_INT(web->ports[2].target, 91);
    CHECK_TEXT(web->ports[2].protocol, "udp");
    CHECK_INT(web->ports[3].published_first, 0);
    CHECK_INT(web->n_volumes, 3);
    CHECK_INT(web->volumes[0].type, SERVICE_MOUNT_BIND);
    CHECK_TEXT(web->volumes[0].source, "/work/dir/src");
    CHECK(web->volumes[0].read_only && web->volumes[0].create_host_path);
    CHECK_TEXT(web->volumes[1].source, "data");
    CHECK(web->volumes[2].source == NULL);
    CHECK_INT(web->environment.n, 2);
    CHECK(pairs_have(&web->environment, "GONE") && !pairs_find(&web->environment, "GONE"));
    CHECK_INT(web->depends_on[0].condition, SERVICE_HEALTHY);
    CHECK(web->depends_on[0].required);
    CHECK_TEXT(web->networks[0].aliases.items[0], "w");
    CHECK_INT(web->healthcheck.interval_ns, 90 * NS_PER_S);
    CHECK_INT(web->healthcheck.timeout_ns, -1);
    CHECK_TEXT(web->healthcheck.test.items[0], "CMD-SHELL");
    CHECK_INT(web->stop_grace_ns, 1500 * NS_PER_MS);
    CHECK_INT(web->mem_limit, 64 << 20);
    CHECK_INT(web->restart, SERVICE_RESTART_ON_FAILURE);
    CHECK_INT(web->restart_retries, 3);
    CHECK(web->command.is_set && !web->entrypoint.is_set);
    CHECK_TEXT(web->command.argv.items[1], "b c");
    CHECK(web->init == -1 && web->cpus < 0 && web->pids_limit == SERVICE_PIDS_UNSET);
    CHECK_TEXT(project_find_network(project, "back")->name, "p_back");
    CHECK(project_find_network(project, "back")->internal);
    CHECK_TEXT(project_find_network(project, "default")->name, "p_default");
    CHECK_TEXT(project_find_volume(project, "data")->name, "p_data");
    CHECK(project_find_volume(project, "nope") == NULL);
}

static const struct project *spanned(void)
{
    char text[sizeof(rich)];

    memcpy(text, rich, sizeof(rich));
    memcpy(strstr(text, "true, "), "'tt', ", 6);
    return loaded(text);
}

TEST(every_key_of_a_service_has_a_place_and_others_have_their_parents)
{
    static const struct {
        const char *key;
        const char *member;
        const char *want;
    } samples[] = {
        {"image", NULL, "-:3:5"},           {"environment", "FOO", "-:10:9"},
        {"environment", "NOPE", "-:9:5"},   {"ports", NULL, "-:4:5"},
        {"labels", "a.b", "-:12:14"},       {"depends_on", "db.main", "-:14:7"},
        {"depends_on", "nobody", "-:13:5"}, {"user", NULL, "-:2:3"},
    };
    const struct project *project = spanned();
    const struct service *web = project_find_service(project, "web");

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        cleanup_buf struct buf place = BUF_INIT;

        project_print_span(&place, project,
                           project_service_span(web, samples[i].key, samples[i].member));
        CHECK_TEXT(buf_text(&place), samples[i].want);
    }
}

static const char chain[] = "services:\n"
                            "  a: {image: x, depends_on: [b]}\n"
                            "  b: {image: x, depends_on: [c]}\n"
                            "  c: {image: x, networks: [n]}\n"
                            "  d: {image: x, volumes: [\"v:/v\"]}\n"
                            "  e: {image: x, profiles: [p]}\n"
                            "networks: {n: }\n"
                            "volumes: {v: }\n";

static const char *names_of(const struct service *services, size_t n)
{
    cleanup_buf struct buf names = BUF_INIT;

    for (size_t i = 0; i < n; i++)
        buf_add_text(&names, services[i].name);
    return arena_strdup(&arena, buf_text(&names));
}

TEST(services_are_selected_with_and_without_what_they_need)
{
    const struct project *project = loaded(chain);
    const struct project *selected;
    const char *names[] = {"b"};
    struct strings b = {names, 1};
    struct error err = ERROR_INIT;

    CHECK_TEXT(names_of(project->services, project->n_services), "abcd");
    CHECK_TEXT(names_of(project->disabled_services, project->n_disabled_services), "e");
    CHECK_OK(project_select(&arena, project, &b, true, &selected, &err), &err);
    CHECK_TEXT(names_of(selected->services, selected->n_services), "bc");
    CHECK_TEXT(names_of(selected->disabled_services, selected->n_disabled_services), "ade");
    CHECK_INT(selected->n_networks, 2);
    CHECK_INT(selected->n_volumes, 0);
    CHECK_OK(project_select(&arena, project, &b, false, &selected, &err), &err);
    CHECK_TEXT(names_of(selected->services, selected->n_services), "b");
    CHECK_INT(selected->services[0].n_depends_on, 0);
    CHECK_INT(project_find_service(project, "b")->n_depends_on, 1);
    CHECK_OK(project_select(&arena, project, &(struct strings){0}, false, &selected, &err), &err);
    CHECK(selected == project);
}

TEST(unknown_services_are_named_with_what_was_meant)
{
    const struct project *project = loaded("services: {frontend: {image: x}, b: {image: x, "
                                           "profiles: [p]}}\n");
    const struct project *selected;
    const char *names[] = {"frontnd"};
    struct strings list = {names, 1};
    struct error err = ERROR_INIT;

    CHECK_FAILS(project_select(&arena, project, &list, false, &selected, &err), ERROR_NOT_FOUND,
                "no such service: frontnd: did you mean \"frontend\"?");
    names[0] = "zzz";
    CHECK_FAILS(project_select(&arena, project, &list, false, &selected, &err), ERROR_NOT_FOUND,
                "no such service: zzz");
    names[0] = "b";
    CHECK_FAILS(project_select(&arena, project, &list, false, &selected, &err), ERROR_NOT_FOUND,
                "not enabled");
}

TEST(naming_a_service_enables_it)
{
    const struct project *project;
    struct diagnostics diagnostics;
    const char *names[] = {"e"};
    struct strings e = {names, 1};
    struct error err = ERROR_INIT;

    CHECK_OK(load(chain, e, PROJECT_WITH_DEPENDENCIES, &project, &diagnostics, &err), &err);
    CHECK_TEXT(names_of(project->services, project->n_services), "e");
    CHECK_OK(load(chain, e, PROJECT_KEEP_ALL, &project, &diagnostics, &err), &err);
    CHECK_TEXT(names_of(project->services, project->n_services), "abcde");
}

TEST(all_errors_of_a_file_are_collected_in_its_order)
{
    const struct project *project;
    struct diagnostics diagnostics;
    cleanup_buf struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    CHECK_FAILS(load("services:\n  web:\n    imagee: x\n    tty: 3\n  a:\n    user: 5\n",
                     (struct strings){0}, 0, &project, &diagnostics, &err),
                ERROR_INVALID, "-: 3 errors");
    diagnostics_print(&out, &diagnostics, DIAGNOSTICS_PLAIN);
    CHECK_TEXT(buf_text(&out), "-:3:5: error: service \"web\": unknown key \"imagee\"\n"
                               "        imagee: x\n"
                               "        ^\n"
                               "    hint: did you mean \"image\"?\n"
                               "-:4:10: error: services.web.tty must be a boolean\n"
                               "        tty: 3\n"
                               "             ^\n"
                               "-:6:11: error: services.a.user must be a string\n"
                               "        user: 5\n"
                               "              ^\n"
                               "    hint: write it in quotes: \"5\"\n");
    buf_clear(&out);
    diagnostics_print(&out, &diagnostics, DIAGNOSTICS_COLOUR);
    CHECK_CONTAINS(buf_text(&out), "\033[1;31merror:\033[0m");
}

TEST(at_most_a_hundred_errors_are_kept_and_all_are_counted)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    const struct project *project;
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;

    buf_add_text(&text, "services:\n");
    for (int i = 0; i < 150; i++)
        buf_printf(&text, "  s%d: {nope: x}\n", i);
    CHECK_FAILS(load(buf_text(&text), (struct strings){0}, 0, &project, &diagnostics, &err),
                ERROR_INVALID, "-: 150 errors");
    CHECK_INT(diagnostics.n, DIAGNOSTICS_MAX);
    diagnostics_print(&out, &diagnostics, DIAGNOSTICS_PLAIN);
    CHECK_CONTAINS(buf_text(&out), "and 50 more errors\n");
}

TEST(the_caret_stands_in_the_shown_part_of_a_long_line)
{
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf out = BUF_INIT;
    const struct project *project;
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;

    buf_add_text(&text, "services: {a: {image: ");
    for (int i = 0; i < 300; i++)
        buf_add_text(&text, "ü");
    buf_add_text(&text, ", nope: 1}}\n");
    CHECK_FAILS(load(buf_text(&text), (struct strings){0}, 0, &project, &diagnostics, &err),
                ERROR_INVALID, "unknown key \"nope\"");
    diagnostics_print(&out, &diagnostics, DIAGNOSTICS_PLAIN);
    CHECK_CONTAINS(buf_text(&out), "ü, nope: 1}}\n");
    CHECK_CONTAINS(buf_text(&out), "    ^\n");
}

TEST(there_is_no_file)
{
    struct project_options options = {.working_dir = tap_temp_dir(), .stdin_fd = -1};
    const struct project *project;
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;

    CHECK_FAILS(project_load(&arena, &options, &project, &diagnostics, &err), ERROR_NOT_FOUND,
                "no compose.yaml in ");
    CHECK_INT(diagnostics.n, 0);
}
