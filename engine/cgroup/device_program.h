#pragma once

/* Device rules as a BPF program of type cgroup/dev. Private to engine/cgroup. */

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

struct device_rule;
struct error;

enum {
    DEVICE_PROGRAM_RULES_MAX = 500,
    DEVICE_PROGRAM_INSNS_PER_RULE = 8,
    DEVICE_PROGRAM_INSNS_MAX = 8 + DEVICE_PROGRAM_RULES_MAX * DEVICE_PROGRAM_INSNS_PER_RULE,
};

/* Pure: allow what any of the rules allows, deny the rest. `ret` has room for
 * DEVICE_PROGRAM_INSNS_MAX. Returns the number of instructions. */
size_t device_program_make(const struct device_rule *rules, size_t n_rules, struct bpf_insn *ret);

/* Load it into the kernel: fd of the program. */
int device_program_load(const struct bpf_insn *insns, size_t n_insns, int *ret_fd,
                        struct error *err);

/* Make it the group's only program. is_new: the group was just made, so none has to be replaced. */
int device_program_attach(int group_fd, int program_fd, bool is_new, struct error *err);

/* Take the group's program away; none is fine. */
int device_program_detach(int group_fd, struct error *err);
