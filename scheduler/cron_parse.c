/* SPDX-License-Identifier: MIT
 * cron_parse.c - cron expressions into sets of bits; see cron.h for the grammar. */
#include "scheduler/cron.h"

#include <string.h>

#include "base/time_point.h"

#define EXPRESSION_LENGTH_MAX 512
#define FIELDS_MAX 6

enum field_kind { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY };

struct field {
    const char *name;
    const char *allowed;
    int32_t min;
    int32_t max;
    int32_t step_max;  /* a longer step would silently mean "once" */
    const char *words; /* three letters each, the first stands for `words_base` */
    int32_t words_base;
};

#define MONTH_WORDS "janfebmaraprmayjunjulaugsepoctnovdec"
#define WEEKDAY_WORDS "sunmontuewedthufrisat"

static const struct field field_table[] = {
    [SECOND] = {"second", "0-59", 0, 59, 60, "", 0},
    [MINUTE] = {"minute", "0-59", 0, 59, 60, "", 0},
    [HOUR] = {"hour", "0-23", 0, 23, 24, "", 0},
    [DAY] = {"day of month", "1-31, L, L-1 to L-30, 1W-31W, LW or ?", 1, 31, 31, "", 0},
    [MONTH] = {"month", "1-12 or JAN-DEC", 1, 12, 12, MONTH_WORDS, 1},
    [WEEKDAY] = {"day of week",
                 "0-7 (0 and 7 are Sunday), SUN-SAT, 5L (last Friday), 5#2 (second "
                 "Friday) or ?",
                 0, 7, 7, WEEKDAY_WORDS, 0},
};

/* The expression as a whole, and where the reading stands. */
struct parser {
    const char *text;
    size_t offset;
    size_t end; /* of the item that is being read */
    struct cron *cron;
    struct fault *fault;
    size_t *error_offset;
};

/* Note where the trouble is; the caller's fault_set says what it is. */
static struct fault *fault_at(const struct parser *parser, size_t offset)
{
    *parser->error_offset = offset;
    return parser->fault;
}

static enum result not_allowed(const struct parser *parser, const struct field *field, size_t start)
{
    return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                     "%s: \"%.*s\" is not allowed "
                     "(allowed: %s)",
                     field->name, (int)(parser->end - start), parser->text + start, field->allowed);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool at_end(const struct parser *parser)
{
    return parser->offset == parser->end;
}

static bool take(struct parser *parser, char wanted)
{
    if (at_end(parser) || lower(parser->text[parser->offset]) != wanted)
        return false;
    parser->offset++;
    return true;
}

/* Up to three digits; more is out of range anyway. */
static bool take_number(struct parser *parser, int32_t *out)
{
    size_t start = parser->offset;
    int32_t value = 0;

    while (!at_end(parser) && is_digit(parser->text[parser->offset]) && parser->offset - start < 4)
        value = value * 10 + (parser->text[parser->offset++] - '0');
    if (parser->offset == start || parser->offset - start > 3)
        return false;
    *out = value;
    return true;
}

static bool take_word(struct parser *parser, const struct field *field, int32_t *out)
{
    if (parser->end - parser->offset < 3)
        return false;
    for (int32_t i = 0; field->words[i * 3] != '\0'; i++) {
        const char *word = field->words + (size_t)i * 3;
        const char *found = parser->text + parser->offset;

        if (lower(found[0]) == word[0] && lower(found[1]) == word[1] &&
            lower(found[2]) == word[2]) {
            parser->offset += 3;
            *out = field->words_base + i;
            return true;
        }
    }
    return false;
}

/* A number or a name in the field's range. */
static enum result take_value(struct parser *parser, const struct field *field, int32_t *out)
{
    size_t start = parser->offset;
    int32_t value;

    if (!take_number(parser, &value) && !take_word(parser, field, &value))
        return not_allowed(parser, field, start);
    if (value < field->min || value > field->max)
        return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                         "%s: %d is out of range (allowed: %s)", field->name, (int)value,
                         field->allowed);
    *out = value;
    return RESULT_OK;
}

static enum result take_step(struct parser *parser, const struct field *field, int32_t *out)
{
    size_t start = parser->offset;

    if (!take_number(parser, out) || !at_end(parser) || *out < 1 || *out > field->step_max)
        return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                         "%s: \"%.*s\" is not a "
                         "step (allowed: 1-%d)",
                         field->name, (int)(parser->end - start), parser->text + start,
                         (int)field->step_max);
    return RESULT_OK;
}

static void add_values(struct cron *cron, enum field_kind kind, int32_t from, int32_t to,
                       int32_t step)
{
    for (int32_t value = from; value <= to; value += step) {
        uint64_t bit = UINT64_C(1) << value;

        switch (kind) {
        case SECOND: cron->seconds |= bit; break;
        case MINUTE: cron->minutes |= bit; break;
        case HOUR: cron->hours |= (uint32_t)bit; break;
        case DAY: cron->days |= (uint32_t)bit; break;
        case MONTH: cron->months = (uint16_t)(cron->months | bit); break;
        case WEEKDAY: cron->weekdays = (uint8_t)(cron->weekdays | 1u << value % 7); break;
        }
    }
}

