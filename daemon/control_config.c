/* SPDX-License-Identifier: MIT
 * control_config.c - see control_config.h. */
#include "daemon/control_config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/engine_internal.h"

#define CONFIG_BYTES_MAX ((size_t)1 << 30)
#define CHUNK_BYTES ((size_t)256 * 1024)

static bool send_object(struct control_exchange *exchange, json_t *object)
{
    char *line = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    bool is_sent = line != NULL;

    if (is_sent)
        control_line(exchange, line, strlen(line));
    free(line);
    json_decref(object);
    return is_sent;
}

/* Up to CHUNK_BYTES, ending behind a newline: never inside of a character. */
static size_t chunk_length(const char *text, size_t left)
{
    size_t length = left < CHUNK_BYTES ? left : CHUNK_BYTES;

    if (length == left)
        return left;
    while (length > 0 && text[length - 1] != '\n')
        length--;
    if (length > 0)
        return length;
    /* A line longer than a chunk: all of it. */
    while (length < left && text[length] != '\n')
        length++;
    return length;
}

static bool send_text(struct control_exchange *exchange, const struct text *text)
{
    for (size_t sent = 0; sent < text->length;) {
        size_t length = chunk_length(text->bytes + sent, text->length - sent);

        if (!send_object(exchange, json_pack("{s:s%}", "yaml", text->bytes + sent, length)))
            return false;
        sent += length;
    }
    return true;
}

static bool send_sources(const struct engine *engine, struct control_exchange *exchange)
{
    const struct config *config = engine->config;

    for (uint32_t i = 0; i < config->source_count; i++) {
        const struct consent_source *source = &config->sources[i];

        if (!send_object(
                exchange,
                json_pack("{s:s, s:s, s:i}", "type", "source", "source",
                          source->csv_path != NULL ? source->csv_path : source->sqlite_path,
                          "consents",
                          (int)consent_table_source_count(engine->population.table, i))))
            return false;
    }
    return true;
}

enum result control_config_send(const struct engine *engine, struct control_exchange *exchange,
                                struct fault *fault)
{
    struct text text;
    bool is_sent;

    text_init(&text, CONFIG_BYTES_MAX);
    config_print(engine->config, false, NULL, &text);
    is_sent = !text.is_cut && send_text(exchange, &text) && send_sources(engine, exchange);
    text_deinit(&text);
    return is_sent ? RESULT_OK : fault_set(fault, FAULT_TEMPORARY, "out of memory");
}
