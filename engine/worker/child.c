/* Fork, sandbox, unpack, tell. */

#include "engine/worker/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/sys.h"
#include "engine/worker/sandbox.h"

enum { PATHS_MAX_BYTES = 256 << 20 };

/* What the child writes: this, then its paths, each with its NUL. The parent trusts none of it. */
struct child_message {
    struct error error;
    uint64_t size_bytes, n_entries;
    char diff_id[DIGEST_TEXT_SIZE];
    uint64_t n_opaque, n_implicit;
};

/* ------------------------------------------------------------------ the child */

static int compare_fds(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;

    return (left > right) - (left < right);
}

static void close_others(const int *keep, size_t n_keep)
{
    int sorted[8]; /* n_keep is a handful, asserted by the caller */
    unsigned from = STDERR_FILENO + 1;

    if (n_keep)
        memcpy(sorted, keep, n_keep * sizeof(*sorted));
    qsort(sorted, n_keep, sizeof(*sorted), compare_fds);
    for (size_t i = 0; i < n_keep; i++) {
        if (sorted[i] < (int)from)
            continue;
        if ((unsigned)sorted[i] > from)
            (void)close_range(from, (unsigned)sorted[i] - 1, 0);
        from = (unsigned)sorted[i] + 1;
    }
    (void)close_range(from, ~0U, 0);
}

int child_fork(int (*run)(void *context), void *context, const int *keep, size_t n_keep,
               struct process *ret, struct error *err)
{
    pid_t pid, parent = getpid();
    int pidfd;

    if (n_keep > 8)
        BUG();
    pid = fork();
    if (pid < 0)
        return error_sys(err, errno, "make a process");
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
            _exit(1);
        close_others(keep, n_keep);
        _exit(run(context));
    }
    pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        int errnum = errno;

        /* Our own unreaped child: the number cannot mean another process. */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return error_sys(err, errnum, "watch a process");
    }
    *ret = (struct process){pid, pidfd};
    return 0;
}

struct unpack_context {
    const struct unpack_options *options;
    struct unpack_progress *progress;
    int result_fd;
};

static void add_paths(struct buf *out, const struct tree_paths *paths)
{
    for (size_t i = 0; i < paths->n; i++)
        buf_add(out, paths->items[i], strlen(paths->items[i]) + 1);
}

static int unpack_in_child(void *argument)
{
    struct unpack_context *context = argument;
    struct child_message message = {0};
    cleanup_buf struct buf paths = BUF_INIT;
    struct unpack_result result = {0};

    if (sandbox_enter_unpack(context->options->tree_fd, &message.error) == 0 &&
        unpack_run(context->options, context->progress, &result, &message.error) == 0) {
        message.size_bytes = result.size_bytes;
        message.n_entries = result.n_entries;
        memcpy(message.diff_id, result.diff_id, sizeof(message.diff_id));
        message.n_opaque = tree_opaque(result.tree)->n;
        message.n_implicit = tree_implicit(result.tree)->n;
        add_paths(&paths, tree_opaque(result.tree));
        add_paths(&paths, tree_implicit(result.tree));
        tree_close(result.tree);
    }
    if (fs_write_all(context->result_fd, &message, sizeof(message), NULL) < 0 ||
        fs_write_all(context->result_fd, buf_text(&paths), paths.len, NULL) < 0)
        return 1;
    return 0;
}

int unpack_child_start(const struct unpack_options *options, struct unpack_child *ret,
                       struct error *err)
{
    cleanup_unpack_child struct unpack_child child = UNPACK_CHILD_INIT;
    struct unpack_context context = {.options = options};
    cleanup_fd int write_fd = -1;
    int pipe_fds[2];
    void *shared;