/* "-b" behind a value a. Sunday is 0 at the start of a range and 7 at its end. */
static enum result take_range_end(struct parser *parser, enum field_kind kind, size_t start,
                                  int32_t *from, int32_t *to)
{
    const struct field *field = &field_table[kind];

    if (take_value(parser, field, to) != RESULT_OK)
        return RESULT_FAULT;
    if (kind == WEEKDAY && *to == 0 && *from > 0)
        *to = 7;
    if (kind == WEEKDAY && *from == 7 && *to < 7)
        *from = 0;
    if (*from > *to)
        return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                         "%s: the range \"%.*s\" "
                         "runs backwards; write it as two ranges, up to the end and from the start",
                         field->name, (int)(parser->offset - start), parser->text + start);
    return RESULT_OK;
}

/* L, L-3, LW, L-3W; the L is taken already. */
static enum result parse_last_day(struct parser *parser, size_t start)
{
    int32_t back = 0;

    if (take(parser, '-') && (!take_number(parser, &back) || back < 1 || back > 30))
        return not_allowed(parser, &field_table[DAY], start);
    if (take(parser, 'w'))
        parser->cron->nearest_to_last |= UINT32_C(1) << back;
    else
        parser->cron->days_from_last |= UINT32_C(1) << back;
    return at_end(parser) ? RESULT_OK : not_allowed(parser, &field_table[DAY], start);
}

/* What may follow a single weekday: L or #n. */
static bool parse_weekday_suffix(struct parser *parser, int32_t weekday)
{
    uint8_t bit = (uint8_t)(1u << weekday % 7);
    int32_t nth;

    if (take(parser, 'l')) {
        parser->cron->last_weekdays |= bit;
        return true;
    }
    if (!take(parser, '#') || !take_number(parser, &nth) || nth < 1 || nth > CRON_NTH_MAX)
        return false;
    parser->cron->nth_weekdays[nth - 1] |= bit;
    return true;
}

/* One item of a list: parser->offset to parser->end. */
static enum result parse_item(struct parser *parser, enum field_kind kind)
{
    const struct field *field = &field_table[kind];
    size_t start = parser->offset;
    int32_t from = field->min;
    int32_t to = kind == WEEKDAY ? 6 : field->max;
    int32_t step = 1;
    bool is_single = false;

    if (kind == DAY && take(parser, 'l'))
        return parse_last_day(parser, start);
    if (!take(parser, '*')) {
        if (take_value(parser, field, &from) != RESULT_OK)
            return RESULT_FAULT;
        is_single = true;
        if (take(parser, '-')) {
            is_single = false;
            if (take_range_end(parser, kind, start, &from, &to) != RESULT_OK)
                return RESULT_FAULT;
        }
    }
    if (take(parser, '/')) {
        if (take_step(parser, field, &step) != RESULT_OK)
            return RESULT_FAULT;
        if (kind == WEEKDAY && is_single)
            from %= 7;
        is_single = false;
    }
    if (at_end(parser)) {
        add_values(parser->cron, kind, from, is_single ? from : to, step);
        return RESULT_OK;
    }
    if (is_single && kind == DAY && take(parser, 'w') && at_end(parser)) {
        parser->cron->nearest |= UINT32_C(1) << from;
        return RESULT_OK;
    }
    if (is_single && kind == WEEKDAY && parse_weekday_suffix(parser, from) && at_end(parser))
        return RESULT_OK;
    return not_allowed(parser, field, start);
}

static void note_star(struct cron *cron, enum field_kind kind)
{
    if (kind == HOUR)
        cron->hour_is_star = true;
    if (kind == DAY)
        cron->day_is_star = true;
    if (kind == WEEKDAY)
        cron->weekday_is_star = true;
}

