/* The grammar of image references (distribution/reference) and Docker's normalisation of them. */

#include "engine/image/image.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/error.h"

enum { REFERENCE_MAX = 1024, NAME_MAX_LENGTH = 255, TAG_MAX_LENGTH = 128, IMAGE_ID_DIGITS = 64 };

static const char default_domain[] = "docker.io";
static const char legacy_default_domain[] = "index.docker.io";
static const char official_prefix[] = "library/";
static const char default_tag[] = "latest";

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || is_upper(c);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_image_id(struct str s)
{
    size_t i = 0;

    while (i < s.len && is_hex(s.data[i]))
        i++;
    return i == s.len && s.len == IMAGE_ID_DIGITS;
}

static bool has_upper(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_upper(s.data[i]))
            return true;
    return false;
}

static bool has_char(struct str s, char c)
{
    return s.len && memchr(s.data, c, s.len);
}

/* component := [a-z0-9]+ ( ("." | "_" | "__" | "-"+) [a-z0-9]+ )* */
static bool component_is_valid(struct str s)
{
    size_t i = 0;

    for (;;) {
        size_t word = i, separator;

        while (i < s.len && is_lower_alnum(s.data[i]))
            i++;
        if (i == word)
            return false;
        if (i == s.len)
            return true;

        separator = i;
        while (i < s.len && s.data[i] == s.data[separator] && s.data[i] != '.')
            i++;
        if (s.data[separator] == '.')
            i++;
        else if (s.data[separator] == '_' && i - separator > 2)
            return false;
        else if (s.data[separator] != '_' && s.data[separator] != '-')
            return false;
    }
}

static bool path_is_valid(struct str path)
{
    struct str head, tail = path;

    while (str_cut(tail, '/', &head, &tail))
        if (!component_is_valid(head))
            return false;
    return component_is_valid(head);
}

static bool dns_label_is_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.data[i]) && s.data[i] != '-')
            return false;
    return s.len && s.data[0] != '-' && s.data[s.len - 1] != '-';
}

static bool port_is_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.len > 0;
}

static bool ipv6_is_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_hex(s.data[i]) && !(s.data[i] >= 'A' && s.data[i] <= 'F') && s.data[i] != ':')
            return false;
    return s.len > 0;
}

/* domain := host [":" [0-9]+] */
static bool domain_is_valid(struct str domain)
{
    struct str host = domain, port, head, tail;

    if (domain.len && domain.data[0] == '[') {
        struct str inside, rest;

        if (!str_cut((struct str){domain.data + 1, domain.len - 1}, ']', &inside, &rest))
            return false;
        if (rest.len &&
            (rest.data[0] != ':' || !port_is_valid((struct str){rest.data + 1, rest.len - 1})))
            return false;
        return ipv6_is_valid(inside);
    }
    if (str_cut(domain, ':', &host, &port) && !port_is_valid(port))
        return false;
    tail = host;
    while (str_cut(tail, '.', &head, &tail))
        if (!dns_label_is_valid(head))
            return false;
    return dns_label_is_valid(head);
}

static bool tag_is_valid(struct str tag)
{
    for (size_t i = 0; i < tag.len; i++) {
        char c = tag.data[i];

        if (!is_alnum(c) && c != '_' && (i == 0 || (c != '.' && c != '-')))
            return false;
    }
    return tag.len > 0 && tag.len <= TAG_MAX_LENGTH;
}

static int refuse(struct str text, const char *reason, struct error *err)
{
    return error_set(err, ERROR_INVALID, "invalid image reference \"" STR_FMT "\": %s",
                     STR_ARG(text), reason);
}

/* The part before the first '/' is a domain iff it could not be a path component, or is localhost.
 */
static bool looks_like_domain(struct str head)
{
    return str_is(head, "localhost") || has_char(head, '.') || has_char(head, ':') ||
           has_upper(head);
}

static int parse_digest(struct arena *arena, struct str text, struct str digest, const char **ret,
                        struct error *err)
{
    const char *copy = arena_strndup(arena, digest.data, digest.len);

