/* COPY, ADD and WORKDIR. */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/base/buf.h"
#include "engine/base/cleanup.h"
#include "engine/base/error.h"
#include "engine/base/fs.h"
#include "engine/base/json.h"
#include "engine/base/path.h"
#include "engine/build/copy.h"
#include "engine/build/expand.h"
#include "engine/build/root.h"
#include "engine/build/stage.h"
#include "engine/build/stats.h"
#include "engine/container/container.h"
#include "engine/engine.h"
#include "engine/image/job.h"

/* A COPY or ADD with everything expanded. */
struct copy_job {
    struct stage *stage;
    const struct build_step *step;
    struct strings sources;
    const char *dest;  /* absolute, clean */
    unsigned flags;    /* copy_flags */
    const char *owner; /* of --chown; NULL: none */
    mode_t mode;
    struct source_tree tree;
    int tree_fd;                       /* owned: a stage's or an image's root; -1: the context */
    const struct strings *tree_layers; /* of that root */
    char digest[SHA256_HEX_SIZE];
};

static struct arena *arena_of(const struct copy_job *job)
{
    return &job->stage->builder->arena;
}

/* ------------------------------------------------------------------ arguments */

static bool is_heredoc(const struct instruction *instruction, const char *word)
{
    return instruction->n_heredocs > 0 && text_starts_with(word, "<<");
}

static int parse_mode(const char *text, mode_t *ret, struct error *err)
{
    mode_t mode = 0;
    size_t n = strspn(text, "01234567");

    if (n == 0 || n > 5 || text[n] != '\0')
        return error_set(err, ERROR_UNSUPPORTED, "--chmod=%.60s: only octal modes are supported",
                         text);
    for (const char *digit = text; *digit != '\0'; digit++)
        mode = mode * 8 + (mode_t)(*digit - '0');
    if (mode > 07777)
        return error_set(err, ERROR_INVALID, "--chmod=%.60s: larger than 7777", text);
    *ret = mode;
    return 0;
}

static int read_flags(struct copy_job *job, struct error *err)
{
    const struct instruction *instruction = job->step->instruction;
    const char *owner = instruction_flag(instruction, "chown");
    const char *mode = instruction_flag(instruction, "chmod");

    if (owner != NULL) {
        if (stage_expand(job->stage, owner, &job->owner, err) < 0)
            return -1;
        job->flags |= COPY_SET_OWNER;
    }
    if (mode != NULL) {
        if (stage_expand(job->stage, mode, &mode, err) < 0 || parse_mode(mode, &job->mode, err) < 0)
            return -1;
        job->flags |= COPY_SET_MODE;
    }
    return 0;
}

static void set_dest(struct copy_job *job, const char *dest)
{
    bool is_dir = dest[0] == '\0' || text_ends_with(dest, "/") || text_equal(dest, ".") ||
                  text_ends_with(dest, "/.");

    job->dest = path_join(arena_of(job), stage_working_dir(job->stage), dest);
    if (is_dir || text_equal(job->dest, "/"))
        job->flags |= COPY_INTO_DIRECTORY;
}

static int check_source(const struct instruction *instruction, const char *source,
                        struct error *err)
{
    static const char *const schemes[] = {"http://", "https://", "git://", "ssh://", "git@"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (text_starts_with(source, schemes[i]))
            return error_set(err, ERROR_UNSUPPORTED,
                             "%s of a URL is not supported: download \"%.200s\" in a RUN",
                             instruction_names[instruction->kind], source);
    if (source[0] == '\0')
        return error_set(err, ERROR_INVALID, "a source expands to nothing");
    return 0;
}

static int read_arguments(struct copy_job *job, struct error *err)
{
    const struct instruction *instruction = job->step->instruction;
    size_t n = instruction->words.n - 1;
    const char *dest;

    if (stage_expand(job->stage, instruction->words.items[n], &dest, err) < 0 ||
        read_flags(job, err) < 0)
        return -1;
    set_dest(job, dest);
    job->sources = (struct strings){arena_new_array(arena_of(job), const char *, n), 0};
    for (size_t i = 0; i < n; i++) {
        const char *source;
        if (is_heredoc(instruction, instruction->words.items[i]))
            continue;
        if (stage_expand(job->stage, instruction->words.items[i], &source, err) < 0 ||
            check_source(instruction, source, err) < 0)
            return -1;
        job->sources.items[job->sources.n++] = source;
    }
    if (job->sources.n + instruction->n_heredocs > 1 && instruction->n_heredocs > 0 &&
        !(job->flags & COPY_INTO_DIRECTORY))
        return error_set(err, ERROR_INVALID,
                         "several sources need a directory as destination: write \"%s/\"",
                         job->dest);
    return 0;
}

/* ------------------------------------------------------------------ where from */

static int open_context(struct builder *builder, struct error *err)
{
    if (builder->context.root_fd >= 0)
        return 0;
    int fd = open(builder->request->context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "open the build context \"%s\"", builder->request->context);
    builder->context.root_fd = fd;
    builder->context.stats = file_stats_open(builder->state_fd, builder->request->context);
    return 0;
}

static int find_image_layers(struct copy_job *job, const char *image, struct strings *ret,
                             struct error *err)
{
    struct builder *builder = job->stage->builder;
    struct image_info info;

