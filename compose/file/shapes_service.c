/* Every key of a service, in the order `config` prints them, and of its smaller sections. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

/* ---- sections ---------------------------------------------------------------------------------
 */

#define AT(member) .offset = offsetof(struct service_dependency, member)

static const struct field dependency_fields[] = {
    FIELD("condition", "Wait until it has started, is healthy, or has ended well.",
          .type = &type_condition, .is_required = true),
    FIELD("restart", "Restart this service when the other one is restarted or replaced.",
          .type = &type_bool, AT(restart)),
    FIELD("required", "false: go on with a warning when it is missing or fails.",
          .type = &type_bool_always, AT(required)),
};
static const struct service_dependency dependency_defaults = {.required = true};
static const struct shape dependency_shape =
    SHAPE_OF(dependency_fields, .size = sizeof(struct service_dependency),
             .kept_offset = offsetof(struct service_dependency, kept));
static const struct field dependency_field =
    FIELD("depends_on", "What is waited for.", .type = &type_object, .shape = &dependency_shape);
/* What a mapping of names holds: `each` for the walks, the fields for binding one value. */
static const struct shape dependencies_shape = SHAPE_OF(
    dependency_fields, .each = &dependency_field, .size = sizeof(struct service_dependency),
    .kept_offset = offsetof(struct service_dependency, kept), .defaults = &dependency_defaults);

#undef AT
#define AT(member) .offset = offsetof(struct env_file, member)

static const struct field env_file_fields[] = {
    FIELD("path", "The file with NAME=VALUE lines.", .type = &type_text, .is_required = true,
          AT(path)),
    FIELD("required", "false: it is no error when the file does not exist.", .type = &type_bool,
          AT(required)),
    FIELD("format", "raw: values as they stand, no quotes and no variables.",
          .type = &type_env_format, AT(format)),
};
static const struct env_file env_file_defaults = {.required = true};
static const struct shape env_files_shape =
    SHAPE_OF(env_file_fields, .size = sizeof(struct env_file), .defaults = &env_file_defaults,
             .is_closed = true);

#undef AT
#define AT(member) .offset = offsetof(struct service_health, member)

static const struct field health_fields[] = {
    FIELD("test", "The command; exit code 0 is healthy.", .type = &type_health_test,
          .merge = MERGE_REPLACE, AT(test)),
    FIELD("timeout", "A test that takes longer has failed; default 30s.", .type = &type_duration,
          AT(timeout_ns)),
    FIELD("interval", "Time between tests; default 30s.", .type = &type_duration, AT(interval_ns)),
    FIELD("retries", "Failures in a row until it is unhealthy; default 3.", .type = &type_count,
          AT(retries)),
    FIELD("start_period", "Failures do not count so long after the start.", .type = &type_duration,
          AT(start_period_ns)),
    FIELD("start_interval", "Time between tests during start_period; default 5s.",
          .type = &type_duration, AT(start_interval_ns)),
    FIELD("disable", "No health check, not even the image's.", .type = &type_bool, AT(disable)),
};
static const struct shape health_shape =
    SHAPE_OF(health_fields, .size = sizeof(struct service_health),
             .kept_offset = offsetof(struct service_health, kept));

#undef AT
#define AT(member) .offset = offsetof(struct service_ulimit, member)

static const struct field ulimit_fields[] = {
    FIELD("soft", "What holds until the process raises it; -1: no limit.", .type = &type_limit,
          .is_required = true, AT(soft)),
    FIELD("hard", "How far it can be raised; -1: no limit.", .type = &type_limit,
          .is_required = true, AT(hard)),
};
static const struct shape ulimit_shape =
    SHAPE_OF(ulimit_fields, .size = sizeof(struct service_ulimit),
             .kept_offset = offsetof(struct service_ulimit, kept));
static const struct field ulimit_field =
    FIELD("ulimits", "One number for both, or soft and hard.", .type = &type_ulimit,
          .merge = MERGE_MAPS_OR_REPLACE, .shape = &ulimit_shape);
const struct shape ulimits_shape =
    SHAPE_OF(ulimit_fields, .each = &ulimit_field, .size = sizeof(struct service_ulimit),
             .kept_offset = offsetof(struct service_ulimit, kept));

#undef AT
#define AT(member) .offset = offsetof(struct extends, member)