    shared = mmap(NULL, sizeof(*child.progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                  -1, 0);
    if (shared == MAP_FAILED)
        return error_sys(err, errno, "share memory");
    child.progress = shared;
    child.tree_fd = options->tree_fd;
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_sys(err, errno, "make a pipe");
    child.result_fd = pipe_fds[0];
    write_fd = pipe_fds[1];
    context.progress = child.progress;
    context.result_fd = write_fd;
    if (child_fork(unpack_in_child, &context,
                   (const int[]){options->archive_fd, options->tree_fd, write_fd}, 3,
                   &child.process, err) < 0)
        return -1;

    *ret = child;
    child = (struct unpack_child)UNPACK_CHILD_INIT;
    return 0;
}

void unpack_child_release(struct unpack_child *child)
{
    int saved = errno;

    process_release(&child->process);
    if (child->result_fd >= 0)
        close(fd_take(&child->result_fd));
    if (child->progress)
        munmap(child->progress, sizeof(*child->progress));
    child->progress = NULL;
    errno = saved;
}

/* ------------------------------------------------------------------ the parent */

static int take_paths(struct arena *arena, struct str *rest, uint64_t n, struct strings *ret,
                      struct error *err)
{
    struct strings list;

    if (n > rest->len)
        return error_set(err, ERROR_SYSTEM, "the unpacking process answered nonsense");
    list = (struct strings){arena_new_array(arena, const char *, n), n};
    for (uint64_t i = 0; i < n; i++) {
        size_t len = strnlen(rest->data, rest->len);

        if (len == rest->len)
            return error_set(err, ERROR_SYSTEM, "the unpacking process answered nonsense");
        list.items[i] = arena_strndup(arena, rest->data, len);
        rest->data += len + 1;
        rest->len -= len + 1;
    }
    *ret = list;
    return 0;
}

static int mark_opaque(int tree_fd, const struct strings *paths, struct error *err)
{
    for (size_t i = 0; i < paths->n; i++) {
        cleanup_fd int fd = -1;

        if (fs_open_in_root(tree_fd, paths->items[i], O_RDONLY | O_DIRECTORY, 0, &fd, err) < 0)
            return error_wrap(err, "mark an opaque directory");
        if (fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
            return error_sys(err, errno, "mark \"%s\" as opaque", paths->items[i]);
    }
    return 0;
}

static int parse_message(struct unpack_child *child, struct arena *arena, const struct buf *answer,
                         struct unpack_summary *ret, struct error *err)
{
    struct child_message message;
    struct unpack_summary summary = {0};
    struct strings opaque;
    struct str rest;

    if (answer->len < sizeof(message))
        return error_set(err, ERROR_SYSTEM, "the unpacking process died");
    memcpy(&message, answer->data, sizeof(message));
    message.error.text[ERROR_TEXT_MAX - 1] = '\0';
    message.diff_id[DIGEST_TEXT_SIZE - 1] = '\0';
    if (message.error.code != ERROR_NONE) {
        if (err)
            *err = message.error;
        return -1;
    }
    if (!digest_is_valid(message.diff_id))
        return error_set(err, ERROR_SYSTEM, "the unpacking process answered nonsense");
    rest = (struct str){answer->data + sizeof(message), answer->len - sizeof(message)};
    if (take_paths(arena, &rest, message.n_opaque, &opaque, err) < 0 ||
        take_paths(arena, &rest, message.n_implicit, &summary.implicit, err) < 0 ||
        mark_opaque(child->tree_fd, &opaque, err) < 0)
        return -1;
    summary.size_bytes = message.size_bytes;
    summary.n_entries = message.n_entries;
    memcpy(summary.diff_id, message.diff_id, sizeof(summary.diff_id));
    *ret = summary;
    return 0;
}

int unpack_child_finish(struct unpack_child *child, struct arena *arena, struct unpack_summary *ret,
                        struct error *err)
{
    cleanup_buf struct buf answer = BUF_INIT;
    int status;

    buf_init(&answer, PATHS_MAX_BYTES);
    if (fs_read_all(child->result_fd, &answer, err) < 0 ||
        process_wait(&child->process, &status, err) < 0)
        return error_wrap(err, "unpack");
    return parse_message(child, arena, &answer, ret, err);
}
