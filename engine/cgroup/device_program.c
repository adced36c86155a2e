/* Device rules → BPF.
 *
 * Theory
 *   The kernel calls the program of every group above a process when it opens or makes a device
 *   node, with struct bpf_cgroup_dev_ctx {access_type, major, minor}; access_type has the type in
 *   its low half and what is wanted in its high half. All must return 1.
 *
 *   A rule becomes a run of tests that jump to the next rule when they fail, then "return 1".
 *   Attached with BPF_F_ALLOW_MULTI: a container that runs containers may attach its own below,
 *   which can only take more away. */

#include "engine/cgroup/device_program.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/security/security.h"

enum register_use {
    RETURN = 0,
    CONTEXT = 1,
    TYPE = 2,
    WANTED = 3,
    MAJOR = 4,
    MINOR = 5,
    SCRATCH = 6
};

static struct bpf_insn load_word(unsigned to, size_t offset)
{
    return (struct bpf_insn){.code = BPF_LDX | BPF_MEM | BPF_W,
                             .dst_reg = (uint8_t)(to & 0xf),
                             .src_reg = CONTEXT,
                             .off = (int16_t)offset};
}

static struct bpf_insn with_constant(unsigned operation, unsigned to, int32_t constant)
{
    return (struct bpf_insn){.code = (uint8_t)(BPF_ALU | BPF_K | operation),
                             .dst_reg = (uint8_t)(to & 0xf),
                             .imm = constant};
}

static struct bpf_insn copy(unsigned to, unsigned from)
{
    return (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_X,
                             .dst_reg = (uint8_t)(to & 0xf),
                             .src_reg = (uint8_t)(from & 0xf)};
}

/* The jump's distance is filled in when the rule is complete. */
static struct bpf_insn unless_equal(unsigned what, int32_t constant)
{
    return (struct bpf_insn){
        .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = (uint8_t)(what & 0xf), .imm = constant};
}

