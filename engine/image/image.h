#pragma once

/* Images: references, the store on disk, image configs. Main header of engine/image.
 *
 * Theory. An image is a config blob (OCI/Docker image config JSON) that names its layers by diff id
 * (SHA-256 of the uncompressed layer tar). Image id = digest of the config. On disk, below the
 * state directory:
 *
 *   blobs/sha256/xx/<hex>          image configs and manifests, content addressed
 *   layers/<hex of diff id>/       tree/ (the unpacked layer, overlay form) and meta.json
 *   refs/<enc(repository)>/<tag>   {"image":"sha256:…","manifest":"sha256:…","created_ns":…}
 *   refs/<enc(repository)>/@<hex>  the same for "repository@sha256:<hex>"
 *   refs/@/<hex>                   an image somebody made without a name
 *   staging/<id>/, <id>.lock       work of a live process, which holds flock on the lock file
 *   partial/<hex>                  downloads that can be resumed
 *   leases/<id>                    flock-ed by its owner: what garbage collection must leave alone
 *   gc.lock                        shared: nothing is collected; exclusive: collecting
 *
 * enc() replaces '/' by '+', which no repository name contains. Readers need no lock: everything
 * appears by rename when it is whole and durable, in the order layers, blobs, refs. A crash leaves
 * only staging and partial, which the next writer sweeps. Layers are removed by renaming them
 * into staging first.
 *
 * What keeps something alive: refs; containers/<id>/container.json (`spec.image_id`,
 * `resolved.layers[]`); files below build/roots/ (see image_collect); live leases.
 *
 * state_fd is the state directory (/var/lib/berth) everywhere here, borrowed. Digests are texts of
 * the form "sha256:<64 hex>". Nothing here parses untrusted bytes other than small JSON and
 * reference texts: archives and transfers are the worker's (job.h).
 *
 * engine_images_list, engine_image_find and engine_image_remove of engine.h are image_list,
 * image_find and image_remove. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/sha256.h"
#include "engine/base/str.h"

struct arena;
struct buf;
struct error;
struct image_info;

/* ------------------------------------------------------------------ references (pure)
 * "nginx", "ghcr.io/a/b:1", "localhost:5000/x@sha256:…". Normalised as Docker does: domain
 * docker.io and the prefix library/ are filled in, the tag "latest" when there is neither tag nor
 * digest. */

struct image_reference {
    const char *domain; /* "docker.io", "localhost:5000" */
    const char *path;   /* "library/nginx" */
    const char *tag;    /* NULL when only a digest was given */
    const char *digest; /* NULL when only a tag was given; with both, the digest decides */
};

/* ERROR_INVALID quotes the text and says which rule it breaks. */
int image_reference_parse(struct arena *arena, const char *text, struct image_reference *ret,
                          struct error *err);
/* "docker.io/library/nginx:1.25"; with a digest: "docker.io/library/nginx@sha256:…" */
const char *image_reference_text(struct arena *arena, const struct image_reference *reference);
/* As people write it: "nginx:1.25" */
const char *image_reference_familiar(struct arena *arena, const struct image_reference *reference);
/* "nginx" of "docker.io/library/nginx:1.25": the repository in familiar form */
const char *image_reference_repository(struct arena *arena,
                                       const struct image_reference *reference);

/* "docker.io/library/nginx:1.25@sha256:…": the tag stays, for people. */
const char *image_reference_pinned(struct arena *arena, const struct image_reference *reference,
                                   const char *digest);

/* ------------------------------------------------------------------ reading */

/* By reference, "sha256:<hex>", 64 hex digits, or a unique id prefix of at least 4 digits.
 * ERROR_NOT_FOUND says how to get it; ERROR_CONFLICT when a prefix fits several. `references` holds
 * only the name it was found by (none for an id): image_list reads all. */
int image_find(int state_fd, struct arena *arena, const char *reference_or_id,
               struct image_info *ret, struct error *err);
/* engine_image_pin. */
int image_pin(int state_fd, struct arena *arena, const char *reference, const char **ret,
              struct error *err);
