/* SPDX-License-Identifier: MIT
 * command_diff.c - `refreshd diff NEWFILE`: what a new configuration would change.
 *
 * Compared with what runs: the daemon's own configuration, and the population and the past that the
 * state database records. What would happen is not guessed: a core made from the records does all
 * that it would do now, is given the new configuration as by a reload, and is asked again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "command/commands.h"
#include "command/control_call.h"
#include "command/diff_report.h"
#include "daemon/clock.h"
#include "daemon/shadow_core.h"

#define DIAGNOSTICS_MAX 10000
#define EXIT_DIFFERS 2

static const char usage[] =
    "usage: refreshd diff [-c FILE] [--as NAME=FILE] [--format text|json] [NEWFILE]\n\n"
    "What a new configuration would change against the running state: options, consents, next\n"
    "firings, and what would be sent the moment it is taken (`would fire now`, which is 0: "
    "editing\n"
    "never fires). Nothing is changed. Asks the running daemon for the configuration in force;\n"
    "where none runs, FILE is compared. Exit status 0: no difference, 2: it differs, 78: NEWFILE\n"
    "is not valid (all its errors are printed).\n\n"
    "  --as NAME=FILE  read FILE in the place of NAME (relative to the folder of the root file,\n"
    "                  which is -c FILE unless NEWFILE is given), as `refreshd check` does\n";

enum { OPTION_AS = 256 };

struct diff {
    struct command_line line;
    struct config_options options;
    char *as_name;
    const char *new_path;
    struct config *old;
    struct config *new;
    struct consent_table *old_table;
    struct consent_table *new_table;
    struct consent_table *meant; /* consents whose source a person takes out */
    bool is_recorded;            /* old_table is what the records hold */
    uint32_t *source_counts;     /* of the daemon, by source of `old`; NULL: none runs */
    struct shadow_core core;
    struct diff_report report;
    struct time_now now;
    /* while the core is asked */
    uint64_t attempts;
    uint64_t attempts_of_fired;
    uint64_t lost; /* removed, and nobody meant it */
};

/* ---- the configurations ---- */

static struct config *load(const char *path, const struct config_options *options,
                           struct consent_table **table)
{
    struct diagnostics diagnostics;
    struct config *config;

    diagnostics_init(&diagnostics, DIAGNOSTICS_MAX);
    config = config_load(path, options, table, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    diagnostics_deinit(&diagnostics);
    return config;
}

struct in_force {
    struct text yaml;
    uint32_t *counts;
    uint32_t count;
};

static void on_config_line(void *context, const json_t *line)
{
    struct in_force *in_force = context;
    const json_t *yaml = json_object_get(line, "yaml");

    if (yaml != NULL) {
        text_append(&in_force->yaml, json_string_value(yaml), json_string_length(yaml));
        return;
    }
    in_force->counts = realloc(in_force->counts, (in_force->count + 1) * sizeof *in_force->counts);
    REQUIRE(in_force->counts != NULL);
    in_force->counts[in_force->count++] =
        (uint32_t)json_integer_value(json_object_get(line, "consents"));
}

/* What the daemon told is a configuration again; its paths are absolute. */
static struct config *parse_in_force(const struct text *yaml, const char *root_path)
{
    const char *slash = strrchr(root_path, '/');
    char as_path[64];
    struct config_options options = {.as_name = slash == NULL ? root_path : slash + 1,
                                     .as_path = as_path};
    int fd = memfd_create("refreshd-config", MFD_CLOEXEC);
    struct config *config = NULL;
    size_t written = 0;

    while (fd >= 0 && written < yaml->length) {
        ssize_t count = write(fd, yaml->bytes + written, yaml->length - written);

        if (count <= 0)
            break;
        written += (size_t)count;
    }
    (void)snprintf(as_path, sizeof as_path, "/proc/self/fd/%d", fd);
    if (fd >= 0 && written == yaml->length)
        config = load(root_path, &options, NULL);
    if (fd >= 0)
        (void)close(fd);
    return config;
}

/* The daemon's configuration in the place of the file's. The file may have been edited since. */
static enum result ask_daemon(struct diff *diff, struct fault *fault)
{
    struct in_force in_force = {0};
    struct config *config = NULL;
    enum result result;

