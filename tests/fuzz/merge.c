/* Documents merged, from hostile bytes: up to three, with a line "#---" between them. The laws of
 * tests/compose_laws.h hold for what is sound. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compose/file/node.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "tests/compose_laws.h"

enum { DOCUMENTS_MAX = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(const char *broken)
{
    if (!broken)
        return;
    fprintf(stderr, "%s\n", broken);
    abort();
}

/* Cut off and returned: what stands before the next line that is "#---". */
static struct str next_document(struct str *text)
{
    static const char separator[] = "\n#---\n";
    const char *found =
        text->len > 0 ? memmem(text->data, text->len, separator, strlen(separator)) : NULL;
    struct str document = *text;

    if (!found) {
        text->len = 0;
        return document;
    }
    document.len = (size_t)(found - text->data) + 1;
    text->data = found + strlen(separator);
    text->len -= document.len + strlen(separator) - 1;
    return document;
}

/* A mapping here, and something else there: what is between decides what comes of the three. */
static bool is_regular(const struct node *node)
{
    if (node->has_tags)
        return false;
    for (size_t i = 0; i < node->n; i++) {
        const char *key = node->entries[i].key;

        if ((key && (strcmp(key, "ulimits") == 0 || strcmp(key, "ipam") == 0 ||
                     strcmp(key, "logging") == 0)) || /* whose driver may be missing */
            !is_regular(node->entries[i].value))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena arena = ARENA_INIT;
    cleanup_trees struct trees trees;
    struct str rest = {(const char *)data, size};
    const struct node *read[DOCUMENTS_MAX] = {NULL};
    size_t n = 0;

    trees_init(&trees, &arena);
    for (size_t i = 0; i < DOCUMENTS_MAX && rest.len > 0; i++) {
        read[n] = trees_read(&trees, next_document(&rest));
        if (!read[n])
            return 0;
        demand(law_long_form_stays(&trees, read[n]));
        demand(law_nothing_changes_nothing(&trees, read[n]));
        n++;
    }
    if (n == DOCUMENTS_MAX && is_regular(read[0]) && is_regular(read[1]) && is_regular(read[2]))
        demand(law_merge_is_associative(&trees, read[0], read[1], read[2]));
    for (size_t i = 1; i < n; i++)
        demand(law_merged_is_long(&trees, read[0], read[i]));
    return 0;
}
