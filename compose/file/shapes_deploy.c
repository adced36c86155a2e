/* The keys of a service's deploy, gpus and blkio_config sections, in the order `config` prints
 * them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field text_item = {.about = "Text.", .type = &kept_text};
static const struct shape texts_shape = {.each = &text_item};

/* ---- requests for devices ---------------------------------------------------------------------
 */

#define DEVICE_REQUEST(...)                                                                        \
    FIELD("capabilities", "What the devices must be able to do, such as gpu.", .type = &kept_list, \
          .shape = &texts_shape, __VA_ARGS__),                                                     \
        FIELD("driver", "Driver of the devices, such as nvidia.", .type = &kept_text),             \
        FIELD("count", "How many, or all; default all.", .type = &kept_device_count),              \
        FIELD("device_ids", "Which devices, instead of how many.", .type = &kept_list,             \
              .shape = &texts_shape),                                                              \
        FIELD("options", "Options for the driver.", .type = &kept_labels, .merge = MERGE_PAIRS)

static const struct field gpu_fields[] = {DEVICE_REQUEST(.is_required = false)};
static const struct shape gpu_shape = SHAPE_OF(gpu_fields, .is_closed = true);
static const struct field gpu_item =
    FIELD("gpus", "GPUs.", .type = &kept_device_request, .shape = &gpu_shape);
const struct shape gpus_shape = {.each = &gpu_item};

static const struct field device_fields[] = {DEVICE_REQUEST(.is_required = true)};
static const struct shape device_shape = SHAPE_OF(device_fields);
static const struct field device_item =
    FIELD("devices", "Devices.", .type = &kept_device_request, .shape = &device_shape);
static const struct shape devices_shape = {.each = &device_item};

/* ---- resources --------------------------------------------------------------------------------
 */

static const struct field limit_fields[] = {
    FIELD("cpus", "Processors it may use at the same time, such as 1.5.", .type = &kept_number),
    FIELD("memory", "Most memory it may use, such as 512m.", .type = &kept_bytes),
    FIELD("pids", "Most processes it may have.", .type = &kept_nonzero,
          .range = RANGE(-1, INT64_MAX)),
};
static const struct shape limits_shape = SHAPE_OF(limit_fields);

static const struct field discrete_fields[] = {
    FIELD("kind", "The resource's name.", .type = &kept_text),
    FIELD("value", "How many of it.", .type = &kept_amount),
};
static const struct shape discrete_shape = SHAPE_OF(discrete_fields);
static const struct field generic_fields[] = {
    FIELD("discrete_resource_spec", "A resource that is counted.", .type = &kept_object,
          .shape = &discrete_shape),
};
static const struct shape generic_shape = SHAPE_OF(generic_fields);
static const struct field generic_item =
    FIELD("generic_resources", "A resource.", .type = &kept_object, .shape = &generic_shape);
static const struct shape generics_shape = {.each = &generic_item};

static const struct field reservation_fields[] = {
    ELSEWHERE("cpus", "Processors a node must have free.", .type = &kept_number),
    KEPT("memory", "Memory it keeps when memory is short, such as 256m.", .type = &kept_bytes),
    KEPT("devices", "Devices of the host it needs, such as GPUs.", .type = &kept_list,
         .shape = &devices_shape),
    ELSEWHERE("generic_resources", "Resources of a node that its owner named.", .type = &kept_list,
              .shape = &generics_shape),
};
static const struct shape reservations_shape = SHAPE_OF(reservation_fields);

static const struct field resource_fields[] = {
    FIELD("limits", "What it may use at most.", .type = &kept_bound_object, .shape = &limits_shape),
    FIELD("reservations", "What is kept for it.", .type = &kept_object,
          .shape = &reservations_shape),
};
static const struct shape resources_shape = SHAPE_OF(resource_fields);

/* ---- deploy -----------------------------------------------------------------------------------
 */

static const char *const order_words[] = {"start-first", "stop-first", NULL};
static const char *const condition_words[] = {"none", "on-failure", "any", NULL};

static const struct field update_fields[] = {
    FIELD("parallelism", "How many tasks at a time.", .type = &kept_int,
          .range = RANGE(0, INT64_MAX)),
    FIELD("delay", "Time between groups of tasks.", .type = &kept_pause),
    FIELD("failure_action", "What to do when it fails: continue, rollback or pause.",
          .type = &kept_text),
    FIELD("monitor", "How long a task is watched for failure.", .type = &kept_pause),
    FIELD("max_failure_ratio", "Share of tasks that may fail.", .type = &kept_number),
    FIELD("order", "start-first, or stop-first.", .type = &kept_text, .words = order_words),
};
static const struct shape update_shape = SHAPE_OF(update_fields);

