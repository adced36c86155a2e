/* What a large, ordinary project may cost: 300 services, a third in the main file, a third in
 * included ones, a third made with extends. tests/bench/compose300 writes its like for measuring
 * time. */

#include <fcntl.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "tests/tap.h"

enum { N_THIRD = 100, N_PARTS = 10, BUDGET_BYTES = 6 << 20 };

static void add_service(struct buf *out, const char *name, int i)
{
    buf_printf(out, "  %s%d:\n", name, i);
    buf_printf(out, "    image: \"registry.example.com/%s%d:${TAG:-1}\"\n", name, i);
    buf_printf(out, "    command: [serve, --name=%s%d, \"--region=${REGION}\"]\n", name, i);
    buf_printf(out, "    environment: {NAME: %s%d, REGION: \"${REGION}\", A: b, C: d, E: f}\n",
               name, i);
    buf_add_text(out, "    env_file: shared.env\n"
                      "    labels: {app: x, tier: backend, com.example.owner: team}\n"
                      "    ports: [\"127.0.0.1::8080\", \"9090\"]\n"
                      "    volumes: [\"data:/data\", \"./conf:/etc/app:ro\"]\n"
                      "    networks: [front, back]\n"
                      "    healthcheck: {test: [CMD, check], interval: 10s, retries: 5}\n"
                      "    restart: unless-stopped\n"
                      "    mem_limit: 256m\n");
}

static void add_resources(struct buf *out)
{
    buf_add_text(out, "networks: {front: , back: {internal: true}}\n"
                      "volumes: {data: {labels: {keep: \"yes\"}}}\n");
}

static void write_file(const char *name, const struct buf *text)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    const char *path = arena_printf(&arena, "%s/%s", tap_temp_dir(), name);
    struct error err = ERROR_INIT;

    CHECK_OK(fs_replace(AT_FDCWD, path, buf_text(text), text->len, 0644, FS_VOLATILE, &err), &err);
}

static void write_project(void)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf text = BUF_INIT;
    cleanup_buf struct buf base = BUF_INIT;
    cleanup_buf struct buf env = BUF_INIT;

    buf_add_text(&env, "A=one\nB=${A} two\n");
    write_file("shared.env", &env);
    buf_add_text(&text, "include: [");
    for (int i = 0; i < N_PARTS; i++)
        buf_printf(&text, "part%d.yaml, ", i);
    buf_add_text(&text, "]\nservices:\n");
    for (int i = 0; i < N_THIRD; i++)
        add_service(&text, "main", i);
    for (int i = 0; i < N_THIRD; i++)
        buf_printf(&text, "  made%d: {extends: {service: base0, file: base.yaml}, user: u}\n", i);
    add_resources(&text);
    write_file("compose.yaml", &text);
    for (int part = 0; part < N_PARTS; part++) {
        cleanup_buf struct buf file = BUF_INIT;

        buf_add_text(&file, "services:\n");
        for (int i = 0; i < N_THIRD / N_PARTS; i++)
            add_service(&file, "part", part * N_THIRD + i);
        add_resources(&file);
        write_file(arena_printf(&arena, "part%d.yaml", part), &file);
    }
    buf_add_text(&base, "services:\n");
    add_service(&base, "base", 0);
    write_file("base.yaml", &base);
}

TEST(three_hundred_services_load_within_their_memory)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    struct pair region = {"REGION", "north"};
    struct project_options options = {
        .working_dir = tap_temp_dir(),
        .stdin_fd = -1,
        .name = "p",
        .environment = {.items = &region, .n = 1},
    };
    struct diagnostics diagnostics;
    const struct project *project;
    struct error err = ERROR_INIT;

    write_project();
    CHECK_OK(project_load(&arena, &options, &project, &diagnostics, &err), &err);
    CHECK_INT(project->n_services, 3 * N_THIRD);
    CHECK_INT(diagnostics.n, 0);
    printf("# %zu KiB\n", arena.used_bytes >> 10);
    CHECK(arena.used_bytes < BUDGET_BYTES);
}