    text_init(&in_force.yaml, (size_t)1 << 30);
    result = control_call(diff->old, json_pack("{s:s}", "command", "config"), on_config_line,
                          &in_force, fault);
    if (result == RESULT_OK) {
        config = parse_in_force(&in_force.yaml, diff->old->root_path);
        if (config == NULL)
            result = fault_set(fault, FAULT_DATA,
                               "the configuration in force cannot be read again (see above)");
    }
    if (config != NULL) {
        config_release(diff->old);
        diff->old = config;
        diff->source_counts = in_force.counts;
        in_force.counts = NULL;
        REQUIRE(in_force.count == config->source_count);
    }
    text_deinit(&in_force.yaml);
    free(in_force.counts);
    return result;
}

/* ---- populations ---- */

static bool same_source(const struct consent_source *a, const struct consent_source *b)
{
    const char *const texts[][2] = {
        {a->csv_path, b->csv_path}, {a->sqlite_path, b->sqlite_path}, {a->query, b->query}};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if ((texts[i][0] == NULL) != (texts[i][1] == NULL) ||
            (texts[i][0] != NULL && strcmp(texts[i][0], texts[i][1]) != 0))
            return false;
    return true;
}

static const struct consent_source *find_source(const struct config *config,
                                                const struct consent_source *source)
{
    for (uint32_t i = 0; i < config->source_count; i++)
        if (same_source(&config->sources[i], source))
            return &config->sources[i];
    return NULL;
}

/* Consents of `consents:` and of sources that the new configuration does not name any more: their
 * loss is meant and no business of the shrink guard. */
static void load_meant(struct diff *diff)
{
    struct config shape = *diff->old;
    struct diagnostics diagnostics;
    struct fault ignored;

    shape.sources = calloc((size_t)diff->old->source_count + 1, sizeof *shape.sources);
    REQUIRE(shape.sources != NULL);
    shape.source_count = 0;
    for (uint32_t i = 0; i < diff->old->source_count; i++)
        if (find_source(diff->new, &diff->old->sources[i]) == NULL)
            shape.sources[shape.source_count++] = diff->old->sources[i];
    diagnostics_init(&diagnostics, 1);
    if (consent_table_load(&shape, NULL, &diff->meant, &diagnostics, &ignored) != RESULT_OK) {
        shape.source_count = 0; /* the source itself is gone: at least the inline ones */
        if (consent_table_load(&shape, NULL, &diff->meant, &diagnostics, &ignored) != RESULT_OK)
            diff->meant = NULL;
    }
    diagnostics_deinit(&diagnostics);
    free(shape.sources);
}

static bool is_meant(const struct diff *diff, const char *consent)
{
    const char *slash = strchr(consent, '/');
    char name[CONSENT_NAME_BYTES];
    uint32_t provider;

    (void)snprintf(name, sizeof name, "%.*s", (int)(slash - consent), consent);
    provider = config_find_provider(diff->old, name);
    return diff->meant != NULL && provider != UINT32_MAX &&
           consent_table_find(diff->meant, provider, slash + 1) != UINT32_MAX;
}

static void on_consent(void *context, const struct consent_change *change)
{
    struct diff *diff = context;

    diff_report_name(&diff->report.consents[change->kind], change->consent, change->detail);
    if (change->kind == CONSENT_DIFF_REMOVED && !is_meant(diff, change->consent))
        diff->lost++;
    if (change->kind != CONSENT_DIFF_REMOVED && change->kind != CONSENT_DIFF_ADDED &&
        change->new_expires.ms <= diff->now.utc.ms && change->old_expires.ms > diff->now.utc.ms)
        diff_report_name(&diff->report.expired, change->consent, "");
}

/* ---- the shrink guard ---- */

static char *shrink_text(const struct consent_source *source, uint64_t lost, uint64_t before,
                         int percent, const char *what)
{
    char *text = NULL;

    REQUIRE(asprintf(&text,
                     "%s would lose %" PRIu64 " of %" PRIu64
                     " consents, more than max_shrink %d %%: %s",
                     source == NULL             ? "the population"
                     : source->csv_path != NULL ? source->csv_path
                                                : source->sqlite_path,
                     lost, before, percent, what) > 0);
    return text;
}

/* The records do not tell which source a consent came from: of several, what is lost is charged to
 * the one that has become smallest against what the daemon counted. */
static void judge_shrink(struct diff *diff)
{
    static const char refuses[] = "a reload refuses it (reload --accept-shrink takes it)";
    uint64_t removed = diff->report.consents[CONSENT_DIFF_REMOVED].count;
    uint64_t before = consent_table_count(diff->old_table);
    uint32_t worst = UINT32_MAX;
    int64_t worst_deficit = INT64_MIN;
    const struct consent_source *source;

    if (diff->source_counts == NULL) {
        if (removed * 100 > before * (uint64_t)diff->new->max_shrink_percent)
            diff->report.shrink =
                shrink_text(NULL, removed, before, diff->new->max_shrink_percent,
                            "no daemon runs; the next start takes it with a warning");
        return;
    }
    for (uint32_t i = 0; i < diff->old->source_count; i++) {
        int64_t deficit = diff->source_counts[i];

        source = find_source(diff->new, &diff->old->sources[i]);
        if (source == NULL)
            continue;
        deficit -=
            consent_table_source_count(diff->new_table, (uint32_t)(source - diff->new->sources));
        if (worst == UINT32_MAX || deficit > worst_deficit) {
            worst = i;
            worst_deficit = deficit;
        }
    }
    if (worst == UINT32_MAX)
        return;
    source = find_source(diff->new, &diff->old->sources[worst]);
    before = diff->source_counts[worst];
    if (diff->lost * 100 > before * (uint64_t)source->max_shrink_percent)
        diff->report.shrink =
            shrink_text(source, diff->lost, before, source->max_shrink_percent, refuses);
}

/* ---- what the core would do ---- */

static bool is_fired(const struct diff *diff, uint32_t run)
{
    for (size_t i = 0; i < diff->report.fired_count; i++)
        if (diff->report.fired[i].run == run)
            return true;
    return false;
}

static void on_record(void *context, const struct record *record)
{
    struct diff *diff = context;
    struct consent_view view;
    char name[CONSENT_NAME_BYTES];

    switch (record->kind) {
    case RECORD_RUN_OPEN:
        if (!record->as.run_open.is_missed)
            diff_report_fired(&diff->report, record->as.run_open.run,
                              diff->new->schedules[record->as.run_open.schedule].name,
                              record->as.run_open.slot, record->as.run_open.trigger,
                              record->as.run_open.due);
        break;
    case RECORD_JOB_OPEN: diff->attempts_of_fired += is_fired(diff, record->as.job_open.run); break;
    case RECORD_ATTEMPT: diff->attempts++; break;
    case RECORD_SKIP:
        if (record->as.skip.reason == REASON_REMOVED)
            diff->report.slots_removed += record->as.skip.count;
        break;
    case RECORD_RELEASE:
        if (population_get(&diff->core.population, record->as.hold.consent, &view)) {
            (void)snprintf(name, sizeof name, "%s/%s", diff->new->providers[view.provider].name,
                           view.id);
            diff_report_name(&diff->report.released, name, "");
        }
        break;
    default: break;
    }
}

static struct utc_time next_firing(const struct diff *diff, const struct config *config,
                                   const char *schedule)
{
    uint32_t index = config_find_schedule(config, schedule);

    return index == UINT32_MAX ? UTC_NEVER : scheduler_next_firing(diff->core.scheduler, index);
}

/* Schedules of both, each once; those of the old one have been asked already. */
static void compare_firings(struct diff *diff, const struct utc_time *before)
{
    for (uint32_t i = 0; i < diff->old->schedule_count; i++) {
        const char *name = diff->old->schedules[i].name;
        struct utc_time after = next_firing(diff, diff->new, name);

        if (after.ms != before[i].ms)
            diff_report_firing(&diff->report, name, before[i], after);
    }
    for (uint32_t i = 0; i < diff->new->schedule_count; i++) {
        const char *name = diff->new->schedules[i].name;

        if (config_find_schedule(diff->old, name) == UINT32_MAX)
            diff_report_firing(&diff->report, name, UTC_NEVER, next_firing(diff, diff->new, name));
    }
}

static enum result rehearse(struct diff *diff, struct fault *fault)
{
    struct utc_time *before = calloc((size_t)diff->old->schedule_count + 1, sizeof *before);
    enum result result = RESULT_FAULT;

