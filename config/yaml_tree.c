/* SPDX-License-Identifier: MIT
 * yaml_tree.c - libyaml events to a bounded tree with places. */
#include "config/yaml_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define DEPTH_MAX 32
#define KEY_BYTES_MAX 256
#define SCALAR_BYTES_MAX ((size_t)64 * 1024)
#define ALIAS_NODES_MAX 100000
#define LINEAR_KEYS_MAX 16 /* up to here duplicate keys are found by comparing each with each */

/* A container that is still open. Its lists are kept for the next container at this depth. */
struct frame {
    struct yaml_node *node;
    struct yaml_node **keys;
    struct yaml_node **values;
    size_t capacity;
    struct yaml_node *pending_key; /* mapping: its value comes next */
    const char *anchor;
    uint64_t nodes_before; /* parser->nodes when it was opened */
    unsigned height;       /* of what is inside so far */
    bool in_anchor;        /* this or something around it carries an anchor */
    bool is_stream;        /* items are handed over and forgotten */
};

struct anchor {
    struct anchor *next;
    const char *name;
    struct yaml_node *node; /* NULL while it is open */
    uint64_t nodes;         /* in it, aliases expanded */
    unsigned height;
};

struct parse {
    yaml_parser_t yaml;
    const char *bytes;
    size_t length;
    const char *file;
    struct arena *arena;
    struct arena item_arena; /* of the streamed item being read */
    const struct yaml_options *options;
    struct diagnostics *diagnostics;
    struct frame frames[DEPTH_MAX];
    unsigned depth; /* open containers */
    struct anchor *anchors;
    uint64_t nodes;         /* aliases expanded */
    uint64_t nodes_aliased; /* only those that aliases added */
    struct yaml_node *root;
};

static const char OUT_OF_MEMORY[] = "out of memory while this file was read";

static struct place place_at(const struct parse *parse, yaml_mark_t mark)
{
    return (struct place){parse->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1, NULL};
}

static bool is_streaming(const struct parse *parse)
{
    return parse->depth >= 2 && parse->frames[1].is_stream;
}

static bool fail_memory(struct parse *parse, struct place place)
{
    diagnostics_error(parse->diagnostics, place, "%s", OUT_OF_MEMORY);
    return false;
}

/* Where a node belongs: what carries an anchor, or lies inside, outlives its streamed item. */
static struct arena *node_arena(struct parse *parse, bool has_anchor)
{
    if (!is_streaming(parse) || has_anchor || parse->frames[parse->depth - 1].in_anchor)
        return parse->arena;
    return &parse->item_arena;
}

static void anchor_add(struct parse *parse, const char *name, struct yaml_node *node,
                       uint64_t nodes, unsigned height)
{
    struct anchor *anchor = arena_alloc(parse->arena, sizeof *anchor);
    const char *copy = arena_copy_packed(parse->arena, name, strlen(name));

    if (anchor == NULL || copy == NULL) {
        (void)fail_memory(parse, (struct place){parse->file, 0, 0, NULL});
        return;
    }
    *anchor = (struct anchor){parse->anchors, copy, node, nodes, height};
    parse->anchors = anchor;
}

/* --- Duplicate keys -------------------------------------------------------------------------- */

static int compare_places(const struct yaml_node *a, const struct yaml_node *b)
{
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    return (a->place.column > b->place.column) - (a->place.column < b->place.column);
}

static int compare_keys(const void *a_pointer, const void *b_pointer)
{
    const struct yaml_node *const *a = a_pointer;
    const struct yaml_node *const *b = b_pointer;
    int order = strcmp((*a)->text, (*b)->text);

    return order != 0 ? order : compare_places(*a, *b);
}

static void report_duplicate(struct parse *parse, const struct yaml_node *first,
                             const struct yaml_node *second)
{
    diagnostics_error(parse->diagnostics, second->place,
                      "key \"%.80s\" is given twice; it was first given at line %u, column %u",
                      second->text, first->place.line, first->place.column);
}

