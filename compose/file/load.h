#pragma once

/* What the steps of the loader share (private to compose/file). */

#include <stdbool.h>
#include <stddef.h>

#include "compose/file/dotenv.h"
#include "compose/file/interpolate.h"
#include "compose/file/pattern.h"
#include "compose/file/project.h"
#include "compose/file/report.h"
#include "engine/base/vec.h"

struct arena;
struct field;
struct history;
struct node;
struct yaml_documents;

/* LOAD_PARSED_MAX: files that extends and include lead to, counted each time they are named.
 * LOAD_TOTAL_MAX: bytes of all files together. LOAD_MERGED_MAX: entries of what is merged, each
 * time. */
enum {
    LOAD_FILE_MAX = 10 << 20,
    LOAD_FILES_MAX = 100,
    LOAD_PARSED_MAX = 1000,
    LOAD_TOTAL_MAX = 64 << 20,
    LOAD_MERGED_MAX = 2000000,
    LOAD_SERVICES_MAX = 50000, /* 9 KB each */
    LOAD_ENV_MAX = 64 << 20,   /* what is parsed of env files, each time */
};

/* What a secret's or config's `environment:` means in an included file that has variables of its
 * own; the place tells which one it is, through all merges. */
struct included_value {
    struct span span;
    const char *value;
};

/* What a directory's .env made of an environment: the next file of the same directory that is
 * included sees the same. */
struct env_memo {
    const char *path;
    const struct pair *before; /* load->environment's items */
    struct pairs after;
};

/* A file that extends or include named, parsed once. */
struct parsed_file {
    uint32_t source;
    bool is_broken; /* and that is reported */
    const struct node *const *documents;
    size_t n_documents;
};

/* The file being loaded, and the one that includes it, up to the project's own. */
struct include_link {
    const struct include_link *outer;
    const char *path;
    uint32_t source;
    struct span at; /* of its path in the including file; line 0: the project's own */
    size_t depth;
};

/* A key whose warning was given for a file. */
struct warned_key {
    const struct field *field;
    uint32_t file;
};

struct load {
    struct arena *arena;
    const struct project_options *options;
    struct report report;
    struct pairs environment;      /* sorted; with COMPOSE_PROJECT_NAME once the name is known */
    struct variables variables;    /* over environment */
    struct pairs root_environment; /* without what an include adds for its own files */
    VEC(struct included_value) included_values;
    const char *directory;      /* absolute */
    const char *root_directory; /* the project's */
    const char *name;
    size_t n_ports;        /* ranges expanded, for the limit */
    size_t n_interpolated; /* bytes, for the limit */
    size_t n_extends;      /* seen by the long forms: most files have none */
    size_t n_parsed;       /* files that extends and include led to, for the limit */
    size_t n_bytes;        /* of all sources, for the limit */
    size_t n_env_bytes;    /* of env files, each time they are read, for the limit */
    size_t n_nodes;        /* that they made, for the limit */
    size_t n_merged;       /* entries of mappings and lists, each time, for the limit */
    VEC(struct parsed_file) parsed_files;
    struct env_memo env_memo;        /* the last one */
    const struct include_link *link; /* of the document being loaded */
    struct history *history;         /* NULL: none is kept */
    VEC(struct unhonoured) unhonoured;
    VEC(struct warned_key) warned;
    struct patterns patterns;
};

struct env_file {
    const char *path;
    bool required;
    const char *format; /* NULL, or "raw" */
    struct span span;
};

/* A service with what only the loader needs of it. `service` comes first: tables of services bind
 * to drafts. */
struct draft {
    struct service service;
    struct env_file *env_files;
    size_t n_env_files;
    struct strings label_files;
};

/* What an element of `include` says. */
struct include {
    struct strings paths; /* the first is the main one, the others override it */
    const char *project_directory;
    struct strings env_files;
};

/* What `extends` says. */
struct extends {
    const char *service;
    const char *file; /* NULL: the same document */
};

/* ---- steps, in their order ------------------------------------------------------------------- */

/* Files, project directory, environment (discover.c). Reported problems and failures: -1. */
int discover_files(struct load *load, struct strings *ret_paths, struct error *err);
/* -p, COMPOSE_PROJECT_NAME, `from_files` (the last name:, interpolated), or the directory's name.
 */