static const struct field restart_fields[] = {
    FIELD("condition", "When to start it again: none, on-failure or any.", .type = &kept_text,
          .words = condition_words),
    KEPT("delay", "Time until it is started again.", .type = &kept_duration),
    FIELD("max_attempts", "How often at most, after failures.", .type = &kept_int,
          .range = RANGE(0, INT64_MAX)),
    KEPT("window", "Time after which a start counts as good.", .type = &kept_duration),
};
static const struct shape restart_shape = SHAPE_OF(restart_fields);

static const struct field preference_fields[] = {
    FIELD("spread", "Label of nodes over which tasks are spread.", .type = &kept_text),
};
static const struct shape preference_shape = SHAPE_OF(preference_fields);
static const struct field preference_item =
    FIELD("preferences", "A preference.", .type = &kept_object, .shape = &preference_shape);
static const struct shape preferences_shape = {.each = &preference_item};
static const struct field placement_fields[] = {
    FIELD("constraints", "What nodes must be, such as node.role==manager.", .type = &kept_list,
          .shape = &texts_shape),
    FIELD("preferences", "How tasks are spread over nodes.", .type = &kept_list,
          .shape = &preferences_shape),
    FIELD("max_replicas_per_node", "Most tasks on one node.", .type = &kept_nonzero,
          .range = RANGE(0, INT64_MAX)),
};
static const struct shape placement_shape = SHAPE_OF(placement_fields);

static const struct field deploy_fields[] = {
    ELSEWHERE("mode", "replicated, or global: one on every node of a swarm.", .type = &kept_text,
              .no_effect = "replicated"),
    KEPT("replicas", "Number of containers; default 1.", .type = &kept_int,
         .range = RANGE(0, INT32_MAX), .no_effect = "1"),
    ELSEWHERE("labels", "Labels for a swarm's service; containers don't get them.",
              .type = &kept_labels, .merge = MERGE_PAIRS),
    ELSEWHERE("update_config", "How a swarm replaces tasks.", .type = &kept_object,
              .shape = &update_shape),
    ELSEWHERE("rollback_config", "How a swarm goes back to the tasks before.", .type = &kept_object,
              .shape = &update_shape),
    FIELD("resources", "Limits, and what is kept for it.", .type = &kept_object,
          .shape = &resources_shape),
    FIELD("restart_policy", "What to do when it ends; stronger than restart.",
          .type = &kept_bound_object, .shape = &restart_shape),
    ELSEWHERE("placement", "Which nodes of a swarm it may run on.", .type = &kept_object,
              .shape = &placement_shape),
    ELSEWHERE("endpoint_mode", "How a swarm's clients find its tasks.", .type = &kept_text),
};
const struct shape deploy_shape =
    SHAPE_OF(deploy_fields, .size = sizeof(struct draft),
             .kept_offset = offsetof(struct draft, service.deploy.kept));

/* ---- blkio_config -----------------------------------------------------------------------------
 */

#define DEVICE_PATH FIELD("path", "The device, such as /dev/sda.", .type = &kept_text)

static const struct field weight_fields[] = {
    DEVICE_PATH,
    FIELD("weight", "Its share, 10 to 1000.", .type = &kept_int, .range = RANGE(10, 1000)),
};
static const struct shape weight_shape = SHAPE_OF(weight_fields, .is_closed = true);
static const struct field weight_item =
    FIELD("weight_device", "A share.", .type = &kept_object, .shape = &weight_shape);
static const struct shape weights_shape = {.each = &weight_item};

static const struct field rate_fields[] = {
    DEVICE_PATH,
    FIELD("rate", "Most per second: operations, or bytes such as 10m.", .type = &kept_bytes),
};
static const struct shape rate_shape = SHAPE_OF(rate_fields, .is_closed = true);
static const struct field rate_item =
    FIELD("device_rates", "A limit.", .type = &kept_object, .shape = &rate_shape);
static const struct shape rates_shape = {.each = &rate_item};

static const struct field blkio_fields[] = {
    FIELD("weight", "Share of input and output, 10 to 1000; default 500.", .type = &kept_int,
          .range = RANGE(10, 1000)),
    FIELD("weight_device", "Shares of single devices.", .type = &kept_list,
          .shape = &weights_shape),
    FIELD("device_read_bps", "Bytes it may read from a device per second.", .type = &kept_list,
          .shape = &rates_shape),
    FIELD("device_read_iops", "How often it may read from a device per second.", .type = &kept_list,
          .shape = &rates_shape),
    FIELD("device_write_bps", "Bytes it may write to a device per second.", .type = &kept_list,
          .shape = &rates_shape),
    FIELD("device_write_iops", "How often it may write to a device per second.", .type = &kept_list,
          .shape = &rates_shape),
};
const struct shape blkio_shape = SHAPE_OF(blkio_fields, .is_closed = true);
