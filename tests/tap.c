/* The runner behind tap.h. */

#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/fs.h"
#include "engine/base/str.h"
#include "engine/base/units.h"

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, TIMEOUT_S = 30, REASON_MAX = 500 };

/* The runner is one process with one list: it owns these. */
static struct tap_test *first_test, **last_link = &first_test;
static char *temp_dir;
static int reason_fd = -1; /* where a skipped test leaves its reason */

void tap_register(struct tap_test *test)
{
    *last_link = test;
    last_link = &test->next;
}

void tap_fail(struct tap_place place, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "# %s:%d: ", place.file, place.line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILED);
}

void tap_skip(const char *reason)
{
    if (write(reason_fd, reason, strnlen(reason, REASON_MAX)) < 0)
        perror("# write");
    exit(EXIT_SKIPPED);
}

void tap_check_int(struct tap_place place, const char *what, long long got, long long want)
{
    if (got != want)
        tap_fail(place, "%s\n#   got  %lld\n#   want %lld", what, got, want);
}

/* Several lines, each behind a '#'. */
static void print_side(const char *label, const char *text)
{
    fprintf(stderr, "#   %s ", label);
    if (!text) {
        fprintf(stderr, "NULL\n");
        return;
    }
    fputc('"', stderr);
    for (; *text; text++) {
        fputc(*text, stderr);
        if (*text == '\n')
            fprintf(stderr, "#         ");
    }
    fprintf(stderr, "\"\n");
}

void tap_check_text(struct tap_place place, const char *what, const char *got, const char *want)
{
    if (text_equal(got, want))
        return;
    fprintf(stderr, "# %s:%d: %s\n", place.file, place.line, what);
    print_side("got ", got);
    print_side("want", want);
    exit(EXIT_FAILED);
}

void tap_check_contains(struct tap_place place, const char *what, const char *got, const char *part)
{
    if (got && strstr(got, part))
        return;
    fprintf(stderr, "# %s:%d: %s\n", place.file, place.line, what);
    print_side("got ", got);
    print_side("without", part);
    exit(EXIT_FAILED);
}

void tap_check_ok(struct tap_place place, const char *what, int result, const struct error *err)
{
    if (result < 0)
        tap_fail(place, "%s\n#   failed: %s", what, err->text);
    if (result > 0)
        tap_fail(place, "%s\n#   returned %d instead of 0", what, result);
}

void tap_check_fails(struct tap_place place, const char *what, int result, const struct error *err,
                     enum error_code code, const char *part)
{
    if (result >= 0)
        tap_fail(place, "%s\n#   returned %d instead of failing with \"%s\"", what, result, part);
    if (err->code != code)
        tap_fail(place, "%s\n#   got code  %d (%s)\n#   want code %d", what, (int)err->code,
                 err->text, (int)code);
    tap_check_contains(place, what, err->text, part);
}

const char *tap_temp_dir(void)
{
    return temp_dir;
}

static void make_temp_dir(void)
{
    const char *parent = getenv("TMPDIR");

    temp_dir = x_printf("%s/berth-test-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(temp_dir)) {
        perror(temp_dir);
        exit(EXIT_FAILED);
    }
}

static int timeout_ms(void)
{
    const char *text = getenv("TAP_TIMEOUT");
    uint64_t seconds = TIMEOUT_S;

    if (text && parse_u64(str_from(text), 1, 36000, &seconds, NULL) < 0)
        seconds = TIMEOUT_S;
    return (int)seconds * 1000;
}

/* Wait for the test's end, and make an end of it when its time is over. Returns waitpid's status.
 */
static int await_test(pid_t pid)
{
    int status, pidfd = pidfd_open(pid, 0);
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    int n;

    do
        n = pidfd < 0 ? 1 : poll(&end, 1, timeout_ms());
    while (n < 0 && errno == EINTR);
    if (n == 0)
        fprintf(stderr, "# no end after %d s: killed\n", timeout_ms() / 1000);
    /* The group: what the test started must not outlive it. */
    if (n == 0)
        kill(-pid, SIGKILL);
    waitpid(pid, &status, 0);
    if (n != 0)
        kill(-pid, SIGKILL);
    if (pidfd >= 0)
        close(pidfd);
    return status;
}

static bool run_test(const struct tap_test *test, size_t number, const char *words)
{
    bool is_strict = text_equal(getenv("STRICT"), "1");
    char reason[REASON_MAX + 1] = "";
    int status, reason_pipe[2];
    ssize_t n;
    pid_t pid;

    fflush(NULL);
    if (pipe2(reason_pipe, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        perror("# start test");
        exit(EXIT_FAILED);
    }
    if (pid == 0) {
        setpgid(0, 0);
        reason_fd = reason_pipe[1];
        dup2(STDERR_FILENO, STDOUT_FILENO); /* stdout is TAP's */
        test->run();
        exit(0);
    }
    (void)setpgid(pid, pid); /* both sides do it: neither may lose the race */
    close(reason_pipe[1]);
    status = await_test(pid);
    n = read(reason_pipe[0], reason, REASON_MAX);
    reason[n > 0 ? n : 0] = '\0';
    close(reason_pipe[0]);

    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED && n > 0) {
        printf("%sok %zu - %s # SKIP %s\n", is_strict ? "not " : "", number, words, reason);
        if (is_strict)
            fprintf(stderr, "# %s: STRICT=1 and it can't run here: %s\n", test->name, reason);
        return !is_strict;
    }
    if (WIFSIGNALED(status))
        fprintf(stderr, "# %s: %s\n", test->name, signal_name(WTERMSIG(status)));
    printf("%sok %zu - %s\n", status ? "not " : "", number, words);
    if (status)
        fprintf(stderr, "# failed: %s\n", test->name);
    return status == 0;
}

static char *name_in_words(const char *name)
{
    char *words = x_strdup(name);

    for (char *c = words; *c; c++)
        if (*c == '_')
            *c = ' ';
    return words;
}

static bool is_chosen(const struct tap_test *test, const char *only)
{
    return !only || strstr(test->name, only);
}

int main(int argc, char **argv)
{
    const char *only = argc == 3 && strcmp(argv[1], "--only") == 0 ? argv[2] : NULL;
    bool list = argc == 2 && strcmp(argv[1], "--list") == 0, all_good = true;
    size_t n = 0, number = 0;

    if (argc > 1 && !only && !list) {
        fprintf(stderr, "usage: %s [--list | --only PART]\n", argv[0]);
        return 2;
    }
    for (const struct tap_test *test = first_test; test; test = test->next)
        n += is_chosen(test, only);
    if (!list)
        printf("1..%zu\n", n);

    for (const struct tap_test *test = first_test; test; test = test->next) {
        char *words = name_in_words(test->name);

        if (list) {
            printf("%s\n", test->name);
        } else if (is_chosen(test, only)) {
            make_temp_dir();
            all_good &= run_test(test, ++number, words);
            (void)fs_remove_tree(AT_FDCWD, temp_dir, NULL); /* a mount may be left: others see it */
            free(temp_dir);
        }
        free(words);
    }
    return all_good ? 0 : EXIT_FAILED;
}
