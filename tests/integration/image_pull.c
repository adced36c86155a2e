/* Pulls from a registry that does as it is told: well-behaved, slow, lying, cut off. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "engine/base/cleanup.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "tests/integration/image_world.h"
#include "tests/tap.h"

#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"
#define INDEX_TYPE    "application/vnd.oci.image.index.v1+json"
#define CONFIG_TYPE   "application/vnd.oci.image.config.v1+json"
#define LAYER_TYPE    "application/vnd.oci.image.layer.v1.tar"

enum { OBJECTS_MAX = 16, REQUEST_MAX = 8192 };

enum misdeed { FINE, BUSY, LIMITED, CUT, LIE, TOO_LONG, REDIRECT, DENY };

struct object {
    const char *path, *type;
    struct buf body;
    enum misdeed misdeed;
    int n_times; /* how often it misbehaves; -1 = always */
};

/* What the server saw: shared memory. */
struct seen {
    int n_requests, n_tokens, n_ranges, n_heads, n_layer_bytes, n_leaks;
};

struct server {
    struct object objects[OBJECTS_MAX];
    size_t n_objects;
    bool wants_token;
    struct seen *seen;
    int listener;
    unsigned port;
    pid_t pid;
    struct image_world world;
    char layer_digest[2][DIGEST_TEXT_SIZE], config_digest[DIGEST_TEXT_SIZE];
    char manifest_digest[DIGEST_TEXT_SIZE];
};

/* ------------------------------------------------------------------ the server's process */

static void send_text(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void answer(int fd, const char *status, const char *headers, const char *body)
{
    char text[2048];
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s", status,
                     strlen(body), headers, body);

    send_text(fd, text, (size_t)n);
}

static void serve_body(struct server *server, int fd, struct object *object, size_t offset,
                       bool head, enum misdeed misdeed)
{
    char header[1024], hex[SHA256_HEX_SIZE];
    size_t len = object->body.len - offset, claimed = len;
    int n;

    if (misdeed == TOO_LONG)
        claimed += 100;
    sha256_hex(object->body.data, object->body.len, hex);
    n = snprintf(header, sizeof(header),
                 "HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: "
                 "%zu\r\nDocker-Content-Digest: sha256:%s\r\n\r\n",
                 offset ? "206 Partial Content" : "200 OK", object->type, claimed, hex);
    send_text(fd, header, (size_t)n);
    if (head)
        return;
    if (misdeed == LIE) {
        char *other = malloc(len);

        memset(other, 'x', len);
        send_text(fd, other, len);
        free(other);
        return;
    }
    if (misdeed == CUT)
        len /= 2;
    send_text(fd, object->body.data + offset, len);
    if (strstr(object->path, server->layer_digest[0]))
        server->seen->n_layer_bytes += (int)len;
    if (misdeed == TOO_LONG)
        send_text(fd, header, 100);
}

static struct object *find_object(struct server *server, const char *path)
{
    for (size_t i = 0; i < server->n_objects; i++)
        if (strcmp(server->objects[i].path, path) == 0)
            return &server->objects[i];
    return NULL;
}

static void serve_object(struct server *server, int fd, struct object *object, const char *request)
{
    const char *range = strstr(request, "Range: bytes=");
    enum misdeed misdeed = object->n_times ? object->misdeed : FINE;
    size_t offset = range ? strtoull(range + 13, NULL, 10) : 0;
    char header[512];

    if (object->n_times > 0)
        object->n_times--;
    server->seen->n_ranges += range != NULL;
    switch (misdeed) {
    case BUSY:
        answer(fd, "503 Service Unavailable", "", "busy");
        return;
    case LIMITED:
        answer(fd, "429 Too Many Requests", "Retry-After: 0\r\n",
               "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"slow down\"}]}");
        return;
    case DENY:
        answer(fd, "403 Forbidden", "",
               "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"not for you\"}]}");
        return;
    case REDIRECT:
        /* localhost is another host than 127.0.0.1 */
        (void)snprintf(header, sizeof(header), "Location: http://localhost:%u/elsewhere%s\r\n",
                       server->port, object->path);
        answer(fd, "307 Temporary Redirect", header, "");
        return;
    case FINE:
    case CUT:
    case LIE:
    case TOO_LONG:
        break;
    }
    if (offset > object->body.len) {
        answer(fd, "416 Range Not Satisfiable", "", "");
        return;
    }
    serve_body(server, fd, object, offset, strncmp(request, "HEAD", 4) == 0, misdeed);
}

