/* libyaml events → nodes with positions.
 *
 * Open collections are frames on a stack; their entries lie one behind the other on a second stack
 * and are copied into the arena when the collection ends. An alias shares the anchor's node: its
 * weight and depth are added to the document's, so that an alias bomb is refused when it is
 * written, not when it is walked. */

#include "compose/file/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "compose/file/node.h"
#include "compose/file/report.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

struct frame {
    enum node_kind kind;
    enum node_tag tag;
    struct span span;
    size_t first; /* of its entries on the stack */
    const char *anchor;
    const char *key; /* map: read, waiting for its value */
    struct span key_span;
    bool is_merge; /* the waiting key is << */
    bool has_merge;
};

struct anchor {
    const char *name;
    const struct node *node; /* NULL: still open */
    struct span span;
};

/* A character of the text, and where it stands. */
struct place {
    size_t index;  /* in characters, as libyaml's marks */
    size_t offset; /* in bytes */
    uint32_t line;
    uint32_t column;
};

struct reader {
    struct report *report;
    struct arena *arena;
    uint32_t file;
    yaml_parser_t parser;
    VEC(struct frame) frames;
    VEC(struct node_entry) entries;
    VEC(struct anchor) anchors; /* of this document, sorted by name */
    const struct node *root;
    size_t n_nodes;
    struct str text;
    struct place place; /* of the last mark */
    bool has_odd_ends;  /* libyaml takes something for a line's end that is none for an editor */
    bool is_fatal;
};

/* Entries that are merges are told from a quoted "<<" by this address. */
static const char merge_key[] = "<<";

/* The length of the character at `data`, 0 if it is no UTF-8 or YAML does not take it. */
static size_t character_length(const unsigned char *data, size_t len)
{
    size_t n;
    uint32_t value;

    if (data[0] < 0x80)
        return data[0] >= 0x20 ? data[0] != 0x7f
                               : data[0] == '\t' || data[0] == '\n' || data[0] == '\r';
    value = str_first_character((struct str){(const char *)data, len}, &n);
    if (n == 1 || (value < 0xa0 && value != 0x85) || value == 0xfeff || value == 0xfffe ||
        value == 0xffff)
        return 0;
    return n;
}

/* libyaml ends lines at a lone carriage return, U+0085, U+2028 and U+2029 as well (YAML 1.1). We
 * count as editors do: its marks come in order, so that going on from the last one finds the place.
 */
static struct span count_lines(struct reader *reader, size_t index)
{
    struct place place = reader->place;