    if (builder_need_image(builder, image, &info, err) < 0)
        return -1;
    *ret = info.layers;
    return 0;
}

static int open_tree_of(struct copy_job *job, struct error *err)
{
    struct builder *builder = job->stage->builder;
    const struct build_origin *from = &job->step->from;
    struct strings *layers = arena_new(&builder->arena, struct strings);

    switch (from->kind) {
    case ORIGIN_SCRATCH:
        if (open_context(builder, err) < 0)
            return -1;
        job->tree = builder->context;
        return 0;
    case ORIGIN_STAGE:
        *layers = stage_layers(&builder->stages[from->stage]);
        break;
    case ORIGIN_IMAGE:
        if (find_image_layers(job, from->image, layers, err) < 0)
            return -1;
        break;
    }
    job->tree_layers = layers;
    return 0;
}

/* Roots of stages are mounted only if their files are looked at. */
static int mount_tree(struct copy_job *job, struct error *err)
{
    if (job->tree_layers == NULL || job->tree_fd >= 0)
        return 0;
    if (stage_root_open(job->stage->builder->state_fd, job->tree_layers, -1, -1, &job->tree_fd,
                        err) < 0)
        return -1;
    job->tree = (struct source_tree){.root_fd = job->tree_fd};
    return 0;
}

/* ------------------------------------------------------------------ digests */

static int select_files(struct copy_job *job, struct selection *ret, struct error *err)
{
    if (job->sources.n == 0) {
        *ret = (struct selection){0};
        return 0;
    }
    if (mount_tree(job, err) < 0)
        return -1;
    return selection_make(arena_of(job), &job->tree, &job->sources, ret, err);
}

static unsigned digest_flags_of(const struct copy_job *job)
{
    return (job->flags & COPY_SET_OWNER ? (unsigned)DIGEST_WITHOUT_OWNER : 0U) |
           (job->flags & COPY_SET_MODE ? (unsigned)DIGEST_WITHOUT_MODE : 0U);
}

static int digest_files(struct copy_job *job, char ret_hex[static SHA256_HEX_SIZE],
                        struct error *err)
{
    struct selection selection;

    if (select_files(job, &selection, err) < 0)
        return -1;
    selection_digest(&selection, digest_flags_of(job), ret_hex);
    return 0;
}

/* Layers never change, so neither does what is selected from them. */
static int digest_layers(struct copy_job *job, struct error *err)
{
    cleanup_cache_key struct cache_key key = CACHE_KEY_INIT;
    int state_fd = job->stage->builder->state_fd;
    char hex[SHA256_HEX_SIZE], flags[16];

    (void)snprintf(flags, sizeof(flags), "%u", digest_flags_of(job)); /* fits */
    cache_key_begin(&key, "content 1");
    cache_key_add_list(&key, "layers", job->tree_layers);
    cache_key_add_list(&key, "sources", &job->sources);
    cache_key_add(&key, "flags", flags);
    cache_key_end(&key, hex);
    if (cache_find_content(state_fd, hex, job->digest) == 0)
        return 0;
    if (digest_files(job, job->digest, err) < 0)
        return -1;
    return cache_store_content(state_fd, hex, job->digest, err);
}

static int expand_heredoc(struct copy_job *job, const struct heredoc *heredoc, const char **ret,
                          struct error *err)
{
    struct expand_scope scope = {job->stage->variables.items, job->stage->variables.n, '\\'};

