/* Capabilities, device rules, sysctls, ulimits. */

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/security/security.h"
#include "tests/tap.h"

static const struct strings none = {NULL, 0};

static uint64_t set_of(struct strings add, struct strings drop, bool privileged)
{
    struct error err = ERROR_INIT;
    uint64_t set = 0;

    CHECK_OK(capability_set(&add, &drop, privileged, &set, &err), &err);
    return set;
}

#define LIST(...)                                                                                  \
    ((struct strings){(const char *[]){__VA_ARGS__},                                               \
                      sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)})

TEST(a_container_gets_dockers_fourteen_capabilities)
{
    CHECK_INT(__builtin_popcountll(set_of(none, none, false)), 14);
    /* the mask that `docker run alpine grep CapBnd /proc/self/status` shows */
    CHECK_INT(set_of(none, none, false), 0xa80425fb);
}

TEST(capabilities_are_added_and_dropped_in_any_spelling)
{
    CHECK_INT(set_of(LIST("net_admin", "CAP_SYS_PTRACE"), LIST("cap_Chown"), false),
              (capability_default_set & ~CAPABILITY_BIT(CAP_CHOWN)) |
                  CAPABILITY_BIT(CAP_NET_ADMIN) | CAPABILITY_BIT(CAP_SYS_PTRACE));
}

TEST(all_stands_for_every_capability)
{
    CHECK_INT(set_of(LIST("ALL"), none, false), CAPABILITY_ALL_SET);
    CHECK_INT(set_of(LIST("all"), LIST("MKNOD"), false),
              CAPABILITY_ALL_SET & ~CAPABILITY_BIT(CAP_MKNOD));
    CHECK_INT(set_of(LIST("KILL"), LIST("ALL"), false), CAPABILITY_BIT(CAP_KILL));
    CHECK_INT(set_of(none, LIST("CAP_ALL"), false), 0);
    CHECK_INT(set_of(none, LIST("ALL"), true), CAPABILITY_ALL_SET);
}

TEST(an_unknown_capability_is_refused_with_the_nearest_name)
{
    struct error err = ERROR_INIT;
    struct strings add = LIST("NET_ADMN");
    uint64_t set = 7;

    CHECK_FAILS(capability_set(&add, &none, false, &set, &err), ERROR_INVALID,
                "did you mean \"NET_ADMIN\"");
    CHECK_CONTAINS(err.text, "cap_add");
    CHECK_INT(set, 7);
    add = LIST("NOTHING_LIKE_THAT_AT_ALL_AND_VERY_LONG_INDEED_YES");
    CHECK_FAILS(capability_set(&none, &add, false, &set, &err), ERROR_INVALID, "cap_drop");
}

TEST(device_rules_round_trip_and_reject_nonsense)
{
    const char *const good[] = {"c 10:200 rwm", "b *:* r", "a *:* rwm", "c 136:* w"};
    const char *const bad[] = {"",        "c",        "x 1:1 r",    "c 1 r",    "c 1:1",
                               "c 1:1 q", "c -1:2 r", "c 1:2 rwmr", "cc 1:2 r", "c 1:99999999 r"};
    struct error err = ERROR_INIT;
    struct device_rule rule;

    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct buf text = BUF_INIT;

        CHECK_OK(device_rule_parse(good[i], &rule, &err), &err);
        device_rule_print(&text, &rule);
        CHECK_TEXT(buf_text(&text), good[i]);
        buf_release(&text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_FAILS(device_rule_parse(bad[i], &rule, &err), ERROR_INVALID, "device rule");
}

TEST(there_are_six_device_nodes_that_everyone_may_use)
{
    CHECK_INT(security_n_device_nodes, 6);
    for (size_t i = 0; i < security_n_device_nodes; i++)
        CHECK_INT(security_device_nodes[i].mode, S_IFCHR | 0666);
}

TEST(a_container_may_set_its_own_sysctls)
{
    const char *const own[] = {"kernel.shmmax", "fs.mqueue.msg_max", "kernel/sem",
                               "kernel.domainname"};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
        CHECK_OK(sysctl_check(own[i], "1", false, &err), &err);
    CHECK_OK(sysctl_check("net.ipv4.ip_forward", "1", true, &err), &err);
    CHECK_OK(sysctl_check("net/ipv4/conf/eth0.1/forwarding", "1", true, &err), &err);
}

TEST(a_container_may_not_set_the_hosts_sysctls)
{
    const char *const hosts[] = {"kernel.core_pattern", "vm.swappiness", "kernel.shm",
                                 "fs.file-max", "user.max_user_namespaces"};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        CHECK_FAILS(sysctl_check(hosts[i], "1", true, &err), ERROR_DENIED, hosts[i]);
    CHECK_FAILS(sysctl_check("net.core.somaxconn", "1", false, &err), ERROR_DENIED, "host");
    CHECK_FAILS(sysctl_check("kernel.hostname", "x", true, &err), ERROR_UNSUPPORTED, "hostname");
}

TEST(a_sysctl_name_cannot_climb_and_a_value_cannot_smuggle)
{
    const char *const names[] = {"",
                                 ".",
                                 "net",
                                 "net/../kernel/core_pattern",
                                 "net/ipv4/../../kernel/core_pattern",
                                 "net.ipv4..ip_forward",
                                 "fs.mqueue.",
                                 "/net/ipv4/ip_forward",
                                 "net/ipv4//ip_forward",
                                 "net.ipv4.ip forward"};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        CHECK(sysctl_check(names[i], "1", true, &err) < 0);
    CHECK_FAILS(sysctl_check("kernel.shmmax", "1\n|/bin/sh", true, &err), ERROR_INVALID,
                "one line");
    CHECK_FAILS(sysctl_check("kernel.shmmax", NULL, true, &err), ERROR_INVALID, "one line");
}

TEST(sysctl_names_become_paths)
{
    struct buf path = BUF_INIT;

    sysctl_path(&path, "net.ipv4.ip_forward");
    CHECK_TEXT(buf_text(&path), "net/ipv4/ip_forward");
    buf_clear(&path);
    sysctl_path(&path, "net/ipv4/conf/eth0.1/forwarding");
    CHECK_TEXT(buf_text(&path), "net/ipv4/conf/eth0.1/forwarding");
    buf_release(&path);
}

TEST(ulimits_are_found_by_name)
{
    struct error err = ERROR_INIT;
    int resource = -1;

    CHECK_OK(ulimit_parse("nofile", &resource, &err), &err);
    CHECK_INT(resource, RLIMIT_NOFILE);
    CHECK_FAILS(ulimit_parse("files", &resource, &err), ERROR_INVALID, "nofile");
}