static void serve(struct server *server, int fd)
{
    char request[REQUEST_MAX], path[1024], header[512];
    bool is_elsewhere, has_token;
    struct object *object;
    size_t len = 0;

    do {
        ssize_t n = recv(fd, request + len, sizeof(request) - 1 - len, 0);

        if (n <= 0)
            return;
        len += (size_t)n;
        request[len] = '\0';
    } while (!strstr(request, "\r\n\r\n"));
    if (sscanf(request, "%*s %1000s", path) != 1)
        return;
    server->seen->n_requests++;
    server->seen->n_heads += strncmp(request, "HEAD", 4) == 0;
    if (strncmp(path, "/token", 6) == 0) {
        server->seen->n_tokens++;
        CHECK_CONTAINS(path, "scope=repository%3Ateam%2Fapp%3Apull");
        answer(fd, "200 OK", "Content-Type: application/json\r\n", "{\"token\":\"sesame\"}");
        return;
    }
    is_elsewhere = strncmp(path, "/elsewhere", 10) == 0;
    has_token = strstr(request, "Authorization: Bearer sesame") != NULL;
    server->seen->n_leaks += is_elsewhere && has_token;
    if (server->wants_token && !is_elsewhere && !has_token) {
        (void)snprintf(header, sizeof(header),
                       "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:%u/token\","
                       "service=\"here\",scope=\"repository:team/app:pull\"\r\n",
                       server->port);
        answer(fd, "401 Unauthorized", header, "");
        return;
    }
    object = find_object(server, is_elsewhere ? path + 10 : path);
    if (!object)
        answer(fd, "404 Not Found", "",
               "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}");
    else if (is_elsewhere)
        serve_body(server, fd, object, 0, false, FINE);
    else
        serve_object(server, fd, object, request);
}

static void run_server(struct server *server)
{
    for (;;) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            _exit(1);
        serve(server, fd);
        (void)shutdown(fd, SHUT_WR);
        close(fd);
    }
}

/* ------------------------------------------------------------------ the test's side */

static struct object *add_object(struct server *server, const char *kind, const char *name,
                                 const char *type, const char *data, size_t len)
{
    struct object *object = &server->objects[server->n_objects++];

    object->path = arena_printf(&server->world.arena, "/v2/team/app/%s/%s", kind, name);
    object->type = type;
    buf_add(&object->body, data, len);
    return object;
}

static struct object *add_blob(struct server *server, const char *data, size_t len,
                               char ret_digest[static DIGEST_TEXT_SIZE])
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex(data, len, hex);
    (void)snprintf(ret_digest, DIGEST_TEXT_SIZE, "sha256:%s", hex);
    return add_object(server, "blobs", ret_digest, "application/octet-stream", data, len);
}

static struct object *add_manifest(struct server *server, const char *tag, const char *type,
                                   const char *text, char ret_digest[static DIGEST_TEXT_SIZE])
{
    char hex[SHA256_HEX_SIZE];

    sha256_hex(text, strlen(text), hex);
    (void)snprintf(ret_digest, DIGEST_TEXT_SIZE, "sha256:%s", hex);
    add_object(server, "manifests", ret_digest, type, text, strlen(text));
    return add_object(server, "manifests", tag, type, text, strlen(text));
}

static void make_layers(struct tar *base, struct tar *top)
{
    char *filler = malloc(300001);

    for (size_t i = 0; i < 300000; i++)
        filler[i] = (char)('a' + i % 23);
    filler[300000] = '\0';
    tar_add(base, &(struct tar_item){'5', "etc", .mode = 0755});
    tar_add(base, &(struct tar_item){'5', "tmp", .mode = 01777, .uid = 3});
    tar_add(base, &(struct tar_item){'0', "etc/motd", .content = "hello", .mode = 0644});
    tar_add(base, &(struct tar_item){'0', "filler", .content = filler, .mode = 0644});
    tar_end(base);
    tar_add(top, &(struct tar_item){'0', "etc/.wh.motd", .mode = 0600});
    tar_add(top, &(struct tar_item){'5', "var/lib", .mode = 0755});
    tar_add(top, &(struct tar_item){'0', "var/lib/.wh..wh..opq", .mode = 0600});
    tar_add(top, &(struct tar_item){'0', "var/lib/x", .content = "x", .mode = 0644});
    tar_add(top, &(struct tar_item){'0', "tmp/x", .content = "x", .mode = 0644});
    tar_add(top, &(struct tar_item){'0', "late/x", .content = "x", .mode = 0644});
    tar_add(top, &(struct tar_item){'5', "late", .mode = 0700, .uid = 4});
    tar_end(top);
    free(filler);
}