static bool check_duplicates(struct parse *parse, const struct yaml_node *mapping)
{
    size_t count = mapping->count;
    struct yaml_node **sorted;

    if (count <= LINEAR_KEYS_MAX) {
        for (size_t i = 1; i < count; i++)
            for (size_t j = 0; j < i; j++)
                if (mapping->keys[i]->length == mapping->keys[j]->length &&
                    strcmp(mapping->keys[i]->text, mapping->keys[j]->text) == 0) {
                    report_duplicate(parse, mapping->keys[j], mapping->keys[i]);
                    break;
                }
        return true;
    }
    sorted = malloc(count * sizeof(struct yaml_node *));
    if (sorted == NULL)
        return fail_memory(parse, mapping->place);
    memcpy(sorted, mapping->keys, count * sizeof(struct yaml_node *));
    qsort(sorted, count, sizeof(struct yaml_node *), compare_keys);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0)
            report_duplicate(parse, sorted[i - 1], sorted[i]);
    free(sorted);
    return true;
}

/* --- Building -------------------------------------------------------------------------------- */

static bool check_key(struct parse *parse, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR) {
        diagnostics_error(parse->diagnostics, node->place, "a key must be a single text");
        return false;
    }
    if (node->length > KEY_BYTES_MAX)
        diagnostics_error(parse->diagnostics, node->place,
                          "a key has %zu bytes; at most %d are allowed", node->length,
                          KEY_BYTES_MAX);
    if (node->is_plain && strcmp(node->text, "<<") == 0)
        diagnostics_error(parse->diagnostics, node->place,
                          "merge keys (<<) are not supported: write the keys out, or let an alias "
                          "stand for a whole value (key: *name); what all institutions of a "
                          "provider share goes under \"institutions: {default: ...}\"");
    return true;
}

static bool frame_reserve(struct frame *frame)
{
    size_t capacity;
    struct yaml_node **keys;
    struct yaml_node **values;

    if (frame->node->count < frame->capacity)
        return true;
    capacity = frame->capacity == 0 ? 16 : frame->capacity * 2;
    keys = realloc(frame->keys, capacity * sizeof(struct yaml_node *));
    if (keys != NULL)
        frame->keys = keys;
    values = realloc(frame->values, capacity * sizeof(struct yaml_node *));
    if (values != NULL)
        frame->values = values;
    if (keys == NULL || values == NULL)
        return false;
    frame->capacity = capacity;
    return true;
}

static bool is_stream_value(const struct parse *parse)
{
    const struct frame *frame = &parse->frames[0];

    return parse->depth == 1 && frame->node->kind == YAML_MAPPING && frame->pending_key != NULL &&
           parse->options != NULL && parse->options->stream_key != NULL &&
           strcmp(frame->pending_key->text, parse->options->stream_key) == 0;
}

/* The streamed list came whole (it carries an anchor, or is an alias): hand its items over now. */
static struct yaml_node *stream_whole(struct parse *parse, struct yaml_node *node)
{
    struct yaml_node *rest = arena_alloc(parse->arena, sizeof *rest);

    if (rest == NULL)
        return NULL;
    for (size_t i = 0; i < node->count; i++)
        parse->options->on_item(parse->options->context, node->values[i]);
    *rest = *node;
    rest->values = NULL;
    return rest;
}

/* A finished node takes its place in the container around it. */
static bool attach(struct parse *parse, struct yaml_node *node, unsigned height)
{
    struct frame *frame;

    if (parse->depth == 0) {
        parse->root = node;
        return true;
    }
    frame = &parse->frames[parse->depth - 1];
    if (height + 1 > frame->height)
        frame->height = height + 1;
    if (frame->is_stream) {
        parse->options->on_item(parse->options->context, node);
        frame->node->count++;
        arena_deinit(&parse->item_arena);
        return true;
    }
    if (frame->node->kind == YAML_MAPPING && frame->pending_key == NULL) {
        frame->pending_key = node;
        return check_key(parse, node);
    }
    if (is_stream_value(parse) && node->kind == YAML_SEQUENCE && node->values != NULL)
        node = stream_whole(parse, node);
    if (node == NULL || !frame_reserve(frame))
        return fail_memory(parse, frame->node->place);
    frame->keys[frame->node->count] = frame->pending_key;
    frame->values[frame->node->count++] = node;
    frame->pending_key = NULL;
    return true;
}

static struct yaml_node *node_create(struct parse *parse, const yaml_event_t *event,
                                     enum yaml_kind kind, const char *anchor, const char *tag)
{
    struct yaml_node *node = arena_alloc(node_arena(parse, anchor != NULL), sizeof *node);

    if (node == NULL) {
        (void)fail_memory(parse, place_at(parse, event->start_mark));
        return NULL;
    }
    node->kind = kind;
    node->place = place_at(parse, event->start_mark);
    parse->nodes++;
    if (tag != NULL)
        diagnostics_error(parse->diagnostics, node->place,
                          "tags are not supported: leave \"%.60s\" out; the meaning of a value is "
                          "decided by its key",
                          tag);
    return node;
}

