/* The system call filter: what the compiled program answers for every call, and the same once more
 * with the kernel's own eyes. */

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/security/security.h"
#include "tests/tap.h"

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

#define ALLOW          SECCOMP_RET_ALLOW
#define REFUSE(errnum) (SECCOMP_RET_ERRNO | (errnum))

static struct buf filter_for(uint64_t set)
{
    struct error err = ERROR_INIT;
    struct buf program = BUF_INIT;
    int fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(fd >= 0);
    CHECK_OK(seccomp_filter_get(fd, set, &program, &err), &err);
    close(fd);
    return program;
}

/* The part of classic BPF that seccomp programs use. */
static uint32_t run_program(const struct buf *program, const struct seccomp_data *data)
{
    const struct sock_filter *code = (const void *)program->data;
    size_t n = program->len / sizeof(*code);
    uint32_t a = 0;

    for (size_t pc = 0; pc < n; pc++) {
        uint32_t k = code[pc].k;
        bool jumps;

        switch (code[pc].code) {
        case BPF_LD | BPF_W | BPF_ABS:
            CHECK(k + sizeof(a) <= sizeof(*data));
            memcpy(&a, (const char *)data + k, sizeof(a));
            continue;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= k;
            continue;
        case BPF_RET | BPF_K:
            return k;
        case BPF_JMP | BPF_JA:
            pc += k;
            continue;
        case BPF_JMP | BPF_JEQ | BPF_K:
            jumps = a == k;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            jumps = a >= k;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            jumps = a > k;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            jumps = (a & k) != 0;
            break;
        default:
            tap_fail(TAP_HERE, "instruction 0x%x", code[pc].code);
        }
        pc += jumps ? code[pc].jt : code[pc].jf;
    }
    tap_fail(TAP_HERE, "the program has no end");
}

static uint32_t answer(const struct buf *program, uint32_t arch, int call, uint64_t argument)
{
    struct seccomp_data data = {.nr = call, .arch = arch, .args = {argument}};

    return run_program(program, &data);
}

#define CHECK_ANSWER(call, argument, want)                                                         \
    CHECK_INT(answer(&program, NATIVE, (call), (argument)), (want))

TEST(ordinary_calls_pass_and_dangerous_ones_do_not)
{
    const int allowed[] = {SYS_read,   SYS_execve,  SYS_openat, SYS_ptrace,     SYS_futex,
                           SYS_chroot, SYS_mknodat, SYS_statx,  SYS_pidfd_open, SYS_seccomp};
    const int refused[] = {
        SYS_mount,        SYS_umount2,        SYS_unshare,           SYS_setns,
        SYS_bpf,          SYS_keyctl,         SYS_add_key,           SYS_request_key,
        SYS_reboot,       SYS_kexec_load,     SYS_init_module,       SYS_swapon,
        SYS_userfaultfd,  SYS_io_uring_setup, SYS_open_by_handle_at, SYS_perf_event_open,
        SYS_settimeofday, SYS_open_tree,      SYS_move_pages};
    struct buf program = filter_for(capability_default_set);

    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++)
        CHECK_ANSWER(allowed[i], 0, ALLOW);
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
        CHECK_ANSWER(refused[i], 0, REFUSE(EPERM));
    buf_release(&program);
}

TEST(clone_is_judged_by_its_flags_and_clone3_looks_absent)
{
    const uint64_t namespaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                   CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    struct buf program = filter_for(capability_default_set);

    CHECK_ANSWER(SYS_clone, SIGCHLD, ALLOW);
    CHECK_ANSWER(SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_SETTLS, ALLOW);
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(*namespaces); i++) {
        CHECK_ANSWER(SYS_clone, namespaces[i] | SIGCHLD, REFUSE(EPERM));
        /* the kernel ignores the high word here: so must we */
        CHECK_ANSWER(SYS_clone, namespaces[i] | 1ULL << 40, REFUSE(EPERM));
    }
    CHECK_ANSWER(SYS_clone3, 0, REFUSE(ENOSYS));
    buf_release(&program);
}

