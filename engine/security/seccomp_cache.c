/* Compiled system call filters, kept in the run directory: made once per boot and capability class,
 * then only read. */

#include "engine/security/security.h"

#include <linux/filter.h>
#include <string.h>
#include <sys/utsname.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/security/seccomp_compile.h"
#include "engine/security/seccomp_profile.h"

enum {
    PROGRAM_MAX_BYTES = BPF_MAXINSNS * sizeof(struct sock_filter), /* what the kernel takes */
    DIRECTORY_MODE = 0700,
    FILE_MODE = 0600,
};

/* "6.18" of "6.18.44-fc": a filter doesn't outlive a boot, and a kernel doesn't gain calls in a
 * stable release. */
static void add_kernel_class(struct buf *out)
{
    struct utsname names;
    int dots = 0;

    if (uname(&names) != 0)
        return; /* can't fail with a valid pointer; the key is merely shorter */
    for (const char *c = names.release; (*c >= '0' && *c <= '9') || *c == '.'; c++) {
        dots += *c == '.';
        if (dots == 2)
            break;
        buf_add_char(out, *c);
    }
}

static void print_file_name(struct buf *out, uint64_t bounding_set)
{
    buf_printf(out, "seccomp/profile-%d-%s-linux-", SECCOMP_PROFILE_VERSION, seccomp_compiler_name);
    add_kernel_class(out);
    buf_printf(out, "-%llx.bpf",
               (unsigned long long)(bounding_set & seccomp_relevant_capabilities()));
}

static int read_program(int run_fd, const char *name, struct buf *ret_program, struct error *err)
{
    struct error reason = ERROR_INIT;

    if (fs_read_file(run_fd, name, PROGRAM_MAX_BYTES, ret_program, &reason) < 0) {
        if (reason.code == ERROR_NOT_FOUND)
            return 1;
        if (err)
            *err = reason;
        return -1;
    }
    if (ret_program->len == 0 || ret_program->len % sizeof(struct sock_filter) != 0)
        return error_set(err, ERROR_INVALID, "system call filter \"%s\" is damaged: remove it",
                         name);
    return 0;
}

int seccomp_filter_read(int run_fd, uint64_t bounding_set, struct buf *ret_program,
                        struct error *err)
{
    cleanup_buf struct buf name = BUF_INIT;

    print_file_name(&name, bounding_set);
    return read_program(run_fd, buf_text(&name), ret_program, err);
}

int seccomp_filter_get(int run_fd, uint64_t bounding_set, struct buf *ret_program,
                       struct error *err)
{
    cleanup_buf struct buf name = BUF_INIT;
    cleanup_buf struct buf program = BUF_INIT;

    print_file_name(&name, bounding_set);
    if (!ret_program && fs_exists(run_fd, buf_text(&name)))
        return 0;
    if (ret_program) {
        int r = read_program(run_fd, buf_text(&name), ret_program, err);

        if (r <= 0)
            return r;
    }

    /* Two who compile at once write the same bytes; the last rename wins. */
    if (seccomp_compile(bounding_set, &program, err) < 0)
        return -1;
    if (program.len > PROGRAM_MAX_BYTES)
        return error_set(err, ERROR_SYSTEM, "the system call filter is too long for the kernel");
    if (fs_make_dirs(run_fd, "seccomp", DIRECTORY_MODE, err) < 0 ||
        fs_replace(run_fd, buf_text(&name), program.data, program.len, FILE_MODE, FS_VOLATILE,
                   err) < 0)
        return error_wrap(err, "keep the system call filter");
    if (ret_program)
        buf_add(ret_program, program.data, program.len);
    return 0;
}