static bool on_scalar(struct parse *parse, const yaml_event_t *event)
{
    const char *anchor = (const char *)event->data.scalar.anchor;
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    struct yaml_node *node =
        node_create(parse, event, YAML_SCALAR, anchor, (const char *)event->data.scalar.tag);

    if (node == NULL)
        return false;
    if (length > SCALAR_BYTES_MAX) {
        diagnostics_error(parse->diagnostics, node->place,
                          "a text has %zu bytes; at most %zu are allowed", length,
                          SCALAR_BYTES_MAX);
        length = 0;
    }
    if (memchr(value, '\0', length) != NULL) {
        diagnostics_error(parse->diagnostics, node->place, "a text may not hold a NUL");
        length = 0;
    }
    node->text = arena_copy_packed(node_arena(parse, anchor != NULL), value, length);
    if (node->text == NULL)
        return fail_memory(parse, node->place);
    node->length = length;
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (anchor != NULL)
        anchor_add(parse, anchor, node, 1, 1);
    return attach(parse, node, 1);
}

static bool on_alias(struct parse *parse, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct place place = place_at(parse, event->start_mark);
    const struct anchor *anchor;

    for (unsigned i = 0; i < parse->depth; i++)
        if (parse->frames[i].anchor != NULL && strcmp(parse->frames[i].anchor, name) == 0) {
            diagnostics_error(parse->diagnostics, place,
                              "alias *%.60s stands inside what it names: that has no end", name);
            return false;
        }
    for (anchor = parse->anchors; anchor != NULL; anchor = anchor->next)
        if (strcmp(anchor->name, name) == 0)
            break;
    if (anchor == NULL) {
        diagnostics_error(parse->diagnostics, place, "alias *%.60s names nothing above it", name);
        return false;
    }
    if (parse->depth + anchor->height > DEPTH_MAX) {
        diagnostics_error(parse->diagnostics, place, "alias *%.60s nests deeper than %d levels",
                          name, DEPTH_MAX);
        return false;
    }
    parse->nodes += anchor->nodes;
    parse->nodes_aliased += anchor->nodes;
    if (parse->nodes_aliased > ALIAS_NODES_MAX) {
        diagnostics_error(parse->diagnostics, place,
                          "aliases expand to more than %d values; write fewer of them",
                          ALIAS_NODES_MAX);
        return false;
    }
    return attach(parse, anchor->node, anchor->height);
}

static bool on_open(struct parse *parse, const yaml_event_t *event, enum yaml_kind kind,
                    const char *anchor, const char *tag)
{
    struct place place = place_at(parse, event->start_mark);
    bool is_stream = kind == YAML_SEQUENCE && anchor == NULL && is_stream_value(parse);
    bool in_anchor = anchor != NULL;
    uint64_t nodes_before = parse->nodes;
    struct yaml_node *node;
    struct frame *frame;

    if (parse->depth == DEPTH_MAX) {
        diagnostics_error(parse->diagnostics, place, "nested deeper than %d levels", DEPTH_MAX);
        return false;
    }
    node = node_create(parse, event, kind, anchor, tag);
    if (node == NULL)
        return false;
    if (parse->depth > 0)
        in_anchor = in_anchor || parse->frames[parse->depth - 1].in_anchor;
    frame = &parse->frames[parse->depth];
    *frame = (struct frame){.node = node,
                            .keys = frame->keys,
                            .values = frame->values,
                            .capacity = frame->capacity,
                            .nodes_before = nodes_before,
                            .in_anchor = in_anchor,
                            .is_stream = is_stream};
    if (anchor != NULL) {
        frame->anchor = arena_copy_packed(parse->arena, anchor, strlen(anchor));
        if (frame->anchor == NULL)
            return fail_memory(parse, place);
    }
    parse->depth++;
    return true;
}

/* The lists of a container move from its frame to the arena, in their final size. */
static bool seal(struct parse *parse, struct frame *frame)
{
    struct yaml_node *node = frame->node;
    size_t bytes = node->count * sizeof(struct yaml_node *);
    struct arena *arena = node_arena(parse, frame->in_anchor);

    if (frame->is_stream)
        return true;
    node->values = arena_alloc(arena, bytes);
    if (node->values == NULL)
        return fail_memory(parse, node->place);
    if (node->count > 0)
        memcpy(node->values, frame->values, bytes);
    if (node->kind != YAML_MAPPING)
        return true;
    node->keys = arena_alloc(arena, bytes);
    if (node->keys == NULL)
        return fail_memory(parse, node->place);
    if (node->count > 0)
        memcpy(node->keys, frame->keys, bytes);
    return check_duplicates(parse, node);
}

