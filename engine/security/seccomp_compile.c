/* The profile's tables to BPF, by libseccomp.
 *
 * Theory
 *   libseccomp makes one program for a family of architectures (x86_64 with i386 and x32). A search
 *   tree rather than its default list: the kernel runs the program once for every call number at
 *   load time to find out which calls are allowed whatever their arguments.
 *
 *   Calls that the library is too old to know are added by number, for the native architecture
 * only, since it can't translate them to the others. Before its program stands a short one of ours,
 *   which answers ENOSYS for calls that are newer than what was compiled: C libraries fall back to
 *   an older call on ENOSYS, but give up on EPERM. */

#include "engine/security/seccomp_compile.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/security/seccomp_profile.h"

#if defined(__x86_64__)
#define ARCH_NAME   "x86_64"
#define ARCH_FAMILY SECCOMP_ARCH_X86_FAMILY
#define ARCH_AUDIT  AUDIT_ARCH_X86_64
static const uint32_t secondary_archs[] = {SCMP_ARCH_X86, SCMP_ARCH_X32};
#elif defined(__aarch64__)
#define ARCH_NAME   "aarch64"
#define ARCH_FAMILY SECCOMP_ARCH_ARM_FAMILY
#define ARCH_AUDIT  AUDIT_ARCH_AARCH64
static const uint32_t secondary_archs[] = {SCMP_ARCH_ARM};
#else
#error "add this architecture to the system call filter"
#endif

#define TEXT_OF(x)  TEXT_OF_(x)
#define TEXT_OF_(x) #x

const char seccomp_compiler_name[] = "libseccomp-" TEXT_OF(SCMP_VER_MAJOR) "." TEXT_OF(
    SCMP_VER_MINOR) "." TEXT_OF(SCMP_VER_MICRO) "-" ARCH_NAME;

enum { CALL_NAME_MAX = 40, X32_BIT = 0x40000000, OPTIMIZE_TREE = 2 };

struct compiler {
    scmp_filter_ctx native;    /* this architecture */
    scmp_filter_ctx secondary; /* those it can also run; merged into native at the end */
    int first_unresolved;      /* lowest common number that the library doesn't know */
};

static void compiler_release(struct compiler *compiler)
{
    seccomp_release(compiler->native);
    seccomp_release(compiler->secondary);
}

static int set_attributes(scmp_filter_ctx filter, struct error *err)
{
    /* no_new_privs is the container's choice, not the filter's */
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);

    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_TREE);
    return r < 0 ? error_sys(err, -r, "set up the system call filter") : 0;
}

static int compiler_init(struct compiler *compiler, struct error *err)
{
    int r = 0;

    compiler->native = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    compiler->secondary = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    compiler->first_unresolved = SECCOMP_FIRST_UNKNOWN_CALL;
    if (!compiler->native || !compiler->secondary)
        return error_set(err, ERROR_SYSTEM, "set up the system call filter: out of memory");

    for (size_t i = 0; i < sizeof(secondary_archs) / sizeof(*secondary_archs); i++)
        if (r == 0)
            r = seccomp_arch_add(compiler->secondary, secondary_archs[i]);
    if (r == 0)
        r = seccomp_arch_remove(compiler->secondary, SCMP_ARCH_NATIVE);
    if (r < 0)
        return error_sys(err, -r, "system call filter for 32-bit programs");

    if (set_attributes(compiler->native, err) < 0)
        return -1;
    return set_attributes(compiler->secondary, err);
}

static int add_rule(scmp_filter_ctx filter, const struct seccomp_group *group, int number)
{
    uint32_t action =
        group->errnum ? SCMP_ACT_ERRNO((uint16_t)group->errnum) : (uint32_t)SCMP_ACT_ALLOW;

    if (!group->compares)
        return seccomp_rule_add_array(filter, action, number, 0, NULL);

    for (size_t i = 0; i < group->n_compares; i++) {
        const struct seccomp_compare *compare = &group->compares[i];
        struct scmp_arg_cmp argument = {compare->argument, SCMP_CMP_MASKED_EQ, compare->mask,
                                        compare->value};
        int r = seccomp_rule_add_array(filter, action, number, 1, &argument);

        if (r < 0)
            return r;
    }
    return 0;
}

