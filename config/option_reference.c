/* SPDX-License-Identifier: MIT
 * option_reference.c - the option table as a page for people. */
#include "config/option_table.h"

#include <inttypes.h>
#include <string.h>

#include "base/time_point.h"

static const char *const type_words[OPTION_TYPE_COUNT] = {
    [OPTION_MAPPING] = "mapping",
    [OPTION_LIST] = "list",
    [OPTION_TEXT] = "text",
    [OPTION_INTEGER] = "number",
    [OPTION_BOOLEAN] = "`true` or `false`",
    [OPTION_DURATION] = "duration",
    [OPTION_RATE] = "rate",
    [OPTION_SIZE] = "size",
    [OPTION_ENUM] = "word",
    [OPTION_SECRET] = "secret",
    [OPTION_URL] = "URL",
    [OPTION_ADDRESS] = "address",
    [OPTION_PATH] = "path",
    [OPTION_DATE] = "date",
    [OPTION_CRON] = "cron expression",
    [OPTION_ZONE] = "time zone",
    [OPTION_TIME_RANGE] = "time range",
    [OPTION_TIME_OR_DURATION] = "time of day or duration",
    [OPTION_PERCENT] = "percentage",
    [OPTION_NAME] = "name",
    [OPTION_INSTITUTION] = "text",
};

static const char preface[] =
    "# Options\n"
    "\n"
    "Every key of the configuration. This page is made from the table that the program reads by\n"
    "(`dev/option-reference`); do not edit it. `*` is a name of your choice, `[]` an item of a\n"
    "list. Unknown keys are errors.\n"
    "\n"
    "| type | how it is written |\n"
    "|---|---|\n"
    "| duration | a number and one of `ms`, `s`, `m`, `h`, `d`: `300ms`, `90s`, `15m`, `0s` |\n"
    "| rate | count, slash, length: `50/s`, `100/min`, `2000/day`, `4/24h`, `10/15m` |\n"
    "| size | bytes, or with `KiB` or `MiB`: `1MiB` |\n"
    "| secret | a reference: `{env: NAME}`, `{file: PATH}` or `{credential: NAME}` (systemd) |\n"
    "| URL | `https://`; `http://` for this machine, elsewhere with `insecure: true` only |\n"
    "| address | `host:port`, `[v6]:port` or `unix:/path` |\n"
    "| path | relative ones start at the folder of the file that names them |\n"
    "| date | `2027-03-01` (00:00 UTC) or an instant with its offset |\n"
    "| time range | times of days: `02:00-03:00`, `Mon-Fri 22:00-06:00`, `Sat,Sun`; of the week: "
    "`Sat 22:00 - Mon 06:00`; of the year: `12-25`, `12-24 18:00 - 12-26`; once: `2026-12-24`, "
    "`2026-12-31 18:00 - 2027-01-01 06:00`; a zone behind it (`Europe/London`), else UTC |\n"
    "| name | small letters, digits, `_` and `-` |\n"
    "\n"
    "\"Restart\" marks what a reload does not change.\n";

static void append_range(struct text *out, const struct config_option *option)
{
    char low[DURATION_TEXT_SIZE];
    char high[DURATION_TEXT_SIZE];

    switch (option->type) {
    case OPTION_DURATION:
        text_append_format(out, ", %s to %s", duration_text(option->min, low),
                           duration_text(option->max, high));
        break;
    case OPTION_INTEGER:
    case OPTION_PERCENT:
    case OPTION_SIZE:
        if (option->min == option->max)
            text_append_format(out, ", %" PRId64, option->min);
        else
            text_append_format(out, ", %" PRId64 " to %" PRId64, option->min, option->max);
        break;
    case OPTION_RATE: text_append_format(out, ", count up to %" PRId64, option->max); break;
    case OPTION_LIST:
        if (option->max > 0)
            text_append_format(out, ", at most %" PRId64, option->max);
        break;
    default: break;
    }
}

static void append_words(struct text *out, const struct config_option *option)
{
    const char *word = option->words;
    const char *separator = option->type == OPTION_ENUM ? ": " : ", or ";

    while (word != NULL) {
        const char *bar = strchr(word, '|');
        size_t length = bar == NULL ? strlen(word) : (size_t)(bar - word);

        text_append_format(out, "%s`%.*s`", separator, (int)length, word);
        separator = ", ";
        word = bar == NULL ? NULL : bar + 1;
    }
}

static void append_row(struct text *out, const struct config_option *option)
{
    text_append_format(out, "| `%s` | %s", option->path, type_words[option->type]);
    append_range(out, option);
    append_words(out, option);
    if (option->one_or_list)
        text_append_string(out, ", or a single one");
    text_append_string(out, " | ");
    if (option->is_required)
        text_append_string(out, "required");
    else if (option->default_text != NULL)
        text_append_format(out, "`%s`", option->default_text);
    else if (option->default_note != NULL)
        text_append_string(out, option->default_note);
    text_append_format(out, " | %s%s |\n", option->help, option->is_fixed ? " Restart." : "");
}

void option_reference(struct text *out)
{
    text_append_string(out, preface);
    for (const struct config_option *section = option_next_child(NULL, NULL); section != NULL;
         section = option_next_child(NULL, section)) {
        const struct config_option *end = option_next_child(NULL, section);

        if (end == NULL)
            end = option_table + option_table_count;
        text_append_format(out,
                           "\n## %s\n\n| option | type | default | meaning |\n|---|---|---|---|\n",
                           section->path);
        for (const struct config_option *option = section; option < end; option++)
            append_row(out, option);
    }
}