    if (!digest_is_valid(copy)) {
        if (digest.len && !str_starts_with(digest, "sha256:") && has_char(digest, ':'))
            return error_set(err, ERROR_UNSUPPORTED,
                             "image reference \"" STR_FMT "\": only sha256 digests are supported",
                             STR_ARG(text));
        return refuse(text, "a digest is \"sha256:\" and 64 lower-case hex digits", err);
    }
    *ret = copy;
    return 0;
}

static int parse_name(struct arena *arena, struct str text, struct str name,
                      struct image_reference *ret, struct error *err)
{
    struct str head, path = name, domain = str_from(default_domain);

    if (str_cut(name, '/', &head, &path) && looks_like_domain(head))
        domain = head;
    else
        path = name;
    if (!path.len)
        return refuse(text, "the repository name is empty", err);
    if (has_upper(path))
        return refuse(text, "the repository name must be lower case", err);
    if (!domain_is_valid(domain))
        return refuse(text, "the part before the first \"/\" is no host name", err);
    if (!path_is_valid(path))
        return refuse(text,
                      "a repository name is made of a-z, 0-9, single separators (\".\", \"_\", "
                      "\"__\", \"-\") and \"/\"",
                      err);

    if (str_is(domain, legacy_default_domain))
        domain = str_from(default_domain);
    ret->domain = arena_strndup(arena, domain.data, domain.len);
    ret->path =
        arena_printf(arena, "%s" STR_FMT,
                     str_is(domain, default_domain) && !has_char(path, '/') ? official_prefix : "",
                     STR_ARG(path));
    if (strlen(ret->domain) + 1 + strlen(ret->path) > NAME_MAX_LENGTH)
        return refuse(text, "the name is longer than 255 characters", err);
    return 0;
}

int image_reference_parse(struct arena *arena, const char *input, struct image_reference *ret,
                          struct error *err)
{
    struct str text = str_from(input), name = text, digest, tag, head;
    struct image_reference reference = {0};

    if (!text.len)
        return error_set(err, ERROR_INVALID, "the image reference is empty");
    if (text.len > REFERENCE_MAX)
        return error_set(err, ERROR_INVALID, "the image reference is longer than %d characters",
                         REFERENCE_MAX);
    if (is_image_id(text))
        return refuse(text, "64 hex digits are an image id, not a name", err);

    if (str_cut(text, '@', &name, &digest) &&
        parse_digest(arena, text, digest, &reference.digest, err) < 0)
        return -1;
    if (str_cut_last(name, ':', &head, &tag) && !has_char(tag, '/')) {
        if (!tag_is_valid(tag))
            return refuse(text, "the tag is not valid", err);
        reference.tag = arena_strndup(arena, tag.data, tag.len);
        name = head;
    }
    if (parse_name(arena, text, name, &reference, err) < 0)
        return -1;
    if (!reference.tag && !reference.digest)
        reference.tag = default_tag;

    *ret = reference;
    return 0;
}

static const char *with_suffix(struct arena *arena, const char *name,
                               const struct image_reference *reference)
{
    if (reference->digest)
        return arena_printf(arena, "%s@%s", name, reference->digest);
    return arena_printf(arena, "%s:%s", name, reference->tag);
}

const char *image_reference_text(struct arena *arena, const struct image_reference *reference)
{
    return with_suffix(arena, arena_printf(arena, "%s/%s", reference->domain, reference->path),
                       reference);
}

const char *image_reference_repository(struct arena *arena, const struct image_reference *reference)
{
    const char *path = reference->path;
    size_t prefix = sizeof(official_prefix) - 1;

    if (!text_equal(reference->domain, default_domain))
        return arena_printf(arena, "%s/%s", reference->domain, path);
    if (text_starts_with(path, official_prefix) && !strchr(path + prefix, '/'))
        path += prefix;
    /* "docker.io/library.x/y" must not come back as the domain library.x */
    if (strchr(path, '/')) {
        struct str head, tail;

        (void)str_cut(str_from(path), '/', &head, &tail);
        if (looks_like_domain(head))
            return arena_printf(arena, "%s/%s", reference->domain, path);
    }
    return arena_strdup(arena, path);
}

const char *image_reference_familiar(struct arena *arena, const struct image_reference *reference)
{
    return with_suffix(arena, image_reference_repository(arena, reference), reference);
}