static enum result parse_field(struct parser *parser, enum field_kind kind, size_t start,
                               size_t end)
{
    const struct field *field = &field_table[kind];

    if (parser->text[start] == '*')
        note_star(parser->cron, kind);
    if (end - start == 1 && parser->text[start] == '?' && (kind == DAY || kind == WEEKDAY)) {
        note_star(parser->cron, kind);
        add_values(parser->cron, kind, field->min, field->max, 1);
        return RESULT_OK;
    }
    for (parser->offset = start; parser->offset <= end; parser->offset = parser->end + 1) {
        const char *comma = memchr(parser->text + parser->offset, ',', end - parser->offset);

        parser->end = comma == NULL ? end : (size_t)(comma - parser->text);
        if (parser->offset == parser->end)
            return fault_set(fault_at(parser, parser->offset), FAULT_CONFIGURATION,
                             "%s: a value is missing (allowed: %s)", field->name, field->allowed);
        if (parse_item(parser, kind) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static enum result parse_fields(struct parser *parser, size_t start, size_t length)
{
    size_t starts[FIELDS_MAX];
    size_t ends[FIELDS_MAX];
    size_t count = 0;
    size_t skipped;

    for (size_t i = start; i < length;) {
        if (is_blank(parser->text[i])) {
            i++;
            continue;
        }
        if (count == FIELDS_MAX)
            return fault_set(fault_at(parser, i), FAULT_CONFIGURATION,
                             "more than 6 fields "
                             "(minute, hour, day of month, month, day of week; seconds may come "
                             "first)");
        starts[count] = i;
        while (i < length && !is_blank(parser->text[i]))
            i++;
        ends[count++] = i;
    }
    if (count < FIELDS_MAX - 1)
        return fault_set(fault_at(parser, length), FAULT_CONFIGURATION,
                         "%zu fields where 5 "
                         "(minute, hour, day of month, month, day of week) or 6 (seconds first) "
                         "are needed",
                         count);
    skipped = FIELDS_MAX - count;
    if (skipped == 1)
        parser->cron->seconds = 1;
    for (size_t i = 0; i < count; i++) {
        if (parse_field(parser, (enum field_kind)(i + skipped), starts[i], ends[i]) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

struct macro {
    const char *name;
    const char *fields;
};

static const struct macro macro_table[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

static bool same_word(const char *text, size_t length, const char *word)
{
    if (strlen(word) != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (lower(text[i]) != word[i])
            return false;
    }
    return true;
}

/* "6h" of "@every 6h", between start and length. */
static enum result parse_every(struct parser *parser, size_t start, size_t length)
{
    int64_t every_ms;

    while (start < length && is_blank(parser->text[start]))
        start++;
    if (!duration_parse(parser->text + start, length - start, &every_ms) ||
        every_ms < MS_PER_SECOND || every_ms % MS_PER_SECOND != 0)
        return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                         "@every: \"%.*s\" is not a "
                         "duration of whole seconds (allowed: 1s or more, as in 90s, 15m, 6h, 7d)",
                         (int)(length - start), parser->text + start);
    parser->cron->every_s = every_ms / MS_PER_SECOND;
    return RESULT_OK;
}

static enum result parse_macro(struct parser *parser, size_t start, size_t length)
{
    size_t end = start;

    while (end < length && !is_blank(parser->text[end]))
        end++;
    if (same_word(parser->text + start, end - start, "@every"))
        return parse_every(parser, end, length);
    for (size_t i = 0; i < sizeof macro_table / sizeof macro_table[0]; i++) {
        if (end == length && same_word(parser->text + start, end - start, macro_table[i].name)) {
            parser->text = macro_table[i].fields;
            return parse_fields(parser, 0, strlen(macro_table[i].fields));
        }
    }
    return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                     "\"%.*s\" is not known "
                     "(allowed: @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, "
                     "@every DURATION)",
                     (int)(length - start), parser->text + start);
}

/* The Gregorian calendar, weekdays included, repeats after 400 years. */
static bool names_any_date(const struct cron *cron)
{
    for (int32_t year = 2000; year < 2400; year++) {
        for (int32_t month = 1; month <= 12; month++) {
            if ((cron->months >> month & 1) != 0 && cron_days(cron, year, month) != 0)
                return true;
        }
    }
    return false;
}

static enum result parse_expression(struct parser *parser, size_t length)
{
    size_t start = 0;

    if (length > EXPRESSION_LENGTH_MAX)
        return fault_set(fault_at(parser, EXPRESSION_LENGTH_MAX), FAULT_CONFIGURATION,
                         "longer than %d characters", EXPRESSION_LENGTH_MAX);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)parser->text[i];

        if ((c < ' ' && c != '\t') || c > '~')
            return fault_set(fault_at(parser, i), FAULT_CONFIGURATION, "byte 0x%02x is not allowed",
                             (unsigned)c);
    }
    while (length > 0 && is_blank(parser->text[length - 1]))
        length--;
    while (start < length && is_blank(parser->text[start]))
        start++;
    if (start < length && parser->text[start] == '@')
        return parse_macro(parser, start, length);
    if (parse_fields(parser, start, length) != RESULT_OK)
        return RESULT_FAULT;
    if (!names_any_date(parser->cron))
        return fault_set(fault_at(parser, start), FAULT_CONFIGURATION,
                         "\"%.*s\" can never fire: "
                         "no date matches its day and month fields",
                         (int)(length - start), parser->text + start);
    return RESULT_OK;
}

enum result cron_parse(const char *text, size_t length, struct cron *out, size_t *error_offset,
                       struct fault *fault)
{
    struct cron cron = {0};
    struct parser parser = {
        .text = text, .cron = &cron, .fault = fault, .error_offset = error_offset};

    if (parse_expression(&parser, length) != RESULT_OK)
        return RESULT_FAULT;
    *out = cron;
    return RESULT_OK;
}
