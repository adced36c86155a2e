/* Every key of a service, in the order `config` prints them, and of its smaller sections. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field dependency_fields[] = {
    FIELD("condition", .type = &type_condition),
    FIELD("restart", .type = &type_bool, .offset = offsetof(struct service_dependency, restart)),
    FIELD("required", .type = &type_bool_always,
          .offset = offsetof(struct service_dependency, required)),
};
static const struct service_dependency dependency_defaults = {.required = true};
static const struct shape dependency_shape =
    SHAPE_OF(dependency_fields, .size = sizeof(struct service_dependency));
static const struct field dependency_field =
    FIELD("depends_on", .type = &type_object, .shape = &dependency_shape);
/* What a mapping of names holds: `each` for the walks, the fields for binding one value. */
static const struct shape dependencies_shape =
    SHAPE_OF(dependency_fields, .each = &dependency_field,
             .size = sizeof(struct service_dependency), .defaults = &dependency_defaults);

static const struct field env_file_fields[] = {
    FIELD("path", .type = &type_text, .offset = offsetof(struct env_file, path)),
    FIELD("required", .type = &type_bool, .offset = offsetof(struct env_file, required)),
    FIELD("format", .type = &type_env_format, .offset = offsetof(struct env_file, format)),
};
static const struct env_file env_file_defaults = {.required = true};
static const struct shape env_files_shape =
    SHAPE_OF(env_file_fields, .size = sizeof(struct env_file), .defaults = &env_file_defaults);

static const struct field health_fields[] = {
    FIELD("test", .type = &type_health_test, .merge = MERGE_REPLACE,
          .offset = offsetof(struct service_health, test)),
    FIELD("timeout", .type = &type_duration, .offset = offsetof(struct service_health, timeout_ns)),
    FIELD("interval", .type = &type_duration,
          .offset = offsetof(struct service_health, interval_ns)),
    FIELD("retries", .type = &type_count, .offset = offsetof(struct service_health, retries)),
    FIELD("start_period", .type = &type_duration,
          .offset = offsetof(struct service_health, start_period_ns)),
    FIELD("start_interval", .type = &type_duration,
          .offset = offsetof(struct service_health, start_interval_ns)),
    FIELD("disable", .type = &type_bool, .offset = offsetof(struct service_health, disable)),
};
static const struct shape health_shape =
    SHAPE_OF(health_fields, .size = sizeof(struct service_health));

static const struct field ulimit_fields[] = {
    FIELD("soft", .type = &type_limit, .offset = offsetof(struct service_ulimit, soft)),
    FIELD("hard", .type = &type_limit, .offset = offsetof(struct service_ulimit, hard)),
};
static const struct shape ulimit_shape =
    SHAPE_OF(ulimit_fields, .size = sizeof(struct service_ulimit));
static const struct field ulimit_field =
    FIELD("ulimits", .type = &type_object, .merge = MERGE_MAPS_OR_REPLACE, .shape = &ulimit_shape);
static const struct shape ulimits_shape =
    SHAPE_OF(ulimit_fields, .each = &ulimit_field, .size = sizeof(struct service_ulimit));

static const struct field extends_fields[] = {
    FIELD("service", .type = &type_text, .offset = offsetof(struct extends, service)),
    FIELD("file", .type = &type_text, .offset = offsetof(struct extends, file)),
};
const struct shape extends_shape = SHAPE_OF(extends_fields, .size = sizeof(struct extends));

/* ---- service ----------------------------------------------------------------------------------
 */

#define AT(member) .offset = offsetof(struct draft, service.member)