static const struct field extends_fields[] = {
    FIELD("service", "The service whose keys this one starts from.", .type = &type_text,
          .is_required = true, AT(service)),
    FIELD("file", "The file it is in; default: this one.", .type = &type_text, AT(file)),
};
const struct shape extends_shape =
    SHAPE_OF(extends_fields, .size = sizeof(struct extends), .is_closed = true);

#define LINK_PATTERN "^[^:]+(:[^:]+)?$"

static const struct field device_fields[] = {
    FIELD("source", "Device on the host, such as /dev/ttyUSB0, or a CDI name.", .type = &kept_text,
          .is_required = true),
    FIELD("target", "Path in the container; default: the same.", .type = &kept_text),
    FIELD("permissions", "r, w and m (mknod); default rwm.", .type = &kept_text,
          .pattern = "^[rwm]*$"),
};
static const struct shape device_shape = SHAPE_OF(device_fields);
static const struct field device_field =
    FIELD("devices", "A device.", .type = &kept_device, .shape = &device_shape);
static const struct shape devices_shape = {.each = &device_field};

static const struct field group_item = {.about = "A group's name or number.", .type = &kept_scalar};
static const struct shape groups_shape = {.each = &group_item};

static const struct field link_item = {
    .about = "A service, as NAME or NAME:ALIAS.", .type = &kept_link, .pattern = LINK_PATTERN};
static const struct shape links_shape = {.each = &link_item};
static const struct field external_link_item = {
    .about = "A container, as NAME or NAME:ALIAS.", .type = &kept_text, .pattern = LINK_PATTERN};
static const struct shape external_links_shape = {.each = &external_link_item};
static const struct field volumes_from_item = {
    .about = "NAME or container:NAME, with :ro or :rw behind it.",
    .type = &kept_text,
    .pattern = "^(container:)?[^:]+(:(ro|rw))?$"};
static const struct shape volumes_from_shape = {.each = &volumes_from_item};
static const struct field security_opt_item = {.about = "An option, such as no-new-privileges.",
                                               .type = &kept_security_opt};
static const struct shape security_opts_shape = {.each = &security_opt_item};

static const struct field credential_fields[] = {
    FIELD("config", "A config that has the credential spec.", .type = &kept_text),
    FIELD("file", "A file that has it.", .type = &kept_text),
    FIELD("registry", "A value of the Windows registry that has it.", .type = &kept_text),
};
static const struct shape credential_shape = SHAPE_OF(credential_fields);

static const struct field model_use_fields[] = {
    FIELD("endpoint_var", "Variable that gets the model's URL; default: its name and _URL.",
          .type = &kept_text),
    FIELD("model_var", "Variable that gets the model's name; default: its name.",
          .type = &kept_text),
};
static const struct shape model_use_shape = SHAPE_OF(model_use_fields);
static const struct field model_use_field =
    FIELD("models", "How the service finds the model.", .type = &kept_object_or_null,
          .shape = &model_use_shape);
static const struct shape models_shape = {.each = &model_use_field};

/* ---- service ----------------------------------------------------------------------------------
 */

#undef AT
#define AT(member) .offset = offsetof(struct draft, service.member)

static const char *const cgroup_words[] = {"host", "private", NULL};
static const char *const isolation_words[] = {"default", "process", "hyperv", NULL};

#define OTHERS_PATTERN "^(service|container):.+$"
#define EVERY_PATTERN  "^every_([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h|d|w))+$"

static const char *const pull_words[] = {
    "always", "never", "missing", "if_not_present", "build", "refresh", "daily", "weekly", NULL};
static const char *const host_words[] = {"host", NULL};
static const char *const ipc_words[] = {"shareable", "private", "host", "none", NULL};