    REQUIRE(before != NULL);
    if (shadow_core_open(&diff->core, diff->old, diff->old_table, diff->now,
                         !diff->report.is_offline, fault) != RESULT_OK)
        goto out;
    diff->old_table = NULL; /* the core has them now */
    if (shadow_core_settle(&diff->core, diff->now, NULL, NULL, fault) != RESULT_OK)
        goto out;
    for (uint32_t i = 0; i < diff->old->schedule_count; i++)
        before[i] = scheduler_next_firing(diff->core.scheduler, i);
    if (shadow_core_reconfigure(&diff->core, diff->new, diff->new_table, diff->now, fault) !=
        RESULT_OK)
        goto out;
    diff->new_table = NULL;
    if (shadow_core_settle(&diff->core, diff->now, on_record, diff, fault) != RESULT_OK)
        goto out;
    compare_firings(diff, before);
    diff->report.started_sooner = diff->attempts - diff->attempts_of_fired;
    result = RESULT_OK;
out:
    free(before);
    return result;
}

/* ---- putting it together ---- */

static void judge_reload(struct diff *diff)
{
    for (size_t i = 0; i < diff->report.option_count; i++)
        if (diff->report.options[i].needs_restart && diff->report.refusal == NULL &&
            !diff->report.is_offline)
            REQUIRE(asprintf(&diff->report.refusal, "%s cannot change while running: restart",
                             diff->report.options[i].path) > 0);
    if (diff->report.shrink != NULL && diff->report.refusal == NULL && !diff->report.is_offline)
        REQUIRE((diff->report.refusal = strdup(diff->report.shrink)) != NULL);
}

static enum result compare(struct diff *diff, struct fault *fault)
{
    struct diagnostics diagnostics;
    enum result result;

