/* Limits as file contents, device rules as programs: no kernel needed. */

#include "engine/cgroup/limits.h"
#include "engine/base/buf.h"
#include "engine/cgroup/device_program.h"
#include "engine/security/security.h"
#include "tests/tap.h"

/* "file=value" lines */
static struct buf writes_of(const struct cgroup_limits *limits, bool is_v2, bool with_resets)
{
    struct limit_writes writes;
    struct buf text = BUF_INIT;

    limits_make_writes(limits, is_v2, with_resets, &writes);
    for (size_t i = 0; i < writes.n; i++)
        buf_printf(&text, "%s=%s\n", writes.items[i].file,
                   writes.items[i].text ? writes.items[i].text : writes.items[i].value);
    return text;
}

#define CHECK_WRITES(limits, is_v2, with_resets, want)                                             \
    do {                                                                                           \
        struct buf text_ = writes_of((limits), (is_v2), (with_resets));                            \
        CHECK_TEXT(buf_text(&text_), (want));                                                      \
        buf_release(&text_);                                                                       \
    } while (0)

TEST(no_limit_writes_nothing)
{
    const struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    CHECK_WRITES(&limits, true, false, "");
    CHECK_WRITES(&limits, false, false, "");
    CHECK_INT(limits_controllers(&limits), 0);
}

TEST(limits_are_written_in_the_words_of_v2)
{
    const struct cgroup_limits limits = {.memory_bytes = 64 << 20,
                                         .nano_cpus = 1500000000,
                                         .cpu_shares = 1024,
                                         .pids_limit = 20,
                                         .memory_reservation_bytes = 1 << 20};

    CHECK_WRITES(&limits, true, false,
                 "memory.max=67108864\nmemory.swap.max=67108864\nmemory.low=1048576\n"
                 "cpu.max=150000 100000\ncpu.weight=100\npids.max=20\n");
}

TEST(limits_are_written_in_the_words_of_v1)
{
    const struct cgroup_limits limits = {
        .memory_bytes = 64 << 20, .nano_cpus = 500000000, .cpu_shares = 512, .pids_limit = 20};

    CHECK_WRITES(&limits, false, false,
                 "memory.limit_in_bytes=67108864\nmemory.memsw.limit_in_bytes=134217728\n"
                 "cpu.cfs_period_us=100000\ncpu.cfs_quota_us=50000\ncpu.shares=512\npids.max=20\n");
}

TEST(an_update_takes_back_what_is_no_longer_limited)
{
    const struct cgroup_limits limits = CGROUP_LIMITS_INIT;

    CHECK_WRITES(&limits, true, true,
                 "memory.max=max\nmemory.swap.max=max\nmemory.low=0\ncpu.max=max\n"
                 "cpu.weight=100\npids.max=max\n");
    CHECK_WRITES(&limits, false, true,
                 "memory.limit_in_bytes=-1\nmemory.memsw.limit_in_bytes=-1\n"
                 "memory.soft_limit_in_bytes=-1\ncpu.cfs_period_us=100000\ncpu.cfs_quota_us=-1\n"
                 "cpu.shares=1024\npids.max=max\n");
}

TEST(swap_can_be_forbidden_and_freed)
{
    struct cgroup_limits limits = {.memory_bytes = 1000, .memory_swap_bytes = 1000};

    CHECK_WRITES(&limits, true, false, "memory.max=1000\nmemory.swap.max=0\n");
    limits.memory_swap_bytes = -1;
    CHECK_WRITES(&limits, true, false, "memory.max=1000\nmemory.swap.max=max\n");
    CHECK_WRITES(&limits, false, false,
                 "memory.limit_in_bytes=1000\nmemory.memsw.limit_in_bytes=-1\n");
}