/* Config, manifest and layers of a small image; `architecture` goes into the config. */
static void add_image(struct server *server, const char *tag, const char *architecture)
{
    struct arena *arena = &server->world.arena;
    struct tar base = {0}, top = {0};
    struct object *layers[2];
    const char *config, *manifest;

    make_layers(&base, &top);
    layers[0] = add_blob(server, base.bytes.data, base.bytes.len, server->layer_digest[0]);
    layers[1] = add_blob(server, top.bytes.data, top.bytes.len, server->layer_digest[1]);
    /* Uncompressed: digest and diff id are the same. */
    config = arena_printf(arena,
                          "{\"architecture\":\"%s\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"sh\"]},"
                          "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
                          architecture, server->layer_digest[0], server->layer_digest[1]);
    add_blob(server, config, strlen(config), server->config_digest);
    manifest = arena_printf(
        arena,
        "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE "\","
        "\"config\":{\"mediaType\":\"" CONFIG_TYPE "\",\"digest\":\"%s\",\"size\":%zu},"
        "\"layers\":[{\"mediaType\":\"" LAYER_TYPE "\",\"digest\":\"%s\",\"size\":%zu},"
        "{\"mediaType\":\"" LAYER_TYPE "\",\"digest\":\"%s\",\"size\":%zu}]}",
        server->config_digest, strlen(config), server->layer_digest[0], layers[0]->body.len,
        server->layer_digest[1], layers[1]->body.len);
    add_manifest(server, tag, MANIFEST_TYPE, manifest, server->manifest_digest);
    buf_release(&base.bytes);
    buf_release(&top.bytes);
}

static struct object *object_of(struct server *server, const char *part)
{
    for (size_t i = 0; i < server->n_objects; i++)
        if (strstr(server->objects[i].path, part))
            return &server->objects[i];
    tap_fail(TAP_HERE, "no object \"%s\"", part);
}

static struct object *misbehave(struct server *server, const char *part, enum misdeed misdeed,
                                int n_times)
{
    struct object *object = object_of(server, part);

    object->misdeed = misdeed;
    object->n_times = n_times;
    return object;
}

static void server_open(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof(address);

    *server = (struct server){.pid = 0};
    image_world_open(&server->world);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(server->listener, 64) == 0);
    CHECK(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0);
    server->port = ntohs(address.sin_port);
    server->seen = mmap(NULL, sizeof(*server->seen), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(server->seen != MAP_FAILED);
    add_image(server, "1", image_config_architecture());
}

static void server_start(struct server *server)
{
    server->pid = fork();
    CHECK(server->pid >= 0);
    if (server->pid == 0)
        run_server(server);
}

static void server_stop(struct server *server)
{
    if (!server->pid)
        return;
    CHECK(kill(server->pid, SIGKILL) == 0);
    CHECK(waitpid(server->pid, NULL, 0) == server->pid);
    server->pid = 0;
}

static void server_close(struct server *server)
{
    server_stop(server);
    close(server->listener);
    for (size_t i = 0; i < server->n_objects; i++)
        buf_release(&server->objects[i].body);
    image_world_close(&server->world);
}

static int pull_name(struct server *server, const char *suffix, const char *platform)
{
    return try_pull(
        &server->world,
        arena_printf(&server->world.arena, "127.0.0.1:%u/team/app%s", server->port, suffix),
        platform);
}

static int pull(struct server *server)
{
    return pull_name(server, ":1", NULL);
}

static bool is_opaque(struct image_world *world, const char *diff_id, const char *path)
{
    char value[4] = "";
    int fd = -1;

    CHECK_OK(layer_open(world->state_fd, diff_id, &fd, NULL, &world->err), &world->err);
    ssize_t n = getxattr(arena_printf(&world->arena, "/proc/self/fd/%d/%s", fd, path),
                         "trusted.overlay.opaque", value, sizeof(value));
    close(fd);
    return n == 1 && value[0] == 'y';
}

static void check_image(struct server *server)
{
    struct image_world *world = &server->world;

    CHECK_TEXT(world->id, server->config_digest);
    CHECK_TEXT(layer_file(world, server->layer_digest[0], "etc/motd"), "file 0644 0:0 hello");
    CHECK_TEXT(layer_file(world, server->layer_digest[1], "etc/motd"), "char 0:0");
    CHECK_TEXT(layer_file(world, server->layer_digest[1], "var/lib/x"), "file 0644 0:0 x");
    CHECK(is_opaque(world, server->layer_digest[1], "var/lib"));
    CHECK(!is_opaque(world, server->layer_digest[1], "var"));
    image_world_check_tidy(world);
}

