/* SPDX-License-Identifier: MIT
 *
 * diff_report.h - what a new configuration would change: collected, then printed.
 *
 * Layer: command; behind `refreshd diff`. Of populations only counts and the first names are kept.
 */
#ifndef REFRESHD_COMMAND_DIFF_REPORT_H
#define REFRESHD_COMMAND_DIFF_REPORT_H

#include "config/config_diff.h"
#include "config/consent_diff.h"

#define DIFF_NAMES_SHOWN 10

/* The first few of many, in the order in which they came. */
struct diff_names {
    uint64_t count;
    char *first[DIFF_NAMES_SHOWN];
    char *detail[DIFF_NAMES_SHOWN]; /* "" */
};

struct diff_option {
    enum config_change_kind kind;
    char *path;
    char *from; /* NULL */
    char *to;
    bool needs_restart;
};

struct diff_firing {
    char *schedule;
    struct utc_time from; /* UTC_NEVER: there was none */
    struct utc_time to;
};

/* A run that would open the moment the configuration is taken. */
struct diff_fired {
    uint32_t run;
    char *schedule;
    struct utc_time slot;
    enum trigger trigger;
    uint32_t due;
};

struct diff_report {
    bool is_offline;
    struct diff_option *options;
    size_t option_count;
    struct diff_names consents[CONSENT_DIFF_COUNT];
    struct diff_names expired;  /* nothing is sent for them any more */
    struct diff_names released; /* holds that end: their rows changed */
    struct diff_firing *firings;
    size_t firing_count;
    struct diff_fired *fired;
    size_t fired_count;
    uint64_t fired_due;      /* slots of `fired`: "would fire now" */
    uint64_t started_sooner; /* due already, and started at once by wider limits */
    uint64_t slots_removed;  /* unsent slots of open runs that end as skipped/removed */
    char *refusal;           /* NULL: a reload would take it */
    char *shrink;            /* what the shrink guard says; NULL: nothing */
};

void diff_report_free(struct diff_report *report);

/* Collect. Out of memory ends the process through REQUIRE. */
void diff_report_option(void *report, const struct config_change *change);
void diff_report_name(struct diff_names *names, const char *name, const char *detail);
void diff_report_firing(struct diff_report *report, const char *schedule, struct utc_time from,
                        struct utc_time to);
void diff_report_fired(struct diff_report *report, uint32_t run, const char *schedule,
                       struct utc_time slot, enum trigger trigger, uint32_t due);

bool diff_report_differs(const struct diff_report *report);
void diff_report_print_text(const struct diff_report *report);
void diff_report_print_json(const struct diff_report *report);

#endif
