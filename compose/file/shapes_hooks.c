/* The keys of what runs beside a service's own process: hooks, what watching does, providers, and
 * where output goes; in the order `config` prints them. */

#include "compose/file/load.h"
#include "compose/file/row.h"
#include "compose/file/shapes.h"
#include "compose/file/types.h"

static const struct field text_item = {.about = "Text.", .type = &kept_text};
static const struct shape texts_shape = {.each = &text_item};

/* ---- hooks ------------------------------------------------------------------------------------
 */

#define HOOK_MANNERS                                                                               \
    FIELD("user", "User it runs as; default: the service's.", .type = &kept_text),                 \
        FIELD("privileged", "Run it with all capabilities.", .type = &kept_true),                  \
        FIELD("working_dir", "Directory it starts in.", .type = &kept_text),                       \
        FIELD("environment", "More variables for it.", .type = &kept_pairs, .merge = MERGE_PAIRS)

static const struct field hook_fields[] = {
    FIELD("command", "What to run in the container.", .type = &kept_hook_command,
          .is_required = true, .merge = MERGE_REPLACE),
    HOOK_MANNERS,
};
static const struct shape hook_shape = SHAPE_OF(hook_fields);
static const struct field hook_item =
    FIELD("hooks", "A command.", .type = &kept_object, .shape = &hook_shape);
const struct shape hooks_shape = {.each = &hook_item};

static const struct field start_hook_fields[] = {
    FIELD("command", "What to run; default: the image's command.", .type = &kept_command,
          .merge = MERGE_REPLACE),
    FIELD("image", "Image of its container; default: the service's.", .type = &kept_text),
    HOOK_MANNERS,
    FIELD("per_replica", "Run it for each container of the service, not once.", .type = &kept_true),
};
static const struct shape start_hook_shape = SHAPE_OF(start_hook_fields);
static const struct field start_hook_item =
    FIELD("hooks", "A container.", .type = &kept_object, .shape = &start_hook_shape);
const struct shape start_hooks_shape = {.each = &start_hook_item};

/* ---- develop ----------------------------------------------------------------------------------
 */

static const char *const action_words[] = {"rebuild",      "sync",      "restart",
                                           "sync+restart", "sync+exec", NULL};

static const struct field watch_fields[] = {
    FIELD("path", "File or directory that is watched.", .type = &kept_watch_path,
          .is_required = true),
    FIELD("action", "What to do: rebuild, sync, restart, sync+restart or sync+exec.",
          .type = &kept_text, .words = action_words, .is_required = true),
    FIELD("target", "Where in the container changes are copied to.", .type = &kept_text),
    FIELD("exec", "Command to run in the container after syncing.", .type = &kept_object,
          .shape = &hook_shape),
    FIELD("include", "Only what matches these patterns.", .type = &kept_text_or_list,
          .shape = &texts_shape),
    FIELD("ignore", "Not what matches these patterns.", .type = &kept_text_or_list,
          .shape = &texts_shape),
    FIELD("initial_sync", "Copy everything once when watching begins.", .type = &kept_true),
};
static const struct shape watch_shape = SHAPE_OF(watch_fields);
static const struct field watch_item =
    FIELD("watch", "What is watched.", .type = &kept_object, .shape = &watch_shape);
static const struct shape watches_shape = {.each = &watch_item};
static const struct field develop_fields[] = {
    FIELD("watch", "Paths that are watched, and what to do when they change.", .type = &kept_list,
          .shape = &watches_shape),
};
const struct shape develop_shape = SHAPE_OF(develop_fields);

/* ---- provider ---------------------------------------------------------------------------------
 */

static const struct field option_value = {.about = "A value, or a list of values.",
                                          .type = &kept_option_values};
static const struct shape options_shape = {.each = &option_value};
static const struct field provider_fields[] = {
    FIELD("type", "The program that manages the service.", .type = &kept_text, .is_required = true),
    FIELD("options", "Options for the program.", .type = &kept_map, .shape = &options_shape),
};
const struct shape provider_shape = SHAPE_OF(provider_fields);

/* ---- logging ----------------------------------------------------------------------------------
 */

static const struct field log_option = {.about = "A number or text.", .type = &kept_log_option};
static const struct shape log_options_shape = {.each = &log_option};
static const struct field logging_fields[] = {
    KEPT("driver", "What takes the output; json-file is what berth does.", .type = &kept_text,
         .no_effect = "json-file"),
    KEPT("options", "Options for the driver, such as max-size.", .type = &kept_map,
         .shape = &log_options_shape),
};
const struct shape logging_shape = SHAPE_OF(logging_fields);