static void check_nothing(struct server *server)
{
    CHECK_INT(count_entries(&server->world, "layers"), 0);
    CHECK_INT(count_entries(&server->world, "refs"), 0);
    CHECK_INT(count_entries(&server->world, "staging"), 0);
    CHECK_INT(count_entries(&server->world, "leases"), 0);
}

TEST(a_pulled_image_has_its_config_layers_and_whiteouts)
{
    struct server server;
    struct image_info info;

    server_open(&server);
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    CHECK_OK(image_find(server.world.state_fd, &server.world.arena, server.config_digest, &info,
                        &server.world.err),
             &server.world.err);
    CHECK_INT(info.layers.n, 2);
    CHECK_TEXT(info.command.items[0], "sh");
    server_close(&server);
}

TEST(a_directory_without_an_entry_looks_as_in_the_layer_below)
{
    struct server server;

    server_open(&server);
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    CHECK_TEXT(layer_file(&server.world, server.layer_digest[1], "tmp"), "directory 1777 3:0");
    CHECK_TEXT(layer_file(&server.world, server.layer_digest[1], "etc"), "directory 0755 0:0");
    CHECK_TEXT(layer_file(&server.world, server.layer_digest[1], "late"), "directory 0700 4:0");
    server_close(&server);
}

TEST(a_second_pull_asks_once_and_fetches_nothing)
{
    struct server server;
    int n_before;

    server_open(&server);
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    n_before = server.seen->n_requests;
    CHECK_OK(pull(&server), &server.world.err);
    CHECK_INT(server.seen->n_requests, n_before + 1);
    CHECK_INT(server.seen->n_heads, 1);
    check_image(&server);
    server_close(&server);
}

TEST(one_anonymous_token_serves_all_requests)
{
    struct server server;

    server_open(&server);
    server.wants_token = true;
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    CHECK_INT(server.seen->n_tokens, 1);
    server_close(&server);
}

TEST(a_token_does_not_follow_a_redirect_to_another_host)
{
    struct server server;

    server_open(&server);
    server.wants_token = true;
    misbehave(&server, server.layer_digest[0], REDIRECT, -1);
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    CHECK_INT(server.seen->n_leaks, 0);
    server_close(&server);
}

TEST(busy_and_limiting_registries_are_asked_again)
{
    struct server server;

    server_open(&server);
    misbehave(&server, "manifests/1", BUSY, 1);
    misbehave(&server, server.layer_digest[0], LIMITED, 2);
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    server_close(&server);
}

TEST(a_download_that_breaks_off_goes_on_where_it_was)
{
    struct server server;
    int size;

    server_open(&server);
    size = (int)misbehave(&server, server.layer_digest[0], CUT, 1)->body.len;
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    CHECK_INT(server.seen->n_ranges, 1);
    CHECK_INT(server.seen->n_layer_bytes, size);
    server_close(&server);
}

TEST(a_failed_pull_leaves_what_it_got_for_the_next)
{
    struct server server;
    int size;

    server_open(&server);
    size = (int)object_of(&server, server.layer_digest[0])->body.len;
    misbehave(&server, server.layer_digest[0], CUT, -1);
    server_start(&server);
    CHECK(pull(&server) < 0);
    CHECK(count_entries(&server.world, "partial") > 0);
    check_nothing(&server);
    server_stop(&server);

    object_of(&server, server.layer_digest[0])->n_times = 0;
    server.seen->n_layer_bytes = 0;
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    CHECK(server.seen->n_layer_bytes < size / 2);
    server_close(&server);
}

TEST(rubbish_in_a_partial_download_is_noticed)
{
    struct server server;

    server_open(&server);
    CHECK(mkdirat(server.world.state_fd, "partial", 0700) == 0);
    CHECK_OK(fs_replace(server.world.state_fd,
                        arena_printf(&server.world.arena, "partial/%s",
                                     server.layer_digest[0] + sizeof("sha256:") - 1),
                        "rubbish", 7, 0600, FS_VOLATILE, &server.world.err),
             &server.world.err);
    server_start(&server);
    CHECK_OK(pull(&server), &server.world.err);
    check_image(&server);
    server_close(&server);
}

TEST(a_layer_with_other_content_is_refused)
{
    struct server server;

    server_open(&server);
    misbehave(&server, server.layer_digest[1], LIE, -1);
    server_start(&server);
    CHECK(pull(&server) < 0);
    CHECK_CONTAINS(server.world.err.text, "other content");
    check_nothing(&server);
    server_close(&server);
}

