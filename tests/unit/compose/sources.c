/* What may stand where a file is named: nothing that makes us wait. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "compose/file/project.h"
#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "tests/tap.h"

static const char *in_temp(struct arena *arena, const char *name)
{
    return arena_printf(arena, "%s/%s", tap_temp_dir(), name);
}

static void write_file(struct arena *arena, const char *name, const char *text)
{
    struct error err = ERROR_INIT;

    CHECK_OK(
        fs_replace(AT_FDCWD, in_temp(arena, name), text, strlen(text), 0644, FS_VOLATILE, &err),
        &err);
}

static int load(struct arena *arena, const char *file, const char *env_file, struct buf *said,
                const struct project **ret)
{
    struct project_options options = {
        .working_dir = tap_temp_dir(),
        .stdin_fd = -1,
        .name = "p",
        .files = {.items = &file, .n = file ? 1 : 0},
        .env_files = {.items = &env_file, .n = env_file ? 1 : 0},
    };
    struct diagnostics diagnostics;
    struct error err = ERROR_INIT;
    int result = project_load(arena, &options, ret, &diagnostics, &err);

    diagnostics_print(said, &diagnostics, DIAGNOSTICS_PLAIN);
    return result;
}

/* A readable pipe that holds `text` and has no writer. */
static int filled_pipe(const char *text)
{
    int ends[2];
    struct error err = ERROR_INIT;

    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    CHECK_OK(fs_write_all(ends[1], text, strlen(text), &err), &err);
    CHECK(close(ends[1]) == 0);
    return ends[0];
}

TEST(a_fifo_is_refused_at_once_wherever_a_file_is_named)
{
    static const char *const files[] = {
        "services: {web: {image: i, env_file: fifo}}\n",
        "services: {web: {image: i, label_file: fifo}}\n",
        "services: {web: {extends: {service: web, file: fifo}}}\n",
        "include: [fifo]\n",
        "include: [{path: good.yaml, env_file: fifo}]\n",
    };
    cleanup_arena struct arena arena = ARENA_INIT;
    const struct project *project;

    CHECK(mkfifo(in_temp(&arena, "fifo"), 0600) == 0);
    write_file(&arena, "good.yaml", "services: {web: {image: i}}\n");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        cleanup_buf struct buf said = BUF_INIT;

        write_file(&arena, "compose.yaml", files[i]);
        CHECK(load(&arena, NULL, NULL, &said, &project) < 0);
        CHECK_CONTAINS(buf_text(&said), "compose.yaml:1:");
        CHECK_CONTAINS(buf_text(&said), "fifo is a FIFO, not a file");
    }
}

TEST(a_fifo_as_env_file_of_the_project_is_refused_at_once)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf said = BUF_INIT;
    const struct project *project;

    CHECK(mkfifo(in_temp(&arena, ".env"), 0600) == 0);
    write_file(&arena, "compose.yaml", "services: {web: {image: i}}\n");
    CHECK(load(&arena, NULL, NULL, &said, &project) < 0);
    CHECK(load(&arena, NULL, ".env", &said, &project) < 0);
    CHECK(load(&arena, ".env", "/dev/null", &said, &project) < 0);
    CHECK_TEXT(buf_text(&said), "error: .env is a FIFO, not a file\n"
                                "error: .env is a FIFO, not a file\n"
                                "error: .env is a FIFO, not a file\n");
}

TEST(a_socket_is_refused)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf said = BUF_INIT;
    cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "sock"};
    const struct project *project;

    CHECK(chdir(tap_temp_dir()) == 0);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    write_file(&arena, "compose.yaml", "services: {web: {image: i, env_file: sock}}\n");
    CHECK(load(&arena, NULL, NULL, &said, &project) < 0);
    CHECK_CONTAINS(buf_text(&said), "sock is a socket or a device, not a file");
}

TEST(the_command_line_may_name_pipes)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf said = BUF_INIT;
    cleanup_fd int file = filled_pipe("services: {web: {image: \"i:$TAG\"}}\n");
    cleanup_fd int env_file = filled_pipe("TAG=piped\n");
    const struct project *project;

    CHECK(load(&arena, arena_printf(&arena, "/dev/fd/%d", file),
               arena_printf(&arena, "/proc/self/fd/%d", env_file), &said, &project) == 0);
    CHECK_TEXT(project->services[0].image, "i:piped");
}

TEST(a_file_may_not_name_pipes)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_buf struct buf said = BUF_INIT;
    cleanup_fd int fd = filled_pipe("A=1\n");
    const struct project *project;

    write_file(&arena, "compose.yaml",
               arena_printf(&arena, "services: {web: {image: i, env_file: /dev/fd/%d}}\n", fd));
    CHECK(load(&arena, NULL, NULL, &said, &project) < 0);
    CHECK_CONTAINS(buf_text(&said), "is a FIFO, not a file");
}
