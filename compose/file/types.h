#pragma once

/* The types of the tables in shapes_*.c (private to compose/file). Behind each name: what is bound.
 */

#include <stdint.h>

#include "compose/file/field.h"

struct load;
struct node;

/* What values look like that are given as text: for their schemas. */
#define INTEGER_PATTERN "^-?[0-9]+$"
#define NUMBER_PATTERN  "^[-+]?([0-9][0-9_]*(\\.[0-9_]*)?|\\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?$"
#define BOOL_PATTERN                                                                               \
    "^([tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|[yY]([eE][sS])?|[nN][oO]?|[oO][nN]|[oO][fF][fF])$"
#define BYTES_PATTERN     "^[0-9]+(\\.[0-9]*)? ?([kKmMgGtTpP]([iI]?[bB])?|[bB])?$"
#define DURATION_PATTERN  "^[+]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|µs|μs|ms|s|m|h|d|w))+)$"
#define FILE_MODE_PATTERN "^0*[0-7]{1,4}$"
#define ADDRESS_PATTERN   "^[0-9a-fA-F.:]+$"
#define ULIMITS_PATTERN                                                                            \
    "^(as|core|cpu|data|fsize|locks|memlock|msgqueue|nice|nofile|nproc|rss|rtprio|rttime|"         \
    "sigpending|stack)$"
#define NAMES_PATTERN "^[a-zA-Z0-9._-]+$"

/* types_scalar.c */
extern const struct field_type type_text;              /* const char * */
extern const struct field_type type_name;              /* the same; the resource's final name */
extern const struct field_type type_bool;              /* bool; printed when true */
extern const struct field_type type_bool_always;       /* bool; printed always */
extern const struct field_type type_bool_default_true; /* bool; printed when false */
extern const struct field_type type_external;          /* bool; printed when true */
extern const struct field_type type_tristate;          /* int: -1, 0, 1 */
extern const struct field_type type_count;             /* int64_t >= 0, -1 unset */
extern const struct field_type type_pids;              /* int64_t >= -1, SERVICE_PIDS_UNSET */
extern const struct field_type type_number;            /* double >= 0, -1 unset */
extern const struct field_type type_bytes;             /* int64_t, -1 unset */
extern const struct field_type type_duration;          /* int64_t ns, -1 unset */
extern const struct field_type type_signal;            /* const char *, checked */
extern const struct field_type type_restart;        /* struct service's restart, restart_retries */
extern const struct field_type type_container_name; /* const char *, checked */
extern const struct field_type type_hostname;       /* const char *, checked */
extern const struct field_type type_address;        /* const char *: an IPv4 or IPv6 address */
extern const struct field_type type_file_mode;      /* int64_t, -1 unset */
extern const struct field_type type_version;        /* only its type counts */
extern const struct field_type type_ignored;        /* checked elsewhere */

/* types_list.c */
extern const struct field_type type_texts;        /* struct strings; a list */
extern const struct field_type type_text_or_list; /* struct strings */
extern const struct field_type type_label_file;   /* struct draft's label_files */
extern const struct field_type type_dns;          /* struct strings of addresses */
extern const struct field_type type_tmpfs;        /* struct strings of "PATH[:OPTIONS]" */
extern const struct field_type type_expose;       /* struct strings of ports */
extern const struct field_type type_profiles;     /* struct strings of names */
extern const struct field_type type_environment;  /* struct pairs; without a value: NULL */
extern const struct field_type type_labels;       /* struct pairs; without a value: "" */
extern const struct field_type type_command;      /* struct service_command */
extern const struct field_type type_health_test;  /* struct strings of struct service_health */
extern const struct field_type type_extra_hosts;  /* struct pairs */

/* types_object.c */
extern const struct field_type type_object;         /* the field's shape, at its offset */
extern const struct field_type type_object_or_null; /* of an item: the list's type reads it */
extern const struct field_type type_object_or_text; /* the same */
extern const struct field_type type_ulimit;         /* the same */
extern const struct field_type type_build;          /* struct build, short form: context */
extern const struct field_type type_context;        /* const char * of struct build */
extern const struct field_type type_health;         /* struct service_health */
extern const struct field_type type_depends_on;     /* struct service's depends_on */
extern const struct field_type type_attachments;    /* struct service's networks */
extern const struct field_type type_ulimits;        /* struct service's ulimits */
extern const struct field_type type_env_file;       /* struct draft's env_files */
extern const struct field_type type_env_format;     /* const char * of struct env_file */
extern const struct field_type type_condition;      /* of struct service_dependency */
extern const struct field_type type_limit;          /* int64_t */

