/* Capabilities, system call filter, limits, root directory.
 *
 * Should: be entered before the first byte from outside is read; leave a broken parser nothing but
 *         the tree it fills.
 * Mustn't: need a library that is loaded later (a chroot full of the archive's own files would
 *          supply it); so mapping code is refused once inside.
 *
 * Without root (a user namespace with one user) chroot and capabilities are skipped: there is
 * nothing to give up, names are confined by openat2 all the same. */

#include "engine/worker/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/vec.h"
#include "engine/worker/tree.h"

enum { NOBODY = 65534, OPEN_FILES_MAX = 256 };

#if defined(__x86_64__)
enum { AUDIT_ARCH_HERE = (int)AUDIT_ARCH_X86_64 };
#elif defined(__aarch64__)
enum { AUDIT_ARCH_HERE = (int)AUDIT_ARCH_AARCH64 };
#else
#error "add this architecture's AUDIT_ARCH_ value"
#endif

#define CAPABILITY(name) (1ULL << (name))

static const uint64_t unpack_capabilities = CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_DAC_OVERRIDE) |
                                            CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_FSETID) |
                                            CAPABILITY(CAP_MKNOD) | CAPABILITY(CAP_SETFCAP);

/* SYS_ADMIN: trusted.overlay.opaque, set by the parent of the unpacking process. KILL: to end the
 * fetching process, which is nobody's. */
static const uint64_t worker_capabilities = CAPABILITY(CAP_CHOWN) | CAPABILITY(CAP_DAC_OVERRIDE) |
                                            CAPABILITY(CAP_FOWNER) | CAPABILITY(CAP_FSETID) |
                                            CAPABILITY(CAP_MKNOD) | CAPABILITY(CAP_SETFCAP) |
                                            CAPABILITY(CAP_SYS_CHROOT) | CAPABILITY(CAP_SETUID) |
                                            CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_SYS_ADMIN);

/* What none of the children does. */
static const unsigned refused_calls[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_io_uring_setup,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_fsopen,
    SYS_open_tree,
    SYS_move_mount,
    SYS_kcmp,
    SYS_pidfd_getfd,
#if defined(SYS_mknod)
    SYS_mknod, /* mknodat is checked */
#endif
};

static const unsigned unpack_refused_calls[] = {
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_kill, SYS_tkill, SYS_memfd_create,
};

/* ------------------------------------------------------------------ the filter */

struct filter {
    struct sock_filter *items;
    size_t n, capacity;
};

static void add(struct filter *filter, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
    vec_push(filter, (struct sock_filter){code, jt, jf, k});
}

static void add_return(struct filter *filter, uint32_t action)
{
    add(filter, BPF_RET | BPF_K, action, 0, 0);
}

static void load(struct filter *filter, size_t offset)
{
    add(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* Low half of an argument: both architectures are little-endian. */
static size_t argument_offset(unsigned n)
{
    return offsetof(struct seccomp_data, args) + n * sizeof(uint64_t);
}

static void load_number(struct filter *filter)
{
    load(filter, offsetof(struct seccomp_data, nr));
}

/* The number is loaded before and after. */
static void refuse_calls(struct filter *filter, const unsigned *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
        add_return(filter, SECCOMP_RET_ERRNO | EPERM);
    }
}

static void refuse_exec_mapping(struct filter *filter, unsigned call)
{
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
    load(filter, argument_offset(2)); /* mmap, mprotect and pkey_mprotect: prot is the third */
    add(filter, BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
    add_return(filter, SECCOMP_RET_ERRNO | EPERM);
    load_number(filter);
}

/* The kernel's own encoding, as mknod(2) passes it. */
static uint32_t encode_device(const struct tree_device *device)
{
    return (device->minor & 0xff) | (device->major << 8) | ((device->minor & ~0xffU) << 12);
}

/* mknodat(directory, name, mode, device): FIFOs, whiteouts (0:0) and the harmless ones. */
static void check_mknodat(struct filter *filter)
{
    uint8_t rest = (uint8_t)(10 + 2 * tree_n_devices);

    add(filter, BPF_JMP | BPF_JEQ | BPF_K, SYS_mknodat, 0, rest);
    load(filter, argument_offset(2));
    add(filter, BPF_ALU | BPF_AND | BPF_K, S_IFMT, 0, 0);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, S_IFIFO, 0, 1);
    add_return(filter, SECCOMP_RET_ALLOW);
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, S_IFCHR, 1, 0);
    add_return(filter, SECCOMP_RET_ERRNO | EPERM);
    load(filter, argument_offset(3));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1);
    add_return(filter, SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < tree_n_devices; i++) {
        add(filter, BPF_JMP | BPF_JEQ | BPF_K, encode_device(&tree_devices[i]), 0, 1);
        add_return(filter, SECCOMP_RET_ALLOW);
    }
    add_return(filter, SECCOMP_RET_ERRNO | EPERM);
}