TEST(arguments_are_compared_as_the_kernel_reads_them)
{
    struct buf program = filter_for(capability_default_set);

    for (uint64_t family = 0; family < 256; family++) {
        uint32_t want = family == 38 || family == 40 ? REFUSE(EPERM) : ALLOW;

        CHECK_ANSWER(SYS_socket, family, want);
        CHECK_ANSWER(SYS_socket, family | 1ULL << 32, want);
    }
    CHECK_ANSWER(SYS_personality, 0, ALLOW);
    CHECK_ANSWER(SYS_personality, 0xffffffff, ALLOW);
    CHECK_ANSWER(SYS_personality, UINT64_MAX, ALLOW);
    CHECK_ANSWER(SYS_personality, 0x20008, ALLOW);
    CHECK_ANSWER(SYS_personality, ADDR_NO_RANDOMIZE, REFUSE(EPERM));
    CHECK_ANSWER(SYS_personality, ADDR_NO_RANDOMIZE | 1ULL << 32, REFUSE(EPERM));
    buf_release(&program);
}

TEST(capabilities_open_their_calls)
{
    static const struct {
        unsigned capability;
        int call;
    } opens[] = {
        {CAP_SYS_ADMIN, SYS_mount},
        {CAP_SYS_ADMIN, SYS_unshare},
        {CAP_SYS_ADMIN, SYS_clone3},
        {CAP_SYS_ADMIN, SYS_bpf},
        {CAP_BPF, SYS_bpf},
        {CAP_PERFMON, SYS_perf_event_open},
        {CAP_SYSLOG, SYS_syslog},
        {CAP_SYS_BOOT, SYS_reboot},
        {CAP_SYS_MODULE, SYS_finit_module},
        {CAP_SYS_TIME, SYS_clock_settime},
        {CAP_SYS_PTRACE, SYS_kcmp},
        {CAP_SYS_NICE, SYS_mbind},
        {CAP_DAC_READ_SEARCH, SYS_open_by_handle_at},
        {CAP_SYS_PACCT, SYS_acct},
        {CAP_SYS_TTY_CONFIG, SYS_vhangup},
    };

    for (size_t i = 0; i < sizeof(opens) / sizeof(*opens); i++) {
        struct buf program = filter_for(CAPABILITY_BIT(opens[i].capability));

        CHECK_ANSWER(opens[i].call, 0, ALLOW);
        buf_release(&program);
        program = filter_for(CAPABILITY_ALL_SET & ~CAPABILITY_BIT(opens[i].capability) &
                             ~CAPABILITY_BIT(CAP_SYS_ADMIN));
        CHECK(answer(&program, NATIVE, opens[i].call, 0) != ALLOW || opens[i].call == SYS_bpf);
        buf_release(&program);
    }

    struct buf program = filter_for(CAPABILITY_BIT(CAP_SYS_ADMIN));

    CHECK_ANSWER(SYS_clone, CLONE_NEWUSER, ALLOW);
    CHECK_ANSWER(SYS_chroot, 0, REFUSE(EPERM));
    buf_release(&program);
}

TEST(calls_newer_than_the_profile_look_absent)
{
    struct buf program = filter_for(capability_default_set);

    for (int call = 467; call < 600; call++)
        CHECK_ANSWER(call, 0, REFUSE(ENOSYS));
    CHECK_ANSWER(452, 0, ALLOW);         /* fchmodat2: newer than Debian's libseccomp */
    CHECK_ANSWER(459, 0, REFUSE(EPERM)); /* lsm_get_self_attr: known and refused */
    buf_release(&program);
}