    *ret = heredoc->body;
    if (heredoc->is_raw)
        return 0;
    return expand_text(arena_of(job), &scope, heredoc->body, ret, err);
}

static int make_key(struct copy_job *job, char ret_hex[static SHA256_HEX_SIZE], struct error *err)
{
    cleanup_cache_key struct cache_key key = CACHE_KEY_INIT;
    const struct instruction *instruction = job->step->instruction;
    char mode[16];

    if ((job->tree_layers != NULL ? digest_layers(job, err) : digest_files(job, job->digest, err)) <
        0)
        return -1;
    (void)snprintf(mode, sizeof(mode), "%o %u", (unsigned)job->mode, job->flags); /* fits */
    stage_key_begin(job->stage, instruction_names[instruction->kind], &key);
    cache_key_add(&key, "content", job->digest);
    cache_key_add(&key, "dest", job->dest);
    cache_key_add(&key, "owner", job->owner);
    cache_key_add(&key, "mode", mode);
    for (size_t i = 0; i < instruction->n_heredocs; i++) {
        const char *text;
        if (expand_heredoc(job, &instruction->heredocs[i], &text, err) < 0)
            return -1;
        cache_key_add(&key, instruction->heredocs[i].name, text);
    }
    cache_key_end(&key, ret_hex);
    return 0;
}

/* ------------------------------------------------------------------ archives */

struct magic {
    size_t offset, len;
    const char *bytes;
};

static const struct magic archive_magics[] = {
    {0, 2, "\x1f\x8b"},
    {0, 3, "BZh"},
    {0, 6,
     "\xfd"
     "7zXZ\0"},
    {0, 4, "\x28\xb5\x2f\xfd"},
    {257, 5, "ustar"},
};

/* May the file be an archive? The worker looks closer. */
static bool looks_like_archive(int fd)
{
    char head[512];
    ssize_t n = pread(fd, head, sizeof(head), 0);

    for (size_t i = 0; i < sizeof(archive_magics) / sizeof(archive_magics[0]); i++) {
        const struct magic *magic = &archive_magics[i];
        if (n >= (ssize_t)(magic->offset + magic->len) &&
            memcmp(head + magic->offset, magic->bytes, magic->len) == 0)
            return true;
    }
    return false;
}

/* What was made for an archive that is none. */
static void remove_dir(struct copy_job *job, int root_fd, const char *path)
{
    cleanup_fd int parent_fd = -1;

    if (fs_open_in_root(root_fd, path_dir(arena_of(job), path), O_PATH | O_DIRECTORY, 0, &parent_fd,
                        NULL) == 0)
        (void)unlinkat(parent_fd, path_base(path), AT_REMOVEDIR); /* the copy complains if not */
}

/* 1: it is none after all. */
static int extract(struct copy_job *job, const struct copy_request *request, int archive_fd,
                   struct error *err)
{
    struct error why = ERROR_INIT;
    struct job *worker = NULL;
    cleanup_fd int path_fd = -1;
    const char *owner = NULL;