TEST(a_layer_that_is_longer_than_announced_is_refused)
{
    struct server server;

    server_open(&server);
    misbehave(&server, server.layer_digest[1], TOO_LONG, -1);
    server_start(&server);
    CHECK(pull(&server) < 0);
    CHECK_CONTAINS(server.world.err.text, "more than");
    check_nothing(&server);
    server_close(&server);
}

TEST(a_config_that_names_other_layers_is_refused)
{
    struct server server;
    struct buf *text;
    char *at;

    server_open(&server);
    /* The layer blobs are as announced, but the config (under a digest of its own) lies. */
    text = &object_of(&server, server.config_digest)->body;
    at = strstr(text->data, server.layer_digest[0]);
    CHECK(at != NULL);
    at[10] = at[10] == '0' ? '1' : '0';
    const char *lie = arena_strdup(&server.world.arena, text->data);
    char config[DIGEST_TEXT_SIZE], digest[DIGEST_TEXT_SIZE];
    add_blob(&server, lie, strlen(lie), config);
    char *manifest =
        arena_strdup(&server.world.arena, object_of(&server, "manifests/1")->body.data);
    memcpy(strstr(manifest, server.config_digest), config, DIGEST_TEXT_SIZE - 1);
    add_manifest(&server, "lie", MANIFEST_TYPE, manifest, digest);
    server_start(&server);
    CHECK(pull_name(&server, ":lie", NULL) < 0);
    CHECK_CONTAINS(server.world.err.text, "the image's config says");
    check_nothing(&server);
    server_close(&server);
}

TEST(missing_and_denied_images_are_told_apart)
{
    struct server server;

    server_open(&server);
    misbehave(&server, "manifests/1", DENY, -1);
    server_start(&server);
    CHECK(pull(&server) < 0);
    CHECK_INT(server.world.err.code, ERROR_DENIED);
    CHECK_CONTAINS(server.world.err.text, "not for you");
    CHECK(pull_name(&server, ":none", NULL) < 0);
    CHECK_INT(server.world.err.code, ERROR_NOT_FOUND);
    CHECK_CONTAINS(server.world.err.text, "manifest unknown");
    server_close(&server);
}

TEST(nobody_listening_is_said_soon)
{
    struct server server;

    server_open(&server);
    close(server.listener);
    server.listener = -1;
    CHECK(pull(&server) < 0);
    CHECK_INT(server.world.err.code, ERROR_REMOTE);
    CHECK_CONTAINS(server.world.err.text, "127.0.0.1");
    server_close(&server);
}

/* An index with our platform and another one. */
static void add_index(struct server *server)
{
    char digest[DIGEST_TEXT_SIZE];
    const char *index =
        arena_printf(&server->world.arena,
                     "{\"schemaVersion\":2,\"mediaType\":\"" INDEX_TYPE "\",\"manifests\":["
                     "{\"mediaType\":\"" MANIFEST_TYPE "\",\"digest\":\"sha256:%064d\",\"size\":1,"
                     "\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},"
                     "{\"mediaType\":\"" MANIFEST_TYPE "\",\"digest\":\"%s\",\"size\":%zu,"
                     "\"platform\":{\"os\":\"linux\",\"architecture\":\"%s\"}}]}",
                     0, server->manifest_digest, object_of(server, "manifests/1")->body.len,
                     image_config_architecture());

    add_manifest(server, "multi", INDEX_TYPE, index, digest);
}

TEST(an_index_leads_to_the_platform_asked_for)
{
    struct server server;

    server_open(&server);
    add_index(&server);
    server_start(&server);
    CHECK_OK(pull_name(&server, ":multi", NULL), &server.world.err);
    check_image(&server);
    CHECK(pull_name(&server, ":multi", "linux/riscv64") < 0);
    CHECK_CONTAINS(server.world.err.text, "linux/s390x");
    server_close(&server);
}

TEST(a_pull_by_digest_is_found_by_digest)
{
    struct server server;
    struct image_info info;
    const char *name;

    server_open(&server);
    server_start(&server);
    name = arena_printf(&server.world.arena, "@%s", server.manifest_digest);
    CHECK_OK(pull_name(&server, name, NULL), &server.world.err);
    check_image(&server);
    CHECK_OK(
        image_find(server.world.state_fd, &server.world.arena,
                   arena_printf(&server.world.arena, "127.0.0.1:%u/team/app%s", server.port, name),
                   &info, &server.world.err),
        &server.world.err);
    CHECK_TEXT(info.id, server.config_digest);
    server_close(&server);
}