static bool on_close(struct parse *parse)
{
    struct frame *frame = &parse->frames[parse->depth - 1];
    unsigned height = frame->height == 0 ? 1 : frame->height;

    if (!seal(parse, frame))
        return false;
    if (frame->anchor != NULL)
        anchor_add(parse, frame->anchor, frame->node, parse->nodes - frame->nodes_before, height);
    parse->depth--;
    return attach(parse, frame->node, height);
}

/* --- Errors of libyaml ----------------------------------------------------------------------- */

static struct place place_of_offset(const struct parse *parse, size_t offset)
{
    struct place place = {parse->file, 1, 1, NULL};

    for (size_t i = 0; i < offset && i < parse->length; i++) {
        place.column++;
        if (parse->bytes[i] == '\n') {
            place.line++;
            place.column = 1;
        }
    }
    return place;
}

/* Is the first thing after the blanks at the start of this line a tab? */
static bool is_tab_indented(const struct parse *parse, unsigned line)
{
    const char *p = parse->bytes;
    const char *end = p + parse->length;

    for (unsigned i = 1; i < line && p != NULL; i++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (p != NULL)
            p++;
    }
    while (p != NULL && p < end && *p == ' ')
        p++;
    return p != NULL && p < end && *p == '\t';
}

static void report_yaml_error(struct parse *parse)
{
    const yaml_parser_t *yaml = &parse->yaml;
    const char *problem = yaml->problem == NULL ? "cannot be read" : yaml->problem;
    struct place place;

    if (yaml->error == YAML_MEMORY_ERROR) {
        (void)fail_memory(parse, (struct place){parse->file, 0, 0, NULL});
        return;
    }
    if (yaml->error == YAML_READER_ERROR) {
        place = place_of_offset(parse, yaml->problem_offset);
        if (yaml->problem_value >= 0)
            diagnostics_error(parse->diagnostics, place,
                              "not valid YAML: %s (0x%02X); the file "
                              "must be UTF-8 text",
                              problem, (unsigned)yaml->problem_value);
        else
            diagnostics_error(parse->diagnostics, place,
                              "not valid YAML: %s; the file must be UTF-8 text", problem);
        return;
    }
    place = place_at(parse, yaml->problem_mark);
    if (is_tab_indented(parse, place.line))
        diagnostics_error(parse->diagnostics, place,
                          "not valid YAML: %s; this line starts with a tab: use spaces", problem);
    else if (yaml->context != NULL && yaml->context_mark.line != yaml->problem_mark.line)
        diagnostics_error(parse->diagnostics, place,
                          "not valid YAML: %s, %s that starts at line "
                          "%zu",
                          problem, yaml->context, yaml->context_mark.line + 1);
    else if (yaml->context != NULL)
        diagnostics_error(parse->diagnostics, place, "not valid YAML: %s, %s", problem,
                          yaml->context);
    else
        diagnostics_error(parse->diagnostics, place, "not valid YAML: %s", problem);
}

/* --- The loop over events -----------------------------------------------------------------------
 */