    if (request->flags & COPY_SET_OWNER)
        owner = arena_printf(arena_of(job), "%u:%u", request->uid, request->gid);
    bool is_new = false;
    if (copy_make_dirs(arena_of(job), request->root_fd, request->dest, 0, 0, 0755, &path_fd,
                       &is_new, err) < 0)
        return -1;
    cleanup_fd int dir_fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return error_sys(err, errno, "open \"%s\"", request->dest);
    int r = image_extract_start(job->stage->builder->state_fd, archive_fd, dir_fd, owner, &worker,
                                &why);
    if (r == 0)
        r = job_wait(worker, NULL, NULL, &why);
    job_close(worker);
    if (r < 0 && why.code == ERROR_UNSUPPORTED) {
        if (is_new)
            remove_dir(job, request->root_fd, request->dest);
        return 1;
    }
    return r < 0 ? error_set(err, why.code, "%s", why.text) : 0;
}

/* 1: no archive, copy it. */
static int add_archive(struct copy_job *job, const struct copy_request *request,
                       const struct selected_source *source, struct error *err)
{
    cleanup_fd int fd = -1;

    if (source->is_dir || !S_ISREG(source->files[0].mode))
        return 1;
    if (fs_open_in_root(request->tree->root_fd, source->files[0].path, O_RDONLY | O_NOFOLLOW, 0,
                        &fd, err) < 0)
        return -1;
    if (!looks_like_archive(fd))
        return 1;
    int r = extract(job, request, fd, err);
    return r < 0 ? error_wrap(err, "unpack \"%s\"", source->base_name) : r;
}

/* Sources one by one: archives are unpacked, the others copied. */
static int add_sources(struct copy_job *job, const struct copy_request *request, struct error *err)
{
    for (size_t i = 0; i < request->selection->n_sources; i++) {
        struct selection one = {&request->selection->sources[i], 1};
        struct copy_request copy = *request;
        copy.selection = &one;
        int r = add_archive(job, request, &one.sources[0], err);
        if (r == 1)
            r = copy_selection(arena_of(job), &copy, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ------------------------------------------------------------------ the work */

static int resolve_owner(struct copy_job *job, int root_fd, struct copy_request *request,
                         struct error *err)
{
    struct user_resolved user;

    if (job->owner == NULL)
        return 0;
    if (user_resolve(arena_of(job), root_fd, job->owner, &user, err) < 0)
        return error_wrap(err, "--chown=%s", job->owner);
    request->uid = user.uid;
    request->gid = user.gid;
    /* A bare number is both, as Docker has it. */
    if (strchr(job->owner, ':') == NULL && strspn(job->owner, "0123456789") == strlen(job->owner))
        request->gid = user.uid;
    return 0;
}

static int copy_heredocs(struct copy_job *job, const struct copy_request *request,
                         struct error *err)
{
    const struct instruction *instruction = job->step->instruction;

    for (size_t i = 0; i < instruction->n_heredocs; i++) {
        const char *text;
        if (expand_heredoc(job, &instruction->heredocs[i], &text, err) < 0 ||
            copy_text(arena_of(job), request, instruction->heredocs[i].name, text, err) < 0)
            return -1;
    }
    return 0;
}

static int copy_work(struct stage *stage, const struct layer_work *work, void *context,
                     struct error *err)
{
    struct copy_job *job = context;
    struct selection selection;
    char digest[SHA256_HEX_SIZE];
    struct copy_request request = {.tree = &job->tree,
                                   .selection = &selection,
                                   .root_fd = work->root_fd,
                                   .dest = job->dest,
                                   .flags = job->flags,
                                   .mode = job->mode};

    (void)stage;
    if (select_files(job, &selection, err) < 0 ||
        resolve_owner(job, work->root_fd, &request, err) < 0)
        return -1;
    bool is_add = job->step->instruction->kind == INSTRUCTION_ADD;
    if ((is_add ? add_sources(job, &request, err) : copy_selection(arena_of(job), &request, err)) <
            0 ||
        copy_heredocs(job, &request, err) < 0)
        return -1;
    if (job->tree_layers != NULL)
        return 0;
    /* What was copied must be what the key says. */
    if (digest_files(job, digest, err) < 0)
        return -1;
    if (!text_equal(digest, job->digest))
        return error_set(err, ERROR_CONFLICT,
                         "files in the build context changed while they were copied: build again");
    return 0;
}

int stage_copy(struct stage *stage, const struct build_step *step, struct error *err)
{
    struct copy_job job = {.stage = stage, .step = step, .tree_fd = -1};
    char key[SHA256_HEX_SIZE];
    const struct instruction *instruction = step->instruction;
    struct layer_step layer_step = {
        .key = key, .needs_root = true, .work = copy_work, .context = &job};

    int r = read_arguments(&job, err);
    if (r == 0)
        r = open_tree_of(&job, err);
    if (r == 0)
        r = make_key(&job, key, err);
    if (r == 0) {
        layer_step.created_by =
            arena_printf(arena_of(&job), "%s %s # berth", instruction_names[instruction->kind],
                         instruction->text);
        r = stage_layer_step(stage, &layer_step, err);
    }
    cleanup_close_fd(&job.tree_fd);
    return r;
}

/* ------------------------------------------------------------------ WORKDIR */

static int workdir_work(struct stage *stage, const struct layer_work *work, void *context,
                        struct error *err)
{
    struct arena *arena = &stage->builder->arena;
    const char *path = context;
    struct user_resolved user;

    if (user_resolve(arena, work->root_fd, stage_config_text(stage, "User"), &user, err) < 0)
        return -1;
    return copy_make_dirs(arena, work->root_fd, path, user.uid, user.gid, 0755, NULL, NULL, err);
}

int stage_workdir(struct stage *stage, const struct build_step *step, struct error *err)
{
    cleanup_cache_key struct cache_key key = CACHE_KEY_INIT;
    struct arena *arena = &stage->builder->arena;
    char hex[SHA256_HEX_SIZE];
    const char *word;

    if (stage_expand(stage, step->instruction->text, &word, err) < 0)
        return -1;
    struct strings words = {&word, 1};
    if (image_config_apply(stage->image, "WORKDIR", &words, CONFIG_SHELL_FORM, err) < 0)
        return -1;
    char *path = arena_strdup(arena, stage_working_dir(stage));
    const char *created_by = arena_printf(arena, "WORKDIR %s", path);
    if (text_equal(path, "/")) {
        stage_add_history(stage, created_by, stage->created, true);
        return 0;
    }
    stage_key_begin(stage, "WORKDIR", &key);
    cache_key_add(&key, "path", path);
    cache_key_add(&key, "user", stage_config_text(stage, "User"));
    cache_key_end(&key, hex);
    struct layer_step layer_step = {.created_by = created_by,
                                    .key = hex,
                                    .needs_root = true,
                                    .work = workdir_work,
                                    .context = path};
    return stage_layer_step(stage, &layer_step, err);
}