static const struct field service_fields[] = {
    FIELD("profiles", .type = &type_profiles, .unique = unique_text, AT(profiles)),
    LATER("annotations"),
    LATER("attach"),
    FIELD("build", .type = &type_build, .shape = &build_shape, AT(build)),
    LATER("develop"),
    LATER("blkio_config"),
    FIELD("cap_add", .type = &type_texts, .unique = unique_text, AT(cap_add)),
    FIELD("cap_drop", .type = &type_texts, .unique = unique_text, AT(cap_drop)),
    LATER("cgroup_parent"),
    LATER("cgroup"),
    LATER("cpu_count"),
    LATER("cpu_percent"),
    LATER("cpu_period"),
    LATER("cpu_quota"),
    LATER("cpu_rt_period"),
    LATER("cpu_rt_runtime"),
    FIELD("cpus", .type = &type_number, AT(cpus)),
    LATER("cpuset"),
    LATER("cpu_shares"),
    FIELD("command", .type = &type_command, .merge = MERGE_REPLACE, AT(command)),
    LATER("configs"),
    FIELD("container_name", .type = &type_container_name, AT(container_name)),
    LATER("credential_spec"),
    FIELD("depends_on", .type = &type_depends_on, .shape = &dependencies_shape),
    LATER("deploy"),
    LATER("device_cgroup_rules"),
    LATER("devices"),
    FIELD("dns", .type = &type_text_or_list, .unique = unique_text, AT(dns)),
    LATER("dns_opt"),
    LATER("dns_search"),
    LATER("domainname"),
    FIELD("entrypoint", .type = &type_command, .merge = MERGE_REPLACE, AT(entrypoint)),
    LATER("provider"),
    FIELD("environment", .type = &type_environment, .merge = MERGE_PAIRS, AT(environment)),
    FIELD("env_file", .type = &type_env_file, .shape = &env_files_shape, .unique = unique_path),
    FIELD("expose", .type = &type_expose, .unique = unique_text, AT(expose)),
    FIELD("extends", .type = &type_extends),
    LATER("external_links"),
    FIELD("extra_hosts", .type = &type_extra_hosts, .unique = unique_text, AT(extra_hosts)),
    LATER("group_add"),
    LATER("gpus"),
    FIELD("hostname", .type = &type_hostname, AT(hostname)),
    FIELD("healthcheck", .type = &type_health, .shape = &health_shape, AT(healthcheck)),
    FIELD("image", .type = &type_text, AT(image)),
    FIELD("init", .type = &type_tristate, AT(init)),
    LATER("ipc"),
    LATER("isolation"),
    FIELD("labels", .type = &type_labels, .merge = MERGE_PAIRS, AT(labels)),
    FIELD("label_file", .type = &type_label_file, .offset = offsetof(struct draft, label_files),
          .unique = unique_text),
    LATER("links"),
    LATER("logging"),
    FIELD("mem_limit", .type = &type_bytes, AT(mem_limit)),
    LATER("mem_reservation"),
    LATER("memswap_limit"),
    LATER("mem_swappiness"),
    LATER("mac_address"),
    LATER("models"),
    LATER("network_mode"),
    FIELD("networks", .type = &type_attachments, .shape = &attachments_shape),
    LATER("oom_kill_disable"),
    LATER("oom_score_adj"),
    LATER("pid"),
    FIELD("pids_limit", .type = &type_pids, AT(pids_limit)),
    LATER("platform"),
    FIELD("ports", .type = &type_ports, .shape = &ports_shape, .unique = port_unique),
    FIELD("privileged", .type = &type_bool, AT(privileged)),
    LATER("pull_policy"),
    LATER("pull_refresh_after"),
    FIELD("read_only", .type = &type_bool, AT(read_only)),
    FIELD("restart", .type = &type_restart),
    LATER("runtime"),
    LATER("scale"),
    LATER("secrets"),
    LATER("security_opt"),
    LATER("shm_size"),
    FIELD("stdin_open", .type = &type_bool, AT(stdin_open)),
    FIELD("stop_grace_period", .type = &type_duration, AT(stop_grace_ns)),
    FIELD("stop_signal", .type = &type_signal, AT(stop_signal)),
    LATER("storage_opt"),
    FIELD("sysctls", .type = &type_labels, .merge = MERGE_PAIRS, AT(sysctls)),
    FIELD("tmpfs", .type = &type_tmpfs, .unique = unique_mount_text, AT(tmpfs)),
    FIELD("tty", .type = &type_bool, AT(tty)),
    FIELD("ulimits", .type = &type_ulimits, .shape = &ulimits_shape),
    LATER("use_api_socket"),
    FIELD("user", .type = &type_text, AT(user)),
    LATER("userns_mode"),
    LATER("uts"),
    FIELD("volumes", .type = &type_mounts, .shape = &mounts_shape, .unique = mount_unique),
    LATER("volumes_from"),
    FIELD("working_dir", .type = &type_text, AT(working_dir)),
    LATER("pre_start"),
    LATER("post_start"),
    LATER("pre_stop"),
};

static const struct draft service_defaults = {
    .service =
        {
            .init = -1,
            .stop_grace_ns = -1,
            .mem_limit = -1,
            .cpus = -1,
            .pids_limit = SERVICE_PIDS_UNSET,
            .healthcheck =
                {
                    .interval_ns = -1,
                    .timeout_ns = -1,
                    .start_period_ns = -1,
                    .start_interval_ns = -1,
                    .retries = -1,
                },
        },
};
const struct shape service_shape =
    SHAPE_OF(service_fields, .size = sizeof(struct draft), .defaults = &service_defaults);