static bool on_event(struct parse *parse, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (parse->root == NULL)
            return true;
        diagnostics_error(parse->diagnostics, place_at(parse, event->start_mark),
                          "a second document starts here; one document per file");
        return false;
    case YAML_SCALAR_EVENT: return on_scalar(parse, event);
    case YAML_ALIAS_EVENT: return on_alias(parse, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(parse, event, YAML_SEQUENCE, (const char *)event->data.sequence_start.anchor,
                       (const char *)event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return on_open(parse, event, YAML_MAPPING, (const char *)event->data.mapping_start.anchor,
                       (const char *)event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_close(parse);
    default: return true;
    }
}

/* True when the whole stream was read. */
static bool read_events(struct parse *parse)
{
    bool is_end = false;
    bool good = true;

    while (good && !is_end) {
        yaml_event_t event;

        if (!yaml_parser_parse(&parse->yaml, &event)) {
            report_yaml_error(parse);
            return false;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        good = on_event(parse, &event);
        yaml_event_delete(&event);
    }
    return good;
}

/* Nothing, or nothing but comments and `---`: an empty mapping. */
static struct yaml_node *root_or_empty(struct parse *parse)
{
    struct yaml_node *root = parse->root;

    if (root != NULL && !(root->kind == YAML_SCALAR && root->is_plain && root->length == 0))
        return root;
    root = arena_alloc(parse->arena, sizeof *root);
    if (root == NULL) {
        (void)fail_memory(parse, (struct place){parse->file, 0, 0, NULL});
        return NULL;
    }
    root->kind = YAML_MAPPING;
    root->place = (struct place){parse->file, 1, 1, NULL};
    return root;
}

struct yaml_node *yaml_tree_parse(const char *bytes, size_t length, const char *file,
                                  struct arena *arena, const struct yaml_options *options,
                                  struct diagnostics *diagnostics)
{
    struct parse *parse = calloc(1, sizeof *parse);
    struct place start = {file, 0, 0, NULL};
    size_t errors_before = diagnostics->error_count;
    struct yaml_node *root = NULL;

    if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {
        bytes += 3; /* a byte order mark, as some editors write it */
        length -= 3;
    }
    if (parse == NULL) {
        diagnostics_error(diagnostics, start, "%s", OUT_OF_MEMORY);
        return NULL;
    }
    *parse = (struct parse){.bytes = bytes,
                            .length = length,
                            .arena = arena,
                            .options = options,
                            .diagnostics = diagnostics};
    parse->file = arena_copy_packed(arena, file, strlen(file));
    if (length > FILE_BYTES_MAX) {
        diagnostics_error(diagnostics, start, "the file has more than 256 MiB");
    } else if (parse->file == NULL || !yaml_parser_initialize(&parse->yaml)) {
        diagnostics_error(diagnostics, start, "%s", OUT_OF_MEMORY);
    } else {
        yaml_parser_set_encoding(&parse->yaml, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parse->yaml, (const unsigned char *)bytes, length);
        if (read_events(parse))
            root = root_or_empty(parse);
        yaml_parser_delete(&parse->yaml);
    }
    if (diagnostics->error_count > errors_before && (options == NULL || !options->keep_tree))
        root = NULL;
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        free(parse->frames[i].keys);
        free(parse->frames[i].values);
    }
    arena_deinit(&parse->item_arena);
    free(parse);
    return root;
}

/* --- Files ----------------------------------------------------------------------------------- */

/* The whole of an open file in memory of malloc; errno on NULL. */
static char *read_whole(int fd, size_t *length)
{
    size_t capacity = 64 * 1024;
    struct stat status;
    char *bytes;

    *length = 0;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        (uint64_t)status.st_size < FILE_BYTES_MAX)
        capacity = (size_t)status.st_size + 1;
    bytes = malloc(capacity);
    while (bytes != NULL) {
        ssize_t got = read(fd, bytes + *length, capacity - *length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(bytes);
            return NULL;
        }
        *length += (size_t)got;
        if (got == 0 || *length > FILE_BYTES_MAX)
            return bytes;
        if (*length == capacity) {
            char *larger = realloc(bytes, capacity * 2);

            if (larger == NULL)
                free(bytes);
            bytes = larger;
            capacity *= 2;
        }
    }
    errno = ENOMEM;
    return NULL;
}

struct yaml_node *yaml_tree_load(const char *path, struct arena *arena,
                                 const struct yaml_options *options,
                                 struct diagnostics *diagnostics)
{
    const char *name = options != NULL && options->file != NULL ? options->file : path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct yaml_node *root = NULL;
    char *bytes = NULL;
    size_t length = 0;

    if (fd >= 0)
        bytes = read_whole(fd, &length);
    if (bytes == NULL) {
        const char *reason = strerror(errno);

        if (strcmp(name, path) != 0)
            diagnostics_error(diagnostics, (struct place){name, 0, 0, NULL}, "cannot read %s: %s",
                              path, reason);
        else
            diagnostics_error(diagnostics, (struct place){name, 0, 0, NULL}, "cannot be read: %s",
                              reason);
    } else {
        root = yaml_tree_parse(bytes, length, name, arena, options, diagnostics);
    }
    free(bytes);
    if (fd >= 0)
        (void)close(fd);
    return root;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (mapping == NULL || mapping->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < mapping->count; i++)
        if (strcmp(mapping->keys[i]->text, key) == 0)
            return mapping->values[i];
    return NULL;
}