static const struct field service_fields[] = {
    FIELD("profiles", "Start it only when one of these profiles is active.", .type = &type_profiles,
          .unique = unique_text, AT(profiles)),
    KEPT("annotations", "Annotations for the container's runtime.", .type = &kept_labels,
         .merge = MERGE_PAIRS),
    FIELD("attach", "false: an attached up does not show its logs.", .type = &type_tristate,
          AT(attach)),
    FIELD("build", "Build the image from a Dockerfile: the context, or how in detail.",
          .type = &type_build, .shape = &build_shape, AT(build)),
    FIELD("develop", "What to do when files change while berth watches.", .type = &kept_develop,
          .shape = &develop_shape),
    KEPT("blkio_config", "Share and limits of input and output to block devices.",
         .type = &kept_object, .shape = &blkio_shape),
    FIELD("cap_add", "Capabilities to add to the default ones, such as NET_ADMIN.",
          .type = &type_texts, .unique = unique_text, AT(cap_add)),
    FIELD("cap_drop", "Capabilities to take away, or ALL.", .type = &type_texts,
          .unique = unique_text, AT(cap_drop)),
    KEPT("cgroup_parent", "Control group below which the container's own is made.",
         .type = &kept_text),
    KEPT("cgroup", "host, or private: a cgroup namespace of its own.", .type = &kept_text,
         .words = cgroup_words, .no_effect = "private"),
    ELSEWHERE("cpu_count", "Number of processors of a Windows container.", .type = &kept_nonzero,
              .range = RANGE(0, INT64_MAX)),
    ELSEWHERE("cpu_percent", "Share of the processors of a Windows container.",
              .type = &kept_number, .range = RANGE(0, 100)),
    KEPT("cpu_period", "Length of the scheduler's period, in microseconds.", .type = &kept_nonzero,
         .range = RANGE(0, INT64_MAX)),
    KEPT("cpu_quota", "Time it may run in each period, in microseconds.", .type = &kept_nonzero),
    KEPT("cpu_rt_period", "Period of the real-time scheduler, in microseconds or as a duration.",
         .type = &kept_microseconds),
    KEPT("cpu_rt_runtime", "Real-time it may run in each period, in microseconds or as a duration.",
         .type = &kept_microseconds),
    FIELD("cpus", "Processors it may use at the same time, such as 1.5.", .type = &type_number,
          AT(cpus)),
    KEPT("cpuset", "Processors it may run on, such as 0-3 or 0,2.", .type = &kept_text,
         .pattern = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"),
    KEPT("cpu_shares", "Weight against others when processors are short; default 1024.",
         .type = &kept_nonzero, .range = RANGE(0, INT64_MAX)),
    FIELD("command", "What to run instead of the image's command.", .type = &type_command,
          .merge = MERGE_REPLACE, AT(command)),
    FIELD("configs", "Top-level configs that appear as files in the container.",
          .type = &type_configs, .shape = &configs_shape, .unique = unique_config),
    FIELD("container_name", "The container's name, instead of one made from project and service.",
          .type = &type_container_name, AT(container_name)),
    ELSEWHERE("credential_spec", "Managed service account of a Windows container.",
              .type = &kept_object, .shape = &credential_shape),
    FIELD("depends_on", "Services that must be started, or be ready, first.",
          .type = &type_depends_on, .shape = &dependencies_shape),
    FIELD("deploy", "Replicas, resources and restarts.", .type = &type_deploy,
          .shape = &deploy_shape),
    KEPT("device_cgroup_rules", "Devices it may use, as rules such as \"c 1:3 mr\".",
         .type = &kept_list, .unique = unique_text),
    KEPT("devices", "Devices of the host that appear in the container.", .type = &kept_list,
         .shape = &devices_shape, .unique = unique_target),
    FIELD("dns", "Name servers to ask, by address.", .type = &type_dns, .unique = unique_text,
          AT(dns)),
    KEPT("dns_opt", "Options for the resolver, such as use-vc.", .type = &kept_text_or_list,
         .unique = unique_text),
    KEPT("dns_search", "Domains to complete short names with.", .type = &kept_text_or_list,
         .unique = unique_text),
    KEPT("domainname", "The container's domain name.", .type = &kept_text),
    FIELD("entrypoint", "What to run instead of the image's entry point.", .type = &type_command,
          .merge = MERGE_REPLACE, AT(entrypoint)),
    KEPT("provider", "A program of its own that manages this service.", .type = &kept_object,
         .shape = &provider_shape),
    FIELD("environment", "Variables for its processes.", .type = &type_environment,
          .merge = MERGE_PAIRS, AT(environment)),
    FIELD("env_file", "Files with variables for its processes.", .type = &type_env_file,
          .shape = &env_files_shape, .unique = unique_path),
    FIELD("expose", "Ports that others on its networks use; for information.", .type = &type_expose,
          .unique = unique_text, AT(expose)),
    FIELD("extends", "Start from the keys of another service.", .type = &type_extends,
          .shape = &extends_shape),
    KEPT("external_links", "Containers outside the project, as NAME or NAME:ALIAS.",
         .type = &kept_list, .shape = &external_links_shape, .unique = unique_text),
    FIELD("extra_hosts", "Names and addresses for /etc/hosts.", .type = &type_extra_hosts,
          .unique = unique_text, AT(extra_hosts)),
    KEPT("group_add", "More groups for its processes, by name or number.", .type = &kept_list,
         .shape = &groups_shape, .unique = unique_text),
    KEPT("gpus", "GPUs it may use: all, or which.", .type = &kept_gpus, .shape = &gpus_shape),
    FIELD("hostname", "The container's host name.", .type = &type_hostname, AT(hostname)),
    FIELD("healthcheck", "How to find out whether it is well.", .type = &type_health,
          .shape = &health_shape, AT(healthcheck)),
    FIELD("image", "The image to run, or the name for the one that is built.", .type = &type_text,
          AT(image)),
    FIELD("init", "Run an init as process 1 that reaps and passes on signals.",
          .type = &type_tristate, AT(init)),
    KEPT("ipc", "IPC namespace: private, shareable, host, none, service:NAME or container:NAME.",
         .type = &kept_text, .words = ipc_words, .pattern = OTHERS_PATTERN, .no_effect = "private"),
    ELSEWHERE("isolation", "How a Windows container is isolated.", .type = &kept_text,
              .words = isolation_words, .no_effect = "default"),
    FIELD("labels", "Labels for the container.", .type = &type_labels, .merge = MERGE_PAIRS,
          AT(labels)),
    FIELD("label_file", "Files with labels for the container.", .type = &type_label_file,
          .offset = offsetof(struct draft, label_files)),
    FIELD("links", "Services to reach under more names, as NAME or NAME:ALIAS.", .type = &kept_list,
          .shape = &links_shape, .unique = unique_text),
    FIELD("logging", "Where the container's output goes.", .type = &kept_object,
          .merge = MERGE_SAME_DRIVER, .shape = &logging_shape),
    FIELD("mem_limit", "Most memory it may use, such as 512m.", .type = &type_bytes, AT(mem_limit)),
    KEPT("mem_reservation", "Memory it keeps when memory is short, such as 256m.",
         .type = &kept_bytes),
    KEPT("memswap_limit", "Most memory and swap together; -1: no limit on swap.",
         .type = &kept_bytes, .pattern = "^-[01]$|" BYTES_PATTERN, .range = RANGE(-1, INT64_MAX)),
    KEPT("mem_swappiness", "How readily its memory is swapped out, 0 to 100.",
         .type = &kept_int_text, .range = RANGE(0, 100)),
    KEPT("mac_address", "Hardware address of its interface.", .type = &kept_text,
         .pattern = MAC_ADDRESS_PATTERN),
    KEPT("models", "AI models the service uses.", .type = &kept_models, .shape = &models_shape),
    KEPT("network_mode", "none, host, bridge, service:NAME or container:NAME, instead of networks.",
         .type = &kept_text, .no_effect = "none"), /* no networks then: lower.c */
    FIELD("networks", "Networks it joins; default: the project's default one.",
          .type = &type_attachments, .shape = &attachments_shape),
    KEPT("oom_kill_disable", "Don't kill its processes when memory runs out.", .type = &kept_true),
    KEPT("oom_score_adj",
         "How likely its processes are killed when memory runs out, -1000 to 1000.",
         .type = &kept_nonzero, .range = RANGE(-1000, 1000)),
    KEPT("pid", "Process namespace: host, service:NAME or container:NAME.",
         .type = &kept_text_or_null, .words = host_words, .pattern = OTHERS_PATTERN),
    FIELD("pids_limit", "Most processes it may have; -1: no limit.", .type = &type_pids,
          AT(pids_limit)),
    FIELD("platform", "Platform of the image, such as linux/amd64.", .type = &kept_platform,
          .pattern = PLATFORM_PATTERN),
    FIELD("ports", "Ports of the host that lead to the container: HOST:CONTAINER, or in detail.",
          .type = &type_ports, .shape = &ports_shape, .unique = port_unique),
    FIELD("privileged", "All capabilities and devices; as good as root on the host.",
          .type = &type_bool, AT(privileged)),
    KEPT("pull_policy",
         "When to pull the image: missing, always, never, build, daily, weekly or every_DURATION.",
         .type = &kept_pull_policy, .words = pull_words, .pattern = EVERY_PATTERN,
         .no_effect = "missing"),
    KEPT("pull_refresh_after", "Pull the image again when it is older than this.",
         .type = &kept_text),
    FIELD("read_only", "The container can't write to its root file system.", .type = &type_bool,
          AT(read_only)),
    FIELD("restart",
          "What to do when it ends: no, always, unless-stopped, on-failure or on-failure:N.",
          .type = &type_restart),
    KEPT("runtime", "OCI runtime to run it with.", .type = &kept_text),
    KEPT("scale", "Number of containers; default 1.", .type = &kept_int,
         .range = RANGE(0, INT32_MAX), .no_effect = "1"),
    FIELD("secrets", "Top-level secrets that appear as files in the container.",
          .type = &type_secrets, .shape = &secrets_shape, .unique = unique_secret),
    FIELD("security_opt", "Options for seccomp, AppArmor, SELinux and new privileges.",
          .type = &kept_list, .shape = &security_opts_shape, .unique = unique_text),
    KEPT("shm_size", "Size of /dev/shm, such as 128m; default 64m.", .type = &kept_bytes),
    FIELD("stdin_open", "Keep standard input open.", .type = &type_bool, AT(stdin_open)),
    FIELD("stop_grace_period", "Time between stop signal and SIGKILL; default 10s.",
          .type = &type_duration, AT(stop_grace_ns)),
    FIELD("stop_signal", "Signal that asks it to end; default SIGTERM.", .type = &type_signal,
          AT(stop_signal)),
    KEPT("storage_opt", "Options for the storage of its root file system.", .type = &kept_map),
    FIELD("sysctls", "Kernel parameters of its namespaces.", .type = &type_labels,
          .merge = MERGE_PAIRS, AT(sysctls)),
    FIELD("tmpfs", "Directories kept in memory, as PATH or PATH:OPTIONS.", .type = &type_tmpfs,
          .unique = unique_mount_text, AT(tmpfs)),
    FIELD("tty", "Give it a terminal.", .type = &type_bool, AT(tty)),
    FIELD("ulimits", "Resource limits of its processes, such as nofile.", .type = &type_ulimits,
          .shape = &ulimits_shape),
    KEPT("use_api_socket", "Let it speak to the container engine.", .type = &kept_true),
    FIELD("user", "User, and group, its processes run as: USER, USER:GROUP.", .type = &type_text,
          AT(user)),
    KEPT("userns_mode", "User namespace: host is the only one.", .type = &kept_text,
         .no_effect = "host"),
    KEPT("uts", "Namespace of the host name: host, service:NAME or container:NAME.",
         .type = &kept_text, .words = host_words, .pattern = OTHERS_PATTERN),
    FIELD("volumes", "Directories and volumes in the container: SOURCE:TARGET, or in detail.",
          .type = &type_mounts, .shape = &mounts_shape, .unique = mount_unique),
    KEPT("volumes_from", "Mount all that another service or container mounts: NAME or NAME:ro.",
         .type = &kept_list, .shape = &volumes_from_shape, .unique = unique_text),
    FIELD("working_dir", "Directory its processes start in.", .type = &type_text, AT(working_dir)),
    KEPT("pre_start", "Commands in containers of their own before it starts.", .type = &kept_list,
         .shape = &start_hooks_shape),
    KEPT("post_start", "Commands in the container after it started.", .type = &kept_list,
         .shape = &hooks_shape),
    KEPT("pre_stop", "Commands in the container before it is stopped.", .type = &kept_list,
         .shape = &hooks_shape),
};

static const struct draft service_defaults = {
    .service =
        {
            .init = -1,
            .attach = -1,
            .stop_grace_ns = -1,
            .mem_limit = -1,
            .cpus = -1,
            .pids_limit = SERVICE_PIDS_UNSET,
            .deploy = {.cpus = -1, .mem_limit = -1, .pids_limit = SERVICE_PIDS_UNSET},
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
    SHAPE_OF(service_fields, .size = sizeof(struct draft), .defaults = &service_defaults,
             .kept_offset = offsetof(struct draft, service.kept));