/* include.c */
extern const struct field_type type_include;      /* nothing: followed before binding */
extern const struct field_type type_include_item; /* nothing; short form: path */

/* extends.c */
extern const struct field_type type_extends; /* nothing: followed before binding */

/* types_resource.c */
extern const struct field_type type_resource;    /* bound by type_resources; external: {name: n} */
extern const struct field_type type_file_object; /* the same; null says nothing it could be */
extern const struct field_type type_content;     /* const char *, printed even when empty */
extern const struct field_type type_ipam;        /* of struct network */
extern const struct field_type type_pools;       /* struct network's pools */
extern const struct field_type type_subnet;      /* const char *: a subnet */
extern const struct field_type type_gateway;     /* const char *: an address */
extern const struct field_type type_ipv4;        /* const char *, checked */
extern const struct field_type kept_subnet;
extern const struct field_type kept_driver_option; /* a number or string; printed as text */
extern const struct field_type kept_log_option;    /* the same; null is "" */

/* types_deploy.c */
extern const struct field_type type_deploy;       /* struct service's deploy */
extern const struct field_type kept_bound_object; /* as kept_object; type_deploy binds it, too */
extern const struct field_type kept_gpus;         /* all, or a list */
extern const struct field_type kept_device_count;
extern const struct field_type kept_device_request; /* an object; without a count: all */
extern const struct field_type kept_hook_command;   /* as kept_command, but not null */
extern const struct field_type kept_develop;        /* an object that `up` may ignore */
extern const struct field_type kept_watch_path;
extern const struct field_type kept_option_values; /* a scalar or list → list of text */

/* types_service_file.c */
extern const struct field_type type_secrets;      /* struct service's secrets */
extern const struct field_type type_configs;      /* struct service's configs */
extern const struct field_type type_service_file; /* bound by the two; short form: source */
const char *unique_secret(struct arena *arena, const struct node *item);
const char *unique_config(struct arena *arena, const struct node *item);

/* model.c */
extern const struct field_type type_services;  /* struct model */
extern const struct field_type type_resources; /* struct model's list of that name */

/* types_port.c, types_mount.c */
extern const struct field_type type_ports;          /* struct service's ports */
extern const struct field_type type_port_target;    /* of struct service_port */
extern const struct field_type type_port_published; /* of struct service_port */
extern const struct field_type type_port_protocol;  /* of struct service_port */
extern const struct field_type type_port_mode;      /* of struct service_port */
const char *port_unique(struct arena *arena, const struct node *item);
extern const struct field_type type_mounts;            /* struct service's volumes */
extern const struct field_type type_mount_type;        /* of struct service_mount */
extern const struct field_type type_mount_section;     /* of struct service_mount */
extern const struct field_type type_mount_propagation; /* const char *, checked */
extern const struct field_type type_selinux;           /* const char *, checked */
const char *mount_unique(struct arena *arena, const struct node *item);

/* types_kept.c: printed forms, bound to nothing (field.h). Rows narrow them by words, pattern and
 * range. */
extern const struct field_type kept_text; /* "" says nothing */
extern const struct field_type kept_text_or_null;
extern const struct field_type kept_scalar;   /* a boolean, number or string; printed as text */
extern const struct field_type kept_option;   /* the same; null is "" */
extern const struct field_type kept_bool;     /* printed either way */
extern const struct field_type kept_true;     /* false says nothing */
extern const struct field_type kept_int;      /* printed as a number */
extern const struct field_type kept_nonzero;  /* the same; 0 says nothing */
extern const struct field_type kept_int_text; /* printed as text, as Compose does sizes */
extern const struct field_type kept_number;   /* >= 0; 0 says nothing */
extern const struct field_type
    kept_bytes; /* "64m" → "67108864"; -1 if the range has it; 0 says nothing */