TEST(shares_become_weights_around_the_same_default)
{
    CHECK_INT(limits_cpu_weight(2), 1);
    CHECK_INT(limits_cpu_weight(1024), 100);
    CHECK_INT(limits_cpu_weight(512), 59);
    CHECK_INT(limits_cpu_weight(262144), 10000);
    CHECK_INT(limits_cpu_weight(1 << 30), 10000);
    CHECK_INT(limits_cpu_weight(1), 1);
    for (uint64_t shares = 1; shares < 300000; shares++)
        CHECK(limits_cpu_weight(shares) <= limits_cpu_weight(shares + 1));
}

/* A machine for the handful of instructions that device programs use. */
static int run_program(const struct bpf_insn *code, size_t n, const uint32_t context[static 3])
{
    uint64_t r[11] = {0};

    for (size_t pc = 0; pc < n; pc++) {
        const struct bpf_insn *at = &code[pc];

        switch (at->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            r[at->dst_reg] = context[at->off / 4];
            break;
        case BPF_ALU | BPF_MOV | BPF_X:
            r[at->dst_reg] = (uint32_t)r[at->src_reg];
            break;
        case BPF_ALU | BPF_MOV | BPF_K:
            r[at->dst_reg] = (uint32_t)at->imm;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            r[at->dst_reg] = (uint32_t)r[at->dst_reg] & (uint32_t)at->imm;
            break;
        case BPF_ALU | BPF_RSH | BPF_K:
            r[at->dst_reg] = (uint32_t)r[at->dst_reg] >> at->imm;
            break;
        case BPF_JMP | BPF_JNE | BPF_K:
            if (r[at->dst_reg] != (uint64_t)(int64_t)at->imm)
                pc += (size_t)at->off;
            break;
        case BPF_JMP | BPF_EXIT:
            return (int)r[0];
        default:
            tap_fail(TAP_HERE, "instruction 0x%x", at->code);
        }
    }
    tap_fail(TAP_HERE, "the program has no end");
}

static bool allows(const struct device_rule *rules, size_t n, const char *wish)
{
    struct bpf_insn code[200];
    struct device_rule want;
    struct error err = ERROR_INIT;

    CHECK_OK(device_rule_parse(wish, &want, &err), &err);

    uint32_t type = want.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    uint32_t access = (want.access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0) |
                      (want.access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0) |
                      (want.access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0);
    const uint32_t context[3] = {type | access << 16, (uint32_t)want.major, (uint32_t)want.minor};

    return run_program(code, device_program_make(rules, n, code), context) == 1;
}

TEST(the_default_device_rules_allow_the_six_nodes_and_making_others)
{
    const struct device_rule *rules = security_device_rules;
    size_t n = security_n_device_rules;

    CHECK(allows(rules, n, "c 1:3 rwm"));
    CHECK(allows(rules, n, "c 5:0 rw"));
    CHECK(allows(rules, n, "c 136:77 rw"));
    CHECK(allows(rules, n, "b 8:0 m"));
    CHECK(!allows(rules, n, "b 8:0 r"));
    CHECK(!allows(rules, n, "b 8:0 rm"));
    CHECK(!allows(rules, n, "c 1:1 r")); /* /dev/mem */
    CHECK(!allows(rules, n, "c 10:200 rw"));
}

TEST(a_device_rule_gives_exactly_what_it_says)
{
    const struct device_rule rules[] = {{'c', 10, 200, DEVICE_READ | DEVICE_WRITE},
                                        {'b', 8, DEVICE_ANY_NUMBER, DEVICE_READ}};

    CHECK(allows(rules, 2, "c 10:200 rw"));
    CHECK(allows(rules, 2, "c 10:200 w"));
    CHECK(!allows(rules, 2, "c 10:200 rwm"));
    CHECK(!allows(rules, 2, "c 10:201 r"));
    CHECK(!allows(rules, 2, "b 10:200 r"));
    CHECK(allows(rules, 2, "b 8:16 r"));
    CHECK(!allows(rules, 2, "b 8:16 w"));
    CHECK(!allows(rules, 0, "c 1:3 r"));

    const struct device_rule all = {'a', DEVICE_ANY_NUMBER, DEVICE_ANY_NUMBER, DEVICE_ALL};

    CHECK(allows(&all, 1, "b 8:0 rwm"));
}