static const struct seccomp_number *new_call_find(const char *name)
{
    for (const struct seccomp_number *call = seccomp_new_calls; call->name; call++)
        if (text_equal(call->name, name))
            return call;
    return NULL;
}

static int add_call(struct compiler *compiler, const struct seccomp_group *group, const char *name,
                    struct error *err)
{
    int number = seccomp_syscall_resolve_name(name);
    int r;

    if (number == __NR_SCMP_ERROR) {
        const struct seccomp_number *call = new_call_find(name);

        /* other architectures' calls, such as riscv_hwprobe */
        if (!call || (call->arch != SECCOMP_ARCH_ANY && call->arch != ARCH_FAMILY))
            return 0;
        if (call->number >= SECCOMP_FIRST_COMMON_CALL && call->number < compiler->first_unresolved)
            compiler->first_unresolved = call->number;
        r = add_rule(compiler->native, group, call->number);
    } else {
        r = add_rule(compiler->native, group, number);
        if (r == 0)
            r = add_rule(compiler->secondary, group, number);
    }
    return r < 0 ? error_sys(err, -r, "system call filter: rule for %s", name) : 0;
}

static bool group_holds(const struct seccomp_group *group, uint64_t bounding_set)
{
    if (group->arch != SECCOMP_ARCH_ANY && group->arch != ARCH_FAMILY)
        return false;
    if (group->if_any_of && !(bounding_set & group->if_any_of))
        return false;
    return !(bounding_set & group->unless_any_of);
}

static int add_group(struct compiler *compiler, const struct seccomp_group *group,
                     struct error *err)
{
    struct str rest = str_from(group->calls);

    while (rest.len > 0) {
        struct str word;
        char name[CALL_NAME_MAX] = {0};

        if (!str_cut(rest, ' ', &word, &rest))
            rest = (struct str){NULL, 0};
        assert(word.len > 0 && word.len < sizeof(name)); /* our own table */
        memcpy(name, word.data, word.len);
        if (add_call(compiler, group, name, err) < 0)
            return -1;
    }
    return 0;
}

/* ENOSYS for what is newer than the profile (native) or than the library (other architectures). */
static void add_prologue(struct buf *out, int first_unresolved)
{
    enum { NR = offsetof(struct seccomp_data, nr), ARCH = offsetof(struct seccomp_data, arch) };
    const struct sock_filter prologue[] = {
        /* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARCH),
        /* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH_AUDIT, 0, 2),
        /* 2 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
        /* 3 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SECCOMP_FIRST_UNKNOWN_CALL, 2, 4),
        /* 4 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
        /* 5 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)first_unresolved, 0, 2),
        /* 6 */ BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 1, 0), /* x32: the library's part */
        /* 7 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };

    buf_add(out, prologue, sizeof(prologue));
}

static int export_program(scmp_filter_ctx filter, struct buf *out, struct error *err)
{
    cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "memory for the system call filter");

    int r = seccomp_export_bpf(filter, fd);

    if (r < 0)
        return error_sys(err, -r, "compile the system call filter");
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_sys(err, errno, "read the compiled system call filter");
    return fs_read_all(fd, out, err);
}

static int compile_with(struct compiler *compiler, uint64_t bounding_set, struct buf *ret_program,
                        struct error *err)
{
    if (compiler_init(compiler, err) < 0)
        return -1;
    for (size_t i = 0; i < seccomp_n_groups; i++)
        if (group_holds(&seccomp_groups[i], bounding_set) &&
            add_group(compiler, &seccomp_groups[i], err) < 0)
            return -1;

    int r = seccomp_merge(compiler->native, compiler->secondary);

    if (r < 0)
        return error_sys(err, -r, "system call filter: merge architectures");
    compiler->secondary = NULL; /* the merge took it */

    add_prologue(ret_program, compiler->first_unresolved);
    return export_program(compiler->native, ret_program, err);
}

int seccomp_compile(uint64_t bounding_set, struct buf *ret_program, struct error *err)
{
    struct compiler compiler = {NULL, NULL, 0};
    int r = compile_with(&compiler, bounding_set, ret_program, err);

    compiler_release(&compiler);
    return r;
}