    diff->report.is_offline = !control_is_running(diff->old);
    if (!diff->report.is_offline && ask_daemon(diff, fault) != RESULT_OK) {
        if (fault->code != FAULT_UNAVAILABLE) /* it has just ended */
            return RESULT_FAULT;
        diff->report.is_offline = true;
    }
    diagnostics_init(&diagnostics, DIAGNOSTICS_MAX);
    result = shadow_core_population(diff->old, &diff->old_table, &diff->is_recorded, &diagnostics,
                                    fault);
    diagnostics_deinit(&diagnostics);
    if (result != RESULT_OK)
        return result;
    config_diff(diff->old, diff->new, diff_report_option, &diff->report);
    if (diff->source_counts != NULL) /* else nobody asks the shrink guard */
        load_meant(diff);
    consent_diff(diff->old, diff->old_table, !diff->is_recorded, diff->new, diff->new_table,
                 on_consent, diff);
    judge_shrink(diff);
    judge_reload(diff);
    return rehearse(diff, fault);
}

static int run(struct diff *diff)
{
    struct fault fault;

    diff->now = clock_now();
    diff->new = load(diff->new_path, &diff->options, &diff->new_table);
    if (diff->new == NULL)
        return FAULT_CONFIGURATION;
    diff->old = command_load_config(&diff->line, NULL);
    if (diff->old == NULL)
        return FAULT_CONFIGURATION;
    if (compare(diff, &fault) != RESULT_OK)
        return command_fail(&diff->line, &fault);
    if (diff->line.format == OUTPUT_JSON)
        diff_report_print_json(&diff->report);
    else
        diff_report_print_text(&diff->report);
    return diff_report_differs(&diff->report) ? EXIT_DIFFERS : 0;
}

static void release(struct diff *diff)
{
    shadow_core_close(&diff->core);
    consent_table_destroy(diff->old_table);
    consent_table_destroy(diff->new_table);
    consent_table_destroy(diff->meant);
    config_release(diff->old);
    config_release(diff->new);
    diff_report_free(&diff->report);
    free(diff->source_counts);
    free(diff->as_name);
}

/* "NAME=FILE" */
static int take_as(struct diff *diff)
{
    const char *equals = strchr(optarg, '=');

    if (equals == NULL || equals == optarg || equals[1] == '\0')
        return command_usage_error(&diff->line, "--as %s: write NAME=FILE", optarg);
    if (diff->as_name != NULL)
        return command_usage_error(&diff->line, "--as can be given once");
    diff->as_name = strndup(optarg, (size_t)(equals - optarg));
    REQUIRE(diff->as_name != NULL);
    diff->options.as_name = diff->as_name;
    diff->options.as_path = equals + 1;
    return -1;
}

int command_diff(int argc, char **argv)
{
    static const struct option options[] = {
        {"as", required_argument, NULL, OPTION_AS}, COMMON_LONG_OPTIONS, {0}};
    struct diff diff = {0};
    int status = -1;
    int option;

    command_line_init(&diff.line, "diff", usage);
    while (status < 0 && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
        status = option == OPTION_AS ? take_as(&diff) : command_line_common(&diff.line, option);
    if (status < 0 && (argc - optind > 1 || (argc == optind && diff.as_name == NULL)))
        status = command_usage_error(&diff.line, "name one new configuration file");
    if (status < 0) {
        diff.new_path = optind < argc ? argv[optind] : diff.line.config_path;
        status = run(&diff);
    }
    release(&diff);
    return status;
}