/* Every image with a reference, and those without a name; newest first, then by id. */
int image_list(int state_fd, struct arena *arena, struct image_info **ret, size_t *ret_n,
               struct error *err);
/* The whole config document ({"config":{…},"rootfs":{…},…}). Caller owns *ret. */
int image_config_read(int state_fd, const char *image_id, json_t **ret, struct error *err);

/* A blob, whole. ERROR_NOT_FOUND; ERROR_INVALID past max_bytes. Not re-hashed. */
int image_blob_read(int state_fd, const char *digest, size_t max_bytes, struct buf *out,
                    struct error *err);

/* ------------------------------------------------------------------ layers */

enum layer_kind { LAYER_TREE }; /* later: LAYER_EROFS, a file that is mounted */

struct layer {
    enum layer_kind kind;
    uint64_t size_bytes; /* unpacked: sum of file sizes */
    uint64_t n_entries;
};

/* Path below the state directory: "layers/<hex>/tree". Arena-owned. `diff_id` must be valid. */
const char *layer_path(struct arena *arena, const char *diff_id);
bool layer_exists(int state_fd, const char *diff_id);
/* Opens the tree (O_PATH | O_DIRECTORY): a lower layer in overlay form (whiteouts are character
 * devices 0:0, opaque directories carry trusted.overlay.opaque=y). ret_layer may be NULL. */
int layer_open(int state_fd, const char *diff_id, int *ret_fd, struct layer *ret_layer,
               struct error *err);

/* A layer in the making: staging/<id>/tree. Fill the tree (through tree_fd or its path), then
 * commit or close. */
struct layer_stage {
    char id[33];    /* names staging/<id> */
    int state_fd;   /* borrowed */
    int lock_fd;    /* flock-ed: alive */
    int dir_fd;     /* staging/<id> */
    int tree_fd;    /* staging/<id>/tree, readable directory, root:root 0755 at first */
    bool committed; /* nothing to clean up any more */
};
#define LAYER_STAGE_INIT                                                                           \
    {                                                                                              \
        .state_fd = -1, .lock_fd = -1, .dir_fd = -1, .tree_fd = -1                                 \
    }
#define cleanup_layer_stage __attribute__((cleanup(layer_stage_release)))

int layer_stage_begin(int state_fd, struct layer_stage *ret, struct error *err);
/* "staging/<id>/tree" below the state directory. */
const char *layer_stage_path(struct arena *arena, const struct layer_stage *stage);
/* Without a commit: removes what was staged. Keeps errno. */
void layer_stage_release(struct layer_stage *stage);

/* Make staged layers visible as layers/<diff id>/, durably: one syncfs for the whole batch, then
 * one rename each. A layer that exists already wins, ours is dropped. The diff ids must be covered
 * by a lease (image_lease_add) until a ref, a container or a build record names them.
 *
 * `n_entries` and `size_bytes` go into meta.json, as do `extra` keys (may be NULL, borrowed). */
struct layer_commit {
    struct layer_stage *stage;
    const char *diff_id;
    uint64_t size_bytes, n_entries;
    json_t *extra;
};
int layer_stages_commit(int state_fd, struct layer_commit *commits, size_t n, struct error *err);

/* ------------------------------------------------------------------ writing images */

/* Store an image config (rootfs.diff_ids must exist as layers) and point references at it.
 * `references` may be empty: then the image is kept under its id alone until image_remove.
 * A reference that pointed elsewhere moves. `manifest` is the registry's digest or NULL.
 * Durable on return. */
struct image_write {
    const json_t *config;   /* printed compact, or … */
    struct str config_text; /* … when set: these bytes (a pulled config keeps its digest) */
    const struct image_reference *references;
    size_t n_references;
    const char *manifest;
};
int image_write(int state_fd, const struct image_write *write, char ret_id[static DIGEST_TEXT_SIZE],
                struct error *err);