#if defined(__x86_64__)
TEST(programs_of_32_bits_have_the_same_filter)
{
    enum { I386_READ = 3, I386_MOUNT = 21, I386_CLONE3 = 435, I386_FCHMODAT2 = 452, X32 = 1 << 30 };
    struct buf program = filter_for(capability_default_set);

    CHECK_INT(answer(&program, AUDIT_ARCH_I386, I386_READ, 0), ALLOW);
    CHECK_INT(answer(&program, AUDIT_ARCH_I386, I386_MOUNT, 0), REFUSE(EPERM));
    CHECK_INT(answer(&program, AUDIT_ARCH_I386, I386_CLONE3, 0), REFUSE(ENOSYS));
    CHECK(answer(&program, AUDIT_ARCH_I386, I386_FCHMODAT2, 0) != REFUSE(EPERM));
    CHECK_INT(answer(&program, NATIVE, X32 | SYS_getpid, 0), ALLOW);
    CHECK_INT(answer(&program, NATIVE, X32 | SYS_bpf, 0), REFUSE(EPERM));
    buf_release(&program);
}

TEST(another_architecture_is_killed)
{
    struct buf program = filter_for(capability_default_set);
    uint32_t result = answer(&program, AUDIT_ARCH_AARCH64, 64, 0);

    CHECK(result == SECCOMP_RET_KILL_THREAD || result == SECCOMP_RET_KILL_PROCESS);
    buf_release(&program);
}
#endif

TEST(a_compiled_filter_is_kept_and_shared_by_sets_that_do_not_differ_for_it)
{
    struct error err = ERROR_INIT;
    struct buf first = BUF_INIT, second = BUF_INIT;
    cleanup_fd int fd = open(tap_temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK_INT(seccomp_filter_read(fd, capability_default_set, &first, &err), 1);
    CHECK_OK(seccomp_filter_get(fd, capability_default_set, NULL, &err), &err);
    CHECK_OK(seccomp_filter_read(fd, capability_default_set, &first, &err), &err);
    CHECK(first.len > 0);
    /* CAP_CHOWN opens no call */
    CHECK_OK(
        seccomp_filter_read(fd, capability_default_set & ~CAPABILITY_BIT(CAP_CHOWN), &second, &err),
        &err);
    CHECK_INT(first.len, second.len);
    CHECK_INT(seccomp_filter_read(fd, CAPABILITY_BIT(CAP_SYS_ADMIN), &second, &err), 1);
    buf_release(&first);
    buf_release(&second);
}

static int errno_of(long result)
{
    return result < 0 ? errno : 0;
}

/* In a child: load the filter, try calls, exit with the number of the first that surprises. */
static int surprises_under(const struct buf *program)
{
    struct sock_fprog filter = {(unsigned short)(program->len / sizeof(struct sock_filter)),
                                (void *)program->data};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return 100;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0)
        return 101;
    if (errno_of(mount("none", "/nowhere", "tmpfs", 0, NULL)) != EPERM)
        return 1;
    if (errno_of(unshare(CLONE_NEWUSER)) != EPERM)
        return 2;
    if (errno_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) != EPERM)
        return 3;
    if (errno_of(syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0)) != EPERM)
        return 4;
    if (errno_of(syscall(SYS_clone3, NULL, 0)) != ENOSYS)
        return 5;
    if (errno_of(socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0)) != EPERM)
        return 6;
    if (errno_of(syscall(SYS_clone, CLONE_NEWNET, 0, 0, 0, 0)) != EPERM)
        return 7;

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || close(fd) != 0 || getpid() <= 0 || access("/", F_OK) != 0)
        return 8;

    pid_t child = fork();

    if (child == 0)
        _exit(0);
    if (child < 0 || waitpid(child, NULL, 0) != child)
        return 9;
    return 0;
}

TEST(the_kernel_agrees_in_a_process_under_the_default_filter)
{
    struct buf program = filter_for(capability_default_set);
    pid_t child = fork();
    int status = -1;

    if (child == 0)
        _exit(surprises_under(&program));
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    buf_release(&program);
}