static struct bpf_insn leave(void)
{
    return (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
}

static int32_t kernel_access(unsigned access)
{
    return (access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0) |
           (access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0) |
           (access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0);
}

static size_t make_rule(const struct device_rule *rule, struct bpf_insn *ret)
{
    size_t n = 0;

    if (rule->type != 'a')
        ret[n++] = unless_equal(TYPE, rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
    if ((rule->access & DEVICE_ALL) != DEVICE_ALL) {
        ret[n++] = copy(SCRATCH, WANTED);
        ret[n++] = with_constant(BPF_AND, SCRATCH, ~kernel_access(rule->access));
        ret[n++] = unless_equal(SCRATCH, 0); /* something is wanted that the rule doesn't give */
    }
    if (rule->major != DEVICE_ANY_NUMBER)
        ret[n++] = unless_equal(MAJOR, (int32_t)rule->major);
    if (rule->minor != DEVICE_ANY_NUMBER)
        ret[n++] = unless_equal(MINOR, (int32_t)rule->minor);
    ret[n++] = with_constant(BPF_MOV, RETURN, 1);
    ret[n++] = leave();

    for (size_t i = 0; i < n; i++)
        if (ret[i].code == (BPF_JMP | BPF_JNE | BPF_K))
            ret[i].off = (int16_t)(n - i - 1);
    assert(n <= DEVICE_PROGRAM_INSNS_PER_RULE);
    return n;
}

size_t device_program_make(const struct device_rule *rules, size_t n_rules, struct bpf_insn *ret)
{
    enum { TYPE_BITS = 16, TYPE_MASK = 0xffff };
    size_t n = 0;

    assert(n_rules <= DEVICE_PROGRAM_RULES_MAX);
    ret[n++] = load_word(TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
    ret[n++] = copy(WANTED, TYPE);
    ret[n++] = with_constant(BPF_AND, TYPE, TYPE_MASK);
    ret[n++] = with_constant(BPF_RSH, WANTED, TYPE_BITS);
    ret[n++] = load_word(MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
    ret[n++] = load_word(MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
    for (size_t i = 0; i < n_rules; i++)
        n += make_rule(&rules[i], ret + n);
    ret[n++] = with_constant(BPF_MOV, RETURN, 0);
    ret[n++] = leave();
    return n;
}

static int bpf_call(int command, union bpf_attr *attributes)
{
    return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

int device_program_load(const struct bpf_insn *insns, size_t n_insns, int *ret_fd,
                        struct error *err)
{
    static const char license[] = "GPL";
    union bpf_attr attributes;

    memset(&attributes, 0, sizeof(attributes));
    attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    attributes.insns = (uintptr_t)insns;
    attributes.insn_cnt = (uint32_t)n_insns;
    attributes.license = (uintptr_t)license;

    int fd = bpf_call(BPF_PROG_LOAD, &attributes); /* close-on-exec by itself */

    if (fd < 0)
        return error_sys(err, errno, "load the device filter");
    *ret_fd = fd;
    return 0;
}

/* Id of the program attached to the group itself (there is at most one of ours); 0 = none. */
static int attached_id(int group_fd, uint32_t *ret_id)
{
    uint32_t ids[1] = {0};
    union bpf_attr attributes;

    memset(&attributes, 0, sizeof(attributes));
    attributes.query.target_fd = (uint32_t)group_fd;
    attributes.query.attach_type = BPF_CGROUP_DEVICE;
    attributes.query.prog_ids = (uintptr_t)ids;
    attributes.query.prog_cnt = 1;
    if (bpf_call(BPF_PROG_QUERY, &attributes) < 0 && errno != ENOSPC)
        return -errno;
    *ret_id = attributes.query.prog_cnt > 0 ? ids[0] : 0;
    return 0;
}

static int program_id(int program_fd, uint32_t *ret_id)
{
    struct bpf_prog_info info;
    union bpf_attr attributes;

    memset(&info, 0, sizeof(info));
    memset(&attributes, 0, sizeof(attributes));
    attributes.info.bpf_fd = (uint32_t)program_fd;
    attributes.info.info = (uintptr_t)&info;
    attributes.info.info_len = sizeof(info);
    if (bpf_call(BPF_OBJ_GET_INFO_BY_FD, &attributes) < 0)
        return -errno;
    *ret_id = info.id;
    return 0;
}

static int open_by_id(uint32_t id, int *ret_fd)
{
    union bpf_attr attributes;

    memset(&attributes, 0, sizeof(attributes));
    attributes.prog_id = id;

    int fd = bpf_call(BPF_PROG_GET_FD_BY_ID, &attributes);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int attach(int group_fd, int program_fd, int old_fd)
{
    union bpf_attr attributes;

    memset(&attributes, 0, sizeof(attributes));
    attributes.target_fd = (uint32_t)group_fd;
    attributes.attach_bpf_fd = (uint32_t)program_fd;
    attributes.attach_type = BPF_CGROUP_DEVICE;
    attributes.attach_flags = BPF_F_ALLOW_MULTI;
    if (old_fd >= 0) {
        attributes.attach_flags |= BPF_F_REPLACE; /* in one step: never without a filter */
        attributes.replace_bpf_fd = (uint32_t)old_fd;
    }
    return bpf_call(BPF_PROG_ATTACH, &attributes) < 0 ? -errno : 0;
}

int device_program_attach(int group_fd, int program_fd, bool is_new, struct error *err)
{
    cleanup_fd int old_fd = -1;
    uint32_t old_id = 0, new_id = 0;
    int r = 0;

    if (!is_new)
        r = attached_id(group_fd, &old_id);
    if (r == 0 && old_id != 0)
        r = program_id(program_fd, &new_id);
    if (r == 0 && old_id != 0 && old_id == new_id)
        return 0;
    if (r == 0 && old_id != 0)
        r = open_by_id(old_id, &old_fd);
    if (r == 0)
        r = attach(group_fd, program_fd, old_fd);
    return r < 0 ? error_sys(err, -r, "attach the device filter") : 0;
}

int device_program_detach(int group_fd, struct error *err)
{
    cleanup_fd int old_fd = -1;
    uint32_t old_id = 0;
    union bpf_attr attributes;
    int r = attached_id(group_fd, &old_id);

    if (r == 0 && old_id == 0)
        return 0;
    if (r == 0)
        r = open_by_id(old_id, &old_fd);
    if (r == 0) {
        memset(&attributes, 0, sizeof(attributes));
        attributes.target_fd = (uint32_t)group_fd;
        attributes.attach_bpf_fd = (uint32_t)old_fd;
        attributes.attach_type = BPF_CGROUP_DEVICE;
        r = bpf_call(BPF_PROG_DETACH, &attributes) < 0 ? -errno : 0;
    }
    return r < 0 ? error_sys(err, -r, "remove the device filter") : 0;
}
