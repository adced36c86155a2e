/* berth-worker: one job, then the end. engine/image/job.h has the protocol. */

#include <fcntl.h>
#include <locale.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "engine/image/job.h"
#include "engine/worker/report.h"
#include "engine/worker/sandbox.h"
#include "engine/worker/worker.h"

enum { REQUEST_MAX_BYTES = 16 << 20 };

static const struct job_kind {
    const char *name;
    int (*run)(int state_fd, const json_t *request, json_t **ret, struct error *err);
} job_kinds[] = {
    {"import", worker_import},
    {"extract", worker_extract},
    {"pull", worker_pull},
    {"resolve", worker_resolve},
};

static int read_request(json_t **ret, struct error *err)
{
    cleanup_buf struct buf text = BUF_INIT;

    buf_init(&text, REQUEST_MAX_BYTES);
    if (fs_read_all(JOB_REQUEST_FD, &text, err) < 0 || json_parse(buf_str(&text), ret, err) < 0)
        return error_wrap(err, "read the request");
    return 0;
}

static int run_job(const json_t *request, json_t **ret, struct error *err)
{
    const char *name;

    if (json_get_text(request, "job", &name, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(job_kinds) / sizeof(*job_kinds); i++)
        if (text_equal(job_kinds[i].name, name))
            return job_kinds[i].run(JOB_STATE_FD, request, ret, err);
    return error_set(err, ERROR_UNSUPPORTED, "the worker knows no job \"%s\"", name);
}

/* What libraries would otherwise set up in the middle of a sandbox. */
static int set_up(struct error *err)
{
    static const struct sigaction ignore = {.sa_handler = SIG_IGN};

    (void)umask(0); /* modes are the archive's */
    (void)sigaction(SIGPIPE, &ignore, NULL);
    /* Names in pax headers are UTF-8; built into the C library since 2.35. */
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return error_set(err, ERROR_SYSTEM, "the C library has no locale C.UTF-8");
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
        return error_set(err, ERROR_SYSTEM, "start libcrypto");
    return sandbox_enter_worker(err);
}

int main(void)
{
    cleanup_json json_t *request = NULL;
    struct error error = ERROR_INIT;
    json_t *result = NULL;

    if (fcntl(JOB_EVENT_FD, F_GETFD) < 0 || fcntl(JOB_STATE_FD, F_GETFD) < 0) {
        (void)fputs("berth-worker is started by berth\n", stderr);
        return 2;
    }
    for (int fd = JOB_REQUEST_FD; fd < JOB_FIRST_EXTRA_FD + JOB_EXTRA_FDS_MAX; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* not all are open */
    if (set_up(&error) < 0 || read_request(&request, &error) < 0 ||
        run_job(request, &result, &error) < 0) {
        report_failed(&error);
        return 1;
    }
    report_done_take(result);
    return 0;
}
