/* Manifests and configs: one request at a time, into memory. */

#include "engine/worker/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/arena.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"

enum { MANIFEST_MAX_BYTES = 4 << 20, INDEX_DEPTH_MAX = 4 };

/* This machine itself: registries for development, spoken to without TLS, as Docker does. */
static bool is_loopback(const char *domain)
{
    struct str host;
    struct str port;

    (void)str_cut_last(str_from(domain), ':', &host, &port);
    return str_is(host, "localhost") || str_starts_with(host, "127.") || str_is(host, "[::1]") ||
           text_equal(domain, "[::1]");
}

struct registry registry_of(struct arena *arena, const struct image_reference *reference)
{
    const char *host = reference->domain;

    if (text_equal(host, "docker.io"))
        host = "registry-1.docker.io";
    return (struct registry){
        .base_url = arena_printf(arena, "%s://%s/v2/%s", is_loopback(host) ? "http" : "https", host,
                                 reference->path),
        .scope = arena_printf(arena, "repository:%s:pull", reference->path),
    };
}

const char *registry_blob_url(struct arena *arena, const struct registry *registry,
                              const char *digest)
{
    return arena_printf(arena, "%s/blobs/%s", registry->base_url, digest);
}

static int ask(struct fetch *fetch, struct arena *arena, const struct fetch_request *request,
               struct fetch_answer *ret, struct error *err)
{
    uint32_t id;

    if (fetch_send(fetch, request, err) < 0 || fetch_receive(fetch, arena, ret, &id, err) < 0)
        return error_wrap(err, "%s", request->url);
    return 0;
}

/* A whole body in memory. */
static int get(struct fetch *fetch, struct arena *arena, struct fetch_request *request,
               struct fetch_answer *ret, struct buf *out, struct error *err)
{
    cleanup_fd int fd = memfd_create("berth-fetch", MFD_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "make a file in memory");
    request->fd = fd;
    if (ask(fetch, arena, request, ret, err) < 0)
        return -1;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return error_sys(err, errno, "rewind a file in memory");
    buf_init(out, request->max_bytes);
    return fs_read_all(fd, out, err);
}

int registry_head(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                  const char *tag, char ret_digest[static DIGEST_TEXT_SIZE], struct error *err)
{
    struct fetch_answer answer;
    const struct fetch_request request = {
        .id = 1,
        .url = arena_printf(arena, "%s/manifests/%s", registry->base_url, tag),
        .accept = manifest_accept,
        .scope = registry->scope,
        .head_only = true,
        .fd = -1,
    };

    if (ask(fetch, arena, &request, &answer, err) < 0)
        return -1;
    memcpy(ret_digest, answer.digest, DIGEST_TEXT_SIZE);
    return 0;
}

static int get_manifest(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                        const char *name, struct fetch_answer *ret, struct buf *out,
                        struct error *err)
{
    struct fetch_request request = {
        .id = 1,
        .url = arena_printf(arena, "%s/manifests/%s", registry->base_url, name),
        .accept = manifest_accept,
        .scope = registry->scope,
        .digest = digest_is_valid(name) ? name : NULL,
        .max_bytes = MANIFEST_MAX_BYTES,
    };

    return get(fetch, arena, &request, ret, out, err);
}

int registry_manifest(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                      const char *name, const struct platform *platform, struct manifest *ret,
                      char ret_digest[static DIGEST_TEXT_SIZE], struct error *err)
{
    char digest[DIGEST_TEXT_SIZE] = "";

    for (int depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
        cleanup_buf struct buf text = BUF_INIT;
        struct manifest manifest;
        struct fetch_answer answer;
        struct str type;
        struct str parameters;

        if (get_manifest(fetch, arena, registry, name, &answer, &text, err) < 0)
            return -1;
        if (!digest[0])
            memcpy(digest, answer.digest, sizeof(digest));
        (void)str_cut(str_from(answer.content_type), ';', &type, &parameters);
        if (manifest_parse(arena, buf_str(&text), arena_strndup(arena, type.data, type.len),
                           platform, &manifest, err) < 0)
            return -1;
        if (manifest.kind == MANIFEST_IMAGE) {
            *ret = manifest;
            memcpy(ret_digest, digest, sizeof(digest));
            return 0;
        }
        name = manifest.chosen.digest;
    }
    return error_set(err, ERROR_INVALID, "the index holds indexes more than %d deep",
                     INDEX_DEPTH_MAX);
}

int registry_blob(struct fetch *fetch, struct arena *arena, const struct registry *registry,
                  const struct descriptor *blob, uint64_t max_bytes, struct buf *out,
                  struct error *err)
{
    struct fetch_answer answer;
    struct fetch_request request = {
        .id = 1,
        .url = registry_blob_url(arena, registry, blob->digest),
        .scope = registry->scope,
        .digest = blob->digest,
        .max_bytes = blob->size,
    };

    if (blob->size > max_bytes)
        return error_set(err, ERROR_INVALID, "blob %.19s has %llu bytes; at most %llu are taken",
                         blob->digest, (unsigned long long)blob->size,
                         (unsigned long long)max_bytes);
    return get(fetch, arena, &request, &answer, out, err);
}