    if (place.line == 0 || index < place.index)
        place = (struct place){.line = 1, .column = 1};
    while (place.index < index && place.offset < reader->text.len) {
        const char *at = reader->text.data + place.offset;

        place.offset +=
            character_length((const unsigned char *)at, reader->text.len - place.offset);
        place.index++;
        place.column++;
        if (*at == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    reader->place = place;
    return (struct span){.file = reader->file, .line = place.line, .column = place.column};
}

static struct span span_at(struct reader *reader, yaml_mark_t mark)
{
    if (reader->has_odd_ends)
        return count_lines(reader, mark.index);
    return (struct span){
        .file = reader->file, .line = (uint32_t)mark.line + 1, .column = (uint32_t)mark.column + 1};
}

/* Text that YAML takes for a mapping, for its brace: [A=${B}], {{ name }}. NULL when it is none. */
static const char *hint_at_brace(struct reader *reader, yaml_mark_t mark)
{
    size_t at;

    (void)count_lines(reader, mark.index);
    at = reader->place.offset;
    if (at == 0 || at >= reader->text.len || reader->text.data[at] != '{' ||
        !strchr("${", reader->text.data[at - 1]))
        return NULL;
    return reader->text.data[at - 1] == '$' ? "quote it: between brackets, a brace ends the text"
                                            : "quote text that begins with {{";
}

#define fatal(reader, ...) ((reader)->is_fatal = true, (void)report_error(__VA_ARGS__))

/* ---- anchors -------------------------------------------------------------------------------- */

/* The first anchor not before `name`. */
static size_t anchor_position(const struct reader *reader, const char *name)
{
    size_t low = 0;
    size_t high = reader->anchors.n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(reader->anchors.items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct anchor *find_anchor(struct reader *reader, const char *name)
{
    size_t at = anchor_position(reader, name);

    if (at == reader->anchors.n || strcmp(reader->anchors.items[at].name, name) != 0)
        return NULL;
    return &reader->anchors.items[at];
}

/* Open (node NULL) or close an anchor; a later one of the same name replaces the earlier. */
static void set_anchor(struct reader *reader, const char *name, const struct node *node,
                       struct span span)
{
    size_t at = anchor_position(reader, name);
    struct anchor anchor = {.name = name, .node = node, .span = span};

    if (at < reader->anchors.n && strcmp(reader->anchors.items[at].name, name) == 0) {
        reader->anchors.items[at] = anchor;
        return;
    }
    if (reader->anchors.n == YAML_ANCHORS_MAX) {
        fatal(reader, reader->report, span, NULL, "more than %d anchors", YAML_ANCHORS_MAX);
        return;
    }
    vec_push(&reader->anchors, anchor);
    memmove(&reader->anchors.items[at + 1], &reader->anchors.items[at],
            (reader->anchors.n - 1 - at) * sizeof(anchor));
    reader->anchors.items[at] = anchor;
}

/* ---- values --------------------------------------------------------------------------------- */

static void count_nodes(struct reader *reader, size_t n, struct span span)
{
    reader->n_nodes += n;
    if (reader->n_nodes > NODES_MAX && !reader->is_fatal)
        fatal(reader, reader->report, span,
              "aliases count as often as they are used, with all that is below them; "
              "long texts count as several values",
              "file is too large: more than %d values", NODES_MAX);
}

/* A finished value goes to the waiting key, into the list, or is the document. */
static void put_value(struct reader *reader, const struct node *node)
{
    struct frame *frame;

    if (reader->frames.n == 0) {
        reader->root = node;
        return;
    }
    frame = vec_last(&reader->frames);
    if (frame->kind == NODE_LIST && node->tag != NODE_UNTAGGED && node_is_null(node)) {
        report_error(reader->report, node->span, "write the item's value behind it",
                     "the tag of a list's item without a value names nothing");
        return;
    }
    if (reader->frames.n + node->depth > NODE_DEPTH_MAX) {
        fatal(reader, reader->report, node->span, NULL, "nested more than %d levels deep",
              NODE_DEPTH_MAX);
        return;
    }
    vec_push(&reader->entries,
             (struct node_entry){
                 .key = frame->kind == NODE_MAP ? (frame->is_merge ? merge_key : frame->key) : NULL,
                 .span = frame->kind == NODE_MAP ? frame->key_span : node->span,
                 .value = node,
             });
    frame->key = NULL;
}

static bool wants_key(const struct reader *reader)
{
    return reader->frames.n > 0 && vec_last(&reader->frames)->kind == NODE_MAP &&
           !vec_last(&reader->frames)->key;
}

static const char *copy_bytes(struct reader *reader, const yaml_char_t *text, size_t len)
{
    return arena_strndup(reader->arena, (const char *)text, len);
}

static void read_key(struct reader *reader, const yaml_event_t *event, enum node_type type)
{
    struct frame *frame = vec_last(&reader->frames);
    struct span span = span_at(reader, event->start_mark);
    const char *text = copy_bytes(reader, event->data.scalar.value, event->data.scalar.length);

    if (strlen(text) != event->data.scalar.length)
        report_error(reader->report, span, NULL, "a key must not contain a NUL");
    if (type != NODE_TEXT)
        report_error(reader->report, span, arena_printf(reader->arena, "write \"%s\"", text),
                     "keys must be strings: %s", *text ? text : "the key is empty");
    frame->key = text;
    frame->key_span = span;
    frame->is_merge = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !strcmp(text, "<<");
    frame->has_merge |= frame->is_merge;
}

/* ---- tags ----------------------------------------------------------------------------------- */

static const struct {
    const char *tag;
    enum node_type type;
} scalar_tags[] = {
    {"tag:yaml.org,2002:str", NODE_TEXT},    {"tag:yaml.org,2002:int", NODE_INT},
    {"tag:yaml.org,2002:float", NODE_FLOAT}, {"tag:yaml.org,2002:bool", NODE_BOOL},
    {"tag:yaml.org,2002:null", NODE_NULL},   {"!", NODE_TEXT},
};

static enum node_tag read_tag(struct reader *reader, const char *tag, struct span span)
{
    if (!tag || text_equal(tag, "tag:yaml.org,2002:map") ||
        text_equal(tag, "tag:yaml.org,2002:seq"))
        return NODE_UNTAGGED;
    if (text_equal(tag, "!reset"))
        return NODE_RESET;
    if (text_equal(tag, "!override"))
        return NODE_OVERRIDE;
    report_error(reader->report, span, NULL, "unknown tag \"%s\"", tag);
    return NODE_UNTAGGED;
}

static enum node_type scalar_type(struct reader *reader, const yaml_event_t *event)
{
    const char *tag = (const char *)event->data.scalar.tag;
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    enum node_type type = is_plain ? node_type_of(text) : NODE_TEXT;

    if (!tag)
        return type;
    for (size_t i = 0; i < sizeof(scalar_tags) / sizeof(scalar_tags[0]); i++) {
        if (strcmp(tag, scalar_tags[i].tag) != 0)
            continue;
        if (scalar_tags[i].type != NODE_TEXT && node_type_of(text) != scalar_tags[i].type &&
            !(scalar_tags[i].type == NODE_FLOAT && node_type_of(text) == NODE_INT))
            report_error(reader->report, span_at(reader, event->start_mark), NULL,
                         "\"" STR_FMT "\" is not of the type its tag says", STR_ARG(text));
        else
            type = scalar_tags[i].type;
        return type;
    }
    return type;
}

/* ---- merge keys ------------------------------------------------------------------------------ */

static size_t merge_sources(struct reader *reader, const struct node_entry *entry,
                            const struct node *const **ret)
{
    const struct node *value = entry->value;
    const struct node **sources = arena_new_array(reader->arena, const struct node *, value->n + 1);
    size_t n = 0;

    if (value->kind == NODE_MAP)
        sources[n++] = value;
    for (size_t i = 0; value->kind == NODE_LIST && i < value->n; i++) {
        if (value->entries[i].value->kind == NODE_MAP)
            sources[n++] = value->entries[i].value;
    }
    if (value->kind == NODE_SCALAR || (value->kind == NODE_LIST && n != value->n))
        report_error(reader->report, entry->span, NULL, /* the value may be an alias */
                     "map merge requires a mapping or a list of mappings as the value");
    *ret = sources;
    return n;
}

/* The first of several entries with one key stays. */
static struct node *keep_first(struct reader *reader, const struct node *all)
{
    struct node_index index = node_index_make(reader->arena, all);
    bool *is_double = arena_new_array(reader->arena, bool, all->n + 1);
    struct node *kept = node_new(reader->arena, NODE_MAP, all->span, all->n);

    for (size_t i = 1; i < index.n; i++) {
        if (strcmp(index.sorted[i - 1]->key, index.sorted[i]->key) == 0)
            is_double[index.sorted[i] - all->entries] = true;
    }
    for (size_t i = 0; i < all->n; i++) {
        if (!is_double[i])
            node_add(kept, all->entries[i].key, all->entries[i].span, all->entries[i].value);
    }
    return kept;
}

static void add_all(struct node *into, const struct node *from)
{
    for (size_t i = 0; i < from->n; i++)
        node_add(into, from->entries[i].key, from->entries[i].span, from->entries[i].value);
}

/* The map with its << entries replaced by what they bring: the explicit key wins, then the first.
 */
static struct node *apply_merges(struct reader *reader, const struct node *map)
{
    size_t n_max = map->n;
    struct node *all;

    for (size_t i = 0; i < map->n; i++) {
        if (map->entries[i].key == merge_key)
            n_max += map->entries[i].value->weight;
    }
    count_nodes(reader, n_max, map->span);
    if (reader->is_fatal)
        return node_copy(reader->arena, map, 0);
    all = node_new(reader->arena, NODE_MAP, map->span, n_max);
    for (size_t i = 0; i < map->n; i++) {
        if (map->entries[i].key != merge_key)
            node_add(all, map->entries[i].key, map->entries[i].span, map->entries[i].value);
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct node *const *sources;
        size_t n_sources = 0;

        if (map->entries[i].key == merge_key)
            n_sources = merge_sources(reader, &map->entries[i], &sources);
        for (size_t k = 0; k < n_sources; k++)
            add_all(all, sources[k]);
    }
    return keep_first(reader, all);
}

/* ---- collections ----------------------------------------------------------------------------- */

/* Every double is an error; the map goes on without it, so that the tables see each key once. */
static struct node *refuse_duplicates(struct reader *reader, struct node *map)
{
    struct node_index index;
    bool has_double = false;

    if (map->n < 2)
        return map;
    index = node_index_make(reader->arena, map);
    for (size_t i = 1; i < index.n; i++) {
        const struct node_entry *first = index.sorted[i - 1];
        const struct node_entry *second = index.sorted[i];

        if (strcmp(first->key, second->key) != 0)
            continue;
        has_double = true;
        report_error(reader->report, second->span, NULL,
                     "mapping key \"%s\" already defined at line %u", second->key,
                     first->span.line);
    }
    return has_double ? keep_first(reader, map) : map;
}

static void open_collection(struct reader *reader, enum node_kind kind, yaml_mark_t mark,
                            const yaml_char_t *anchor, const yaml_char_t *tag)
{
    struct span span = span_at(reader, mark);
    struct frame frame = {.kind = kind, .span = span, .first = reader->entries.n};

    if (wants_key(reader)) {
        fatal(reader, reader->report, span, hint_at_brace(reader, mark), "keys must be strings");
        return;
    }
    if (reader->frames.n == NODE_DEPTH_MAX) {
        fatal(reader, reader->report, span, NULL, "nested more than %d levels deep",
              NODE_DEPTH_MAX);
        return;
    }
    frame.tag = read_tag(reader, (const char *)tag, span);
    if (anchor) {
        frame.anchor = arena_strdup(reader->arena, (const char *)anchor);
        set_anchor(reader, frame.anchor, NULL, span);
    }
    count_nodes(reader, 1, span);
    vec_push(&reader->frames, frame);
}

static void close_collection(struct reader *reader)
{
    struct frame frame = *vec_last(&reader->frames);
    size_t n = reader->entries.n - frame.first;
    struct node *node = node_new(reader->arena, frame.kind, frame.span, n);

    reader->frames.n--;
    for (size_t i = 0; i < n; i++) {
        const struct node_entry *entry = &reader->entries.items[frame.first + i];

        node_add(node, entry->key, entry->span, entry->value);
    }
    reader->entries.n = frame.first;
    if (frame.kind == NODE_MAP)
        node = refuse_duplicates(reader, node);
    if (frame.has_merge)
        node = apply_merges(reader, node);
    node->tag = frame.tag;
    node->has_tags |= frame.tag != NODE_UNTAGGED;
    if (frame.anchor)
        set_anchor(reader, frame.anchor, node, frame.span);
    put_value(reader, node);
}

static void read_scalar(struct reader *reader, const yaml_event_t *event)
{
    struct span span = span_at(reader, event->start_mark);
    enum node_type type = scalar_type(reader, event);
    const yaml_char_t *anchor = event->data.scalar.anchor;
    bool is_core_tag =
        event->data.scalar.tag &&
        (strncmp((const char *)event->data.scalar.tag, "tag:yaml.org,2002:", 18) == 0 ||
         strcmp((const char *)event->data.scalar.tag, "!") == 0);
    struct node *node;

    if (wants_key(reader)) {
        read_key(reader, event, type);
        if (anchor)
            set_anchor(reader, arena_strdup(reader->arena, (const char *)anchor),
                       node_new_text(reader->arena, vec_last(&reader->frames)->key, span), span);
        return;
    }
    node = node_new_scalar(reader->arena, type,
                           copy_bytes(reader, event->data.scalar.value, event->data.scalar.length),
                           span);
    if (node->text_len != event->data.scalar.length)
        report_error(reader->report, span, NULL, "a value must not contain a NUL");
    if (!is_core_tag)
        node->tag = read_tag(reader, (const char *)event->data.scalar.tag, span);
    node->has_tags = node->tag != NODE_UNTAGGED;
    if (anchor)
        set_anchor(reader, arena_strdup(reader->arena, (const char *)anchor), node, span);
    count_nodes(reader, node->weight, span);
    put_value(reader, node);
}

static void read_alias(struct reader *reader, const yaml_event_t *event)
{
    struct span span = span_at(reader, event->start_mark);
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = find_anchor(reader, name);

    if (!anchor)
        fatal(reader, reader->report, span, "anchors hold within one document of one file",
              "unknown anchor \"%s\"", name);
    else if (!anchor->node)
        fatal(reader, reader->report, span, NULL,
              "cycle detected: alias \"%s\" lies inside its own anchor of line %u", name,
              anchor->span.line);
    else if (wants_key(reader))
        fatal(reader, reader->report, span, "write the key itself", "an alias can't be a key");
    else {
        count_nodes(reader, anchor->node->weight, span);
        put_value(reader, anchor->node);
    }
}

/* ---- the stream ------------------------------------------------------------------------------ */

static void start_document(struct reader *reader)
{
    reader->root = NULL;
    vec_clear(&reader->frames);
    vec_clear(&reader->entries);
    vec_clear(&reader->anchors);
}

static void end_document(struct reader *reader, struct yaml_documents *ret)
{
    if (reader->root && reader->root->tag != NODE_UNTAGGED)
        fatal(reader, reader->report, reader->root->span, "tag the keys in it",
              "%s is for a key's value: a document as a whole is none",
              reader->root->tag == NODE_RESET ? "!reset" : "!override");
    if (!reader->root || node_is_null(reader->root))
        return;
    if (ret->n == YAML_DOCUMENTS_MAX) {
        fatal(reader, reader->report, reader->root->span, NULL, "more than %d documents",
              YAML_DOCUMENTS_MAX);
        return;
    }
    vec_push(ret, reader->root);
}

static void read_event(struct reader *reader, const yaml_event_t *event, struct yaml_documents *ret)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        start_document(reader);
        break;
    case YAML_DOCUMENT_END_EVENT:
        end_document(reader, ret);
        break;
    case YAML_SCALAR_EVENT:
        read_scalar(reader, event);
        break;
    case YAML_ALIAS_EVENT:
        read_alias(reader, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        open_collection(reader, NODE_LIST, event->start_mark, event->data.sequence_start.anchor,
                        event->data.sequence_start.tag);
        break;
    case YAML_MAPPING_START_EVENT:
        open_collection(reader, NODE_MAP, event->start_mark, event->data.mapping_start.anchor,
                        event->data.mapping_start.tag);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_collection(reader);
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
        break;
    }
}

/* Where the text ends: behind the last line that says something. */
static struct span end_of_text(const struct reader *reader)
{
    struct span span = {.file = reader->file, .line = 1, .column = 1};
    struct str text = reader->text;
    size_t at = 0;

    while (text.len > 0 && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    for (; at < text.len; span.column++) {
        if (text.data[at] == '\n') {
            span.line++;
            span.column = 0;
        }
        at += character_length((const unsigned char *)text.data + at, text.len - at);
    }
    return span;
}

static void report_syntax(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    struct span begin = span_at(reader, parser->context_mark);
    struct span span = span_at(reader, parser->problem_mark);
    struct span end = end_of_text(reader);
    const char *problem = parser->problem ? parser->problem : "not YAML";
    const char *hint = hint_at_brace(reader, parser->problem_mark);

    if (strstr(problem, "cannot start any token"))
        hint = "a tab or a reserved character stands where a value begins: indent with spaces, "
               "quote the value";
    if (span.line > end.line)
        span = end;
    if (parser->context && begin.line < span.line)
        report_error(reader->report, span, hint, "%s (%s that begins at line %u)", problem,
                     parser->context, begin.line);
    else
        report_error(reader->report, span, hint, "%s", problem);
    reader->is_fatal = true;
}

static void read_stream(struct reader *reader, struct yaml_documents *ret)
{
    bool is_end = false;

    while (!is_end && !reader->is_fatal) {
        yaml_event_t event;

        if (!yaml_parser_parse(&reader->parser, &event)) {
            report_syntax(reader);
            return;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        read_event(reader, &event, ret);
        yaml_event_delete(&event);
    }
}

/* The end of a line for libyaml, and for nobody else. */
static bool is_odd_end(const unsigned char *data, size_t len, size_t n)
{
    return (n == 1 && data[0] == '\r' && (len == 1 || data[1] != '\n')) ||
           (n == 2 && data[0] == 0xc2 && data[1] == 0x85) ||
           (n == 3 && data[0] == 0xe2 && data[1] == 0x80 && (data[2] | 1) == 0xa9);
}

/* Bytes that are no text get an error with their place; libyaml gives none. */
static int check_text(struct report *report, uint32_t file, struct str text, bool *ret_has_odd_ends)
{
    struct span span = {.file = file, .line = 1, .column = 1};
    const unsigned char *data = (const unsigned char *)text.data;

    for (size_t i = 0; i < text.len;) {
        size_t n = character_length(data + i, text.len - i);

        if (n == 0 && data[i] == 0)
            return report_error(report, span, NULL, "NUL byte: this is no text file");
        if (n == 0)
            return report_error(report, span, NULL, "byte 0x%02x is %s", data[i],
                                data[i] < 0x80 ? "a control character" : "not valid UTF-8");
        if (n > 1 || data[i] == '\r')
            *ret_has_odd_ends |= is_odd_end(data + i, text.len - i, n);
        span.column++;
        if (data[i] == '\n')
            span = (struct span){.file = file, .line = span.line + 1, .column = 1};
        i += n;
    }
    return 0;
}

int yaml_parse(struct report *report, uint32_t file, struct yaml_documents *ret)
{
    struct str text = report->sources.items[file].text;
    struct reader reader = {.report = report, .arena = report->arena, .file = file};

    if (str_starts_with(text, "\xef\xbb\xbf"))
        text = (struct str){text.data + 3, text.len - 3};
    reader.text = text;
    if (check_text(report, file, text, &reader.has_odd_ends) < 0)
        return -1;
    if (!yaml_parser_initialize(&reader.parser))
        return report_error(report, (struct span){0}, NULL, "out of memory");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.data, text.len);
    read_stream(&reader, ret);
    yaml_parser_delete(&reader.parser);
    vec_release(&reader.frames);
    vec_release(&reader.entries);
    vec_release(&reader.anchors);
    return reader.is_fatal ? -1 : 0;
}