/* Store bytes under their digest, durably. */
int image_blob_write(int state_fd, const void *data, size_t len,
                     char ret_digest[static DIGEST_TEXT_SIZE], struct error *err);

/* Point a reference at an image; moves it if it exists. A reference with a digest is refused. */
int image_tag(int state_fd, const char *image_id, const struct image_reference *reference,
              struct error *err);
/* Remove a reference (or, given an id, every reference of the image: needs `force` when there are
 * several), then collect. ERROR_CONFLICT names the containers that use the image when the last
 * reference would go (force: the reference goes, the content stays with the containers).
 * Removing by reference what is absent: ERROR_NOT_FOUND. */
int image_remove(int state_fd, const char *reference_or_id, bool force, struct error *err);

/* ------------------------------------------------------------------ garbage */

/* While the fd is open nothing is collected, system-wide: hold it (briefly) from finding an image
 * to having written the record that keeps it alive. Shared between holders. */
int image_collect_hold(int state_fd, int *ret_fd, struct error *err);

/* A list of things to keep for as long as this process lives or until closed. */
struct image_lease {
    int fd;
    int state_fd; /* borrowed from the opener */
    char id[33];
};
#define IMAGE_LEASE_INIT                                                                           \
    {                                                                                              \
        .fd = -1, .state_fd = -1                                                                   \
    }
#define cleanup_image_lease __attribute__((cleanup(image_lease_close)))
int image_lease_open(int state_fd, struct image_lease *ret, struct error *err);
/* A layer's diff id, a blob's digest or an image's id (keeps its layers too). It need not exist
 * yet; what exists when this returns stays. */
int image_lease_add(struct image_lease *lease, const char *digest, struct error *err);
void image_lease_close(struct image_lease *lease);

/* Remove what nothing keeps alive, and sweep stale staging. Returns 1 and does nothing when
 * somebody holds the store (image_collect_hold, another collection). ret_freed_bytes may be NULL.
 *
 * The build cache's roots: every regular file below build/roots/ (one level) holds digests (layers
 * or images), one per line; a file that cannot be understood fails the collection. */
int image_collect(int state_fd, uint64_t *ret_freed_bytes, struct error *err);

/* ------------------------------------------------------------------ configs (pure) */

/* Apply one Dockerfile instruction to an image config document ("config" is made when missing):
 * CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL MAINTAINER ONBUILD SHELL STOPSIGNAL USER VOLUME
 * WORKDIR. `words` are the arguments after quoting and variables were dealt with:
 *
 *   CMD ENTRYPOINT   exec form: the argv; shell form: one word, the line
 *   SHELL            the argv (exec form only)
 *   ENV LABEL        "name=value" each
 *   EXPOSE           "80", "80/udp", "8000-8010" each
 *   HEALTHCHECK      {"NONE"}, or options "--interval=5s"…, then "CMD", then argv (exec form) or
 * one line VOLUME           a path each USER WORKDIR STOPSIGNAL MAINTAINER ONBUILD   one word; a
 * relative WORKDIR goes below the last
 *
 * ERROR_INVALID names the instruction. */
enum config_form { CONFIG_SHELL_FORM, CONFIG_EXEC_FORM };
int image_config_apply(json_t *image, const char *instruction, const struct strings *words,
                       enum config_form form, struct error *err);
/* The same from a whole line, as `import --change` has it: "ENV A=b", `CMD ["sh"]`. Quotes and
 * backslashes work; a variable ($NAME) is refused, there is nothing to expand it from. */
int image_config_apply_change(json_t *image, const char *line, struct error *err);
/* {"architecture","os","variant"…} of this machine, and empty config/rootfs/history. New reference.
 */
json_t *image_config_new(void);
const char *image_config_architecture(void); /* "amd64", "arm64", … of this machine */

/* What engine.h shows of a config. Everything is copied into the arena; `references` and
 * `size_bytes` are left empty. ERROR_INVALID when it is no image config. */
int image_info_from_config(struct arena *arena, const char *image_id, const json_t *config,
                           struct image_info *ret, struct error *err);