static int install(const struct filter *filter, struct error *err)
{
    const struct sock_fprog program = {.len = (unsigned short)filter->n, .filter = filter->items};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(err, errno, "set no_new_privs");
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0)
        return error_sys(err, errno, "install the system call filter");
    return 0;
}

static void begin_filter(struct filter *filter)
{
    load(filter, offsetof(struct seccomp_data, arch));
    add(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)AUDIT_ARCH_HERE, 1, 0);
    add_return(filter, SECCOMP_RET_KILL_PROCESS);
    load_number(filter);
#if defined(__x86_64__)
    /* x32 calls have other numbers. */
    add(filter, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    add_return(filter, SECCOMP_RET_KILL_PROCESS);
#endif
    refuse_calls(filter, refused_calls, sizeof(refused_calls) / sizeof(*refused_calls));
}

static int filter_unpack(struct error *err)
{
    struct filter filter = {0};
    int result;

    begin_filter(&filter);
    refuse_calls(&filter, unpack_refused_calls,
                 sizeof(unpack_refused_calls) / sizeof(*unpack_refused_calls));
    refuse_exec_mapping(&filter, SYS_mmap);
    refuse_exec_mapping(&filter, SYS_mprotect);
    refuse_exec_mapping(&filter, SYS_pkey_mprotect);
    check_mknodat(&filter);
    add_return(&filter, SECCOMP_RET_ALLOW);
    result = install(&filter, err);
    vec_release(&filter);
    return result;
}

static int filter_fetch(struct error *err)
{
    struct filter filter = {0};
    int result;

    begin_filter(&filter);
    add_return(&filter, SECCOMP_RET_ALLOW);
    result = install(&filter, err);
    vec_release(&filter);
    return result;
}

/* ------------------------------------------------------------------ capabilities, limits */

static int keep_capabilities(uint64_t keep, struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};

    if (syscall(SYS_capget, &header, data) < 0)
        return error_sys(err, errno, "read capabilities");
    for (int i = 0; i < 2; i++) {
        uint32_t mask = (uint32_t)(keep >> (32 * i));

        data[i].effective &= mask;
        data[i].permitted &= mask;
        data[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &header, data) < 0)
        return error_sys(err, errno, "drop capabilities");
    return 0;
}

static int set_limits(struct error *err)
{
    const struct rlimit none = {0, 0}, files = {OPEN_FILES_MAX, OPEN_FILES_MAX};

    if (setrlimit(RLIMIT_CORE, &none) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0)
        return error_sys(err, errno, "set limits");
    return 0;
}

int sandbox_enter_worker(struct error *err)
{
    if (geteuid() == 0 && keep_capabilities(worker_capabilities, err) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(err, errno, "set no_new_privs");
    return 0;
}

int sandbox_enter_unpack(int tree_fd, struct error *err)
{
    if (fchdir(tree_fd) < 0)
        return error_sys(err, errno, "enter the tree");
    if (geteuid() == 0 && chroot(".") < 0)
        return error_sys(err, errno, "make the tree our root directory");
    if (set_limits(err) < 0 || keep_capabilities(unpack_capabilities, err) < 0)
        return -1;
    return filter_unpack(err);
}

int sandbox_enter_fetch(struct error *err)
{
    if (set_limits(err) < 0)
        return -1;
    if (geteuid() == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) < 0)
            return error_sys(err, errno, "become nobody");
        /* A change of credentials clears it (prctl(2)); closing the socket ends us, too. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
            return error_sys(err, errno, "tie to the worker");
    }
    if (keep_capabilities(0, err) < 0)
        return -1;
    return filter_fetch(err);
}