extern const struct field_type kept_amount;    /* a number; 0 is one */
extern const struct field_type kept_duration;  /* "90s" → 1m30s */
extern const struct field_type kept_pause;     /* the same; none at all says nothing */
extern const struct field_type kept_file_mode; /* → "0440" */
extern const struct field_type kept_address;   /* IPv4 or IPv6 */
extern const struct field_type kept_command;   /* text is split → list; null */
extern const struct field_type kept_extra_hosts;
extern const struct field_type kept_pairs;        /* list or mapping → mapping; no value: null */
extern const struct field_type kept_labels;       /* the same; no value: "" */
extern const struct field_type kept_list;         /* of the shape's each; without a shape: text */
extern const struct field_type kept_text_or_list; /* → list */
extern const struct field_type kept_map;    /* of the shape's each; without a shape: scalars */
extern const struct field_type kept_object; /* with the shape's keys; each of its own state */
extern const struct field_type kept_object_or_null;

/* types_kept_build.c */
extern const struct field_type kept_switch;   /* a boolean or string; printed as text */
extern const struct field_type kept_contexts; /* NAME → context, directories absolute */
extern const struct field_type kept_ssh;      /* → list of "default" and "ID=PATH" */
extern const struct field_type kept_build_secret;
extern const struct field_type kept_ulimits; /* as type_ulimits */

/* types_kept_service.c */
extern const struct field_type kept_device; /* "SOURCE[:TARGET[:rwm]]" → the shape's object */
extern const struct field_type kept_microseconds; /* a number, or a duration; 0 says nothing */
extern const struct field_type kept_platform;     /* this machine's is honoured */
extern const struct field_type kept_link;         /* "NAME" is honoured, "NAME:ALIAS" not yet */
extern const struct field_type kept_security_opt; /* no-new-privileges is honoured */
extern const struct field_type kept_pull_policy;  /* if_not_present → missing */
extern const struct field_type kept_models;       /* a list or mapping of names → mapping */

/* Keys of lists that must be unique. */
const char *unique_text(struct arena *arena, const struct node *item);
const char *unique_mount_text(struct arena *arena,
                              const struct node *item); /* "/run:size=1m" → "/run" */
const char *unique_target(struct arena *arena, const struct node *item); /* of {target: …} */
const char *unique_build_secret(struct arena *arena, const struct node *item);
const char *unique_path(struct arena *arena, const struct node *item); /* of {path: …} */

/* Of security_opt: "no-new-privileges[:true|=false …]". */
bool security_opt_is_no_new_privileges(const char *option, bool *ret);

/* ---- helpers for types ------------------------------------------------------------------------
 */

/* Of values that are bound, or followed, by something else: a section's type, another step. */
void decode_nothing(struct load *load, const struct field *field, const struct node *node,
                    void *object);
/* "PATH must be a string", and what to do about it. */
void wrong_type(struct load *load, const struct node *node, const char *wanted);
/* The text of a string scalar, else an error and NULL. */
const char *want_text(struct load *load, const struct node *node);
/* An integer, given as one or as a string of digits; 0, or an error. */
int want_int(struct load *load, const struct node *node, int64_t min, int64_t max, int64_t *ret);
/* A finite number; the same. */
int want_number(struct load *load, const struct node *node, int64_t min, int64_t max, double *ret);
/* "yes" and "no" are taken with a warning. */
int want_bool(struct load *load, const struct node *node, bool *ret);
enum want_kind { WANT_LIST, WANT_MAP };
bool want_kind(struct load *load, const struct node *node, enum want_kind kind);
/* The text is one of the field's words, or matches its pattern; else an error. */
bool want_schema_text(struct load *load, const struct field *field, const struct node *node);
/* A scalar as text; NULL and an error for lists and mappings. null gives "". Octal and float
 * spellings that change their text are warned about. */
const char *want_scalar_text(struct load *load, const struct node *node);

const struct node *encode_text(const struct encoder *encoder, const char *text);
const struct node *encode_int(const struct encoder *encoder, int64_t value);
const struct node *encode_bool(const struct encoder *encoder, bool value);
const struct node *encode_null(const struct encoder *encoder);
struct node *encode_list(const struct encoder *encoder, size_t capacity);
struct node *encode_map(const struct encoder *encoder, size_t capacity);
/* The same, printed in the order that its entries are put in. */
struct node *encode_object(const struct encoder *encoder, size_t capacity);
void encode_put(struct node *node, const char *key, const struct node *value); /* NULL is skipped */