int discover_name(struct load *load, const char *from_files, struct span span, struct error *err);
/* LOAD_FROM_USER: named on the command line, where <(…) and /dev/stdin are pipes. */
enum load_flags { LOAD_REQUIRED = 0, LOAD_OPTIONAL = 1 << 0, LOAD_FROM_USER = 1 << 1 };
/* Read a regular file (/dev/null, too) whole as a source of the report: 0, or an error is reported
 * at `at` (-1). Returns 1, silently, when it does not exist and is optional. Never waits: a FIFO,
 * a socket or a device is refused. */
int load_source(struct load *load, const char *path, size_t max_bytes, unsigned flags,
                struct span at, uint32_t *ret_source);
/* How messages show a path: relative when it lies below the working directory. */
const char *load_shown_path(const struct load *load, const char *path);
/* "~", relative to `directory`; cleaned. */
const char *load_resolve_path(const struct load *load, const char *directory, const char *path);
/* A URL or a git repository, where a path could stand. */
bool load_is_remote(const char *path);
/* Report that a Compose file can't be remote, if `path` is (oci://, git, URLs): -1. */
int load_refuse_remote(struct load *load, const char *path, struct span at);
/* `more` fills in what load->environment does not have; the first definition wins in it, too. */
void load_add_environment(struct load *load, const struct pairs *more);
/* Read an env file in front of *into (a list where the first definition holds). Flags, `at` and
 * the result as in load_source. */
int load_env_file(struct load *load, const char *path, unsigned flags, struct span at,
                  struct pairs *into);
/* Count a source that is parsed as an env file; -1: too many, reported at `at` (once). */
int load_count_env_bytes(struct load *load, uint32_t source, struct span at);
/* Add the directory's .env to the environment, if it has one. */
int load_default_env_file(struct load *load, const char *directory);
/* Read and parse a file that `at` names; its documents are pushed. Remote ones are refused; -1:
 * reported. */
int load_named_file(struct load *load, const char *path, struct span at,
                    struct yaml_documents *documents, uint32_t *ret_source);
/* A document's variables expanded, then its long forms: what every other step starts from. Its
 * paths start at `directory`. */
const struct node *load_document(struct load *load, const struct node *document,
                                 const char *directory);
/* Every document interpolated, in long form, its include and extends followed, merged in order.
 * NULL: there was none. */
const struct node *load_documents(struct load *load, const struct yaml_documents *documents);
/* Count `n_more` nodes towards what extends and include may make; -1: too many, reported at `at`.
 */
int load_count_nodes(struct load *load, size_t n_more, struct span at);
/* The same for a document that a named file has; it must be a mapping. */
int load_count_document(struct load *load, const struct node *document, struct span at);

/* Two documents → one (merge.c). base NULL: the first. */
const struct node *merge_documents(struct load *load, const struct node *base,
                                   const struct node *over);

/* The same for a part of the tree, at the report's path; !reset and !override act on `base` and
 * stay in the result, so that they act on what it is merged over as well. */
const struct node *merge_below(struct load *load, const struct field *field,
                               const struct node *base, const struct node *over);

/* The document merged over what its `include` leads to, without the key (include.c). What
 * can't be used is reported and left out. */
const struct node *include_resolve(struct load *load, const struct node *document);

/* The document with every service's `extends` followed (extends.c). Relative names of files start
 * at load->directory. */
const struct node *extends_resolve(struct load *load, const struct node *document);

/* A document's relative paths made absolute from `directory` (relative.c). */
const struct node *relative_resolve(struct load *load, const struct node *document,
                                    const char *directory);

/* The merged tree → drafts and resources, sorted by name (model.c). */
struct model {
    struct draft *drafts;
    size_t n_drafts;
    struct resource_list resources[RESOURCE_KINDS];
};
void model_decode(struct load *load, const struct node *root, struct model *ret);

/* Defaults, relative paths, the default network, final names (normalise.c). */
void normalise_model(struct load *load, struct model *model);

/* What links, volumes_from and shared namespaces add to depends_on (implied.c). */
void imply_dependencies(struct load *load, struct service *service);

/* Which services the profiles enable: they come first among the drafts, the others after them, both
 * sorted (select.c). */
void select_profiles(struct load *load, struct model *model, struct strings *ret_profiles,
                     size_t *ret_n_enabled);
/* Drop resources and optional edges that lead nowhere from the enabled services (select.c).
 */
void select_used(struct arena *arena, struct project *project);

/* References, cycles, contradictions among the enabled services (consistency.c). */
void consistency_check(struct load *load, const struct project *project);

/* The service's environment from its env files and its own, its labels likewise (environment.c). */
void environment_resolve(struct load *load, const struct draft *draft, struct service *service);
